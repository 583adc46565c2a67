"""An abort in the cluster, as the real kubectl hears of it from an API that stands in for Kubernetes'."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.adapters import cluster, schemas
from ci.commands import engine
from ci.core.argo import HASH
from ci.core.errors import EnvironmentFault
from ci.core.manifests import overlays
from ci.core.release import release
from tests import rollouts
from tests.kubernetes import SCHEMAS, require_schemas
from tests.project import ROOT
from tests.rollouts import FIRST, HEALTHY, Stage, canary, version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STABLE = overlays.placeholder("registry.example.com/line", "fraud", "production").spec.stable
CANARY = STABLE.model_copy(update={"image": STABLE.image.replace("0" * 64, "2" * 64), "version": "12"})
RELEASE = release("fraud", "production", stable=STABLE, canary=CANARY, weight=5)
OVERLAY = overlays.overlay("fraud", "production")["k8s/models/fraud/production/kustomization.yaml"]
IMAGES = {"aaa": STABLE.image, "bbb": CANARY.image}
NAMESPACE = "fraud-production"
ROLLOUT = "/apis/argoproj.io/v1alpha1/namespaces/{}/rollouts/server-rollout"
SETS = "/apis/apps/v1/namespaces/{}/replicasets"


class Api:
    """Objects by the path that Kubernetes has them at; what is elsewhere is NotFound, in its words."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        if path in self.objects:
            return 200, self.objects[path]
        words = f'rollouts.argoproj.io "{path.rpartition("/")[2]}" not found'
        told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        return 404, {**told, "message": words}

    def has(self, status: dict[str, Any], images: Mapping[str, str] = IMAGES, namespace: str = NAMESPACE) -> None:
        """Take in a Rollout with this status, and a ReplicaSet for each hash; all as their schemas want them."""
        made = next(yaml.safe_load_all((ROOT / "k8s/engines/argo-rollouts/rollout.yaml").read_text()))
        made["metadata"]["namespace"] = namespace
        sets = [replica_set(key, image, namespace) for key, image in images.items()]
        rollout = {**made, "status": status}
        assert schemas.errors(ROOT, [rollout, *sets]) == [[], [], []]
        listed = {"kind": "ReplicaSetList", "apiVersion": "apps/v1", "items": sets}
        self.objects = {ROLLOUT.format(namespace): rollout, SETS.format(namespace): listed}


def replica_set(key: str, image: str, namespace: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "server", HASH: key}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "server", "image": image}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": f"server-rollout-{key}", "namespace": namespace, "labels": labels}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The stand-in, which kubectl is configured for."""
    require_schemas()
    monkeypatch.setenv("TRUNKLINE_SCHEMAS", str(SCHEMAS))
    made = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, found = made.answer(self.path.partition("?")[0])
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        configured(tmp_path, server.server_address[1], monkeypatch)
        yield made
        server.shutdown()


def configured(where: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "line", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "line", "context": {"cluster": "line", "user": ""}}],
        "current-context": "line",
    }
    (where / "config").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(where / "config"))


def decided(kustomization: str = OVERLAY.replace("gateway-api", "argo-rollouts")) -> Any:
    return engine.decided({"k8s/models/fraud/production/kustomization.yaml": kustomization}.get, RELEASE)


def test_an_abort_is_heard_of_and_asks_for_nothing_else(api: Api) -> None:
    said = 'RolloutAborted: Rollout aborted update to revision 2: Metric "evidence" assessed Failed'
    status = {"currentPodHash": "bbb", "stableRS": "aaa", "abort": True, "abortedAt": "2026-11-27T17:00:00Z"}
    api.has({**status, "phase": "Degraded", "message": said, "currentStepIndex": 0})
    found = decided()
    assert found.action == "rollback"
    assert found.words.endswith(said)
    assert api.asked == [ROLLOUT.format(NAMESPACE), SETS.format(NAMESPACE)], "who may read these two may run this"


