"""An abort in the cluster, as the real kubectl hears of it from an API that stands in for Kubernetes'."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.adapters import cluster, schemas
from ci.commands import engine
from ci.core.argo import HASH
from ci.core.errors import EnvironmentFault
from ci.core.manifests import overlays
from ci.core.release import release
from tests.kubernetes import SCHEMAS, require_schemas
from tests.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STABLE = overlays.placeholder("registry.example.com/line", "fraud", "production").spec.stable
CANARY = STABLE.model_copy(update={"image": STABLE.image.replace("0" * 64, "2" * 64), "version": "12"})
RELEASE = release("fraud", "production", stable=STABLE, canary=CANARY, weight=5)
OVERLAY = overlays.overlay("fraud", "production")["k8s/models/fraud/production/kustomization.yaml"]
ROLLOUT = "/apis/argoproj.io/v1alpha1/namespaces/fraud-production/rollouts/server-rollout"
SETS = "/apis/apps/v1/namespaces/fraud-production/replicasets"


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

    def has(self, status: dict[str, Any]) -> None:
        """Take in a Rollout with this status, and two ReplicaSets; both as their schemas want them."""
        made = next(yaml.safe_load_all((ROOT / "k8s/engines/argo-rollouts/rollout.yaml").read_text()))
        made["metadata"]["namespace"] = "fraud-production"
        sets = [replica_set("aaa", STABLE.image), replica_set("bbb", CANARY.image)]
        rollout = {**made, "status": status}
        assert schemas.errors(ROOT, [rollout, *sets]) == [[], [], []]
        self.objects = {ROLLOUT: rollout, SETS: {"kind": "ReplicaSetList", "apiVersion": "apps/v1", "items": sets}}


def replica_set(key: str, image: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "server", HASH: key}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "server", "image": image}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": f"server-rollout-{key}", "namespace": "fraud-production", "labels": labels}
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
    assert api.asked == [ROLLOUT, SETS], "who may read these two may run this"


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