def test_the_configuration_may_be_in_the_environment_itself(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRUNKLINE_KUBECONFIG", Path(os.environ["KUBECONFIG"]).read_text())
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    api.has({"currentPodHash": "bbb", "stableRS": "bbb", "phase": "Healthy"})
    assert decided().action == "promote"
    assert api.asked


def test_a_promotion_in_the_cluster_is_heard_of(api: Api) -> None:
    api.has({"currentPodHash": "bbb", "stableRS": "bbb", "phase": "Healthy"})
    assert decided().action == "promote"


def test_what_the_cluster_does_not_have_changes_nothing(api: Api) -> None:
    assert cluster.rollout("fraud-production", "server-rollout") is None
    assert decided().action == "hold"


def test_an_overlay_without_that_engine_asks_no_cluster(api: Api) -> None:
    assert decided(OVERLAY) is None
    assert api.asked == []


def test_a_cluster_that_is_not_there_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, 9, monkeypatch)
    with pytest.raises(EnvironmentFault, match=r"the cluster does not say what is at /apis/argoproj.*kubectl's conf"):
        decided()


@pytest.fixture
def line(watched: tuple[float, Mapping[str, str]], tmp_path: Path) -> Stage:
    """A repository in which Argo Rollouts takes a healthy canary through the steps of production."""
    made = rollouts.stage(tmp_path / "line", *watched, how="rollback: push")
    overlay = made.root / "k8s/models/churn/production/kustomization.yaml"
    overlay.write_text(OVERLAY.replace("gateway-api", "argo-rollouts"))
    canary(made, HEALTHY)
    return made


def told(api: Api, stable: str, **status: Any) -> None:
    """Have the cluster run both versions of `line`, with this status."""
    images = {"aaa": version(FIRST).image, "bbb": version(HEALTHY).image}
    api.has({"currentPodHash": "bbb", "stableRS": stable, **status}, images, namespace="churn-production")


def test_steps_are_the_clusters_and_an_abort_in_it_is_a_rollback_in_git(api: Api, line: Stage) -> None:
    told(api, "aaa", phase="Progressing", canary={"weights": {"canary": {"weight": 25}, "stable": {"weight": 75}}})
    assert "hold: Argo Rollouts is rolling version 2 out, now with 25 per cent" in line.run("rollout", at=12)
    assert line.released().spec.weights.canary == 5
    told(api, "aaa", abort=True, phase="Degraded", message="RolloutAborted: aborted by hand")
    said = line.run("rollout", at=13)
    assert "rollback: Argo Rollouts aborted the rollout of version 2: RolloutAborted: aborted by hand" in said
    assert line.released() == release("churn", "production", stable=version(FIRST))
    assert line.message().startswith(
        "Roll churn 2 back in production\n\nArgo Rollouts aborted the rollout of version 2"
    )
    assert [issue.title for issue in line.issues()] == ["Rollback of churn in production"]
    assert line.aliases() == {"champion": "1"}


def test_an_abort_is_written_to_git_though_prometheus_is_down(
    api: Api, line: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ci.adapters.prometheus.TRIES", 1)
    nowhere = "http://127.0.0.1:9"
    told(api, "aaa", phase="Progressing")
    assert "No answer came from Prometheus" in line.run("rollout", at=12, code=2, TRUNKLINE_PROMETHEUS=nowhere)
    told(api, "aaa", abort=True, phase="Degraded", message="RolloutAborted: aborted by hand")
    line.run("rollout", at=13, TRUNKLINE_PROMETHEUS=nowhere)
    assert line.released() == release("churn", "production", stable=version(FIRST))


def test_what_the_cluster_made_stable_is_promoted_in_git(api: Api, line: Stage) -> None:
    told(api, "bbb", phase="Healthy")
    assert "promote: Argo Rollouts finished the rollout of version 2" in line.run("rollout", at=12)
    assert line.released() == release("churn", "production", stable=version(HEALTHY))
    assert line.aliases() == {"champion": "2"}
