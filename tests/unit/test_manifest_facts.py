"""The manifests say of the server and of the runners what is so: ports, paths, metrics, times and labels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from ci import cli
from ci.adapters import answering, schemas
from ci.commands import analyze
from ci.core import units
from ci.core.manifests import hardening
from ci.core.manifests.overlays import overlay
from ci.core.params import parse_root
from ml.serve.settings import Settings
from tests import promql
from tests.project import ROOT

K8S = ROOT / "k8s"


def read(path: str) -> Any:
    return yaml.safe_load((K8S / path).read_text())


def pod() -> Any:
    return read("base/track/deployment.yaml")["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    "rule", read("base/prometheusrule.yaml")["spec"]["groups"][0]["rules"], ids=lambda rule: rule["alert"]
)
def test_alerts_ask_for_what_the_server_exposes(rule: Any) -> None:
    exposed = promql.served()
    asked = promql.selectors(rule["expr"])
    assert asked
    for selector in asked:
        assert promql.labels(selector) <= exposed[str(selector.name)] | promql.GIVEN_BY_CLUSTER


def test_what_the_cluster_adds_is_nothing_that_the_server_says_itself() -> None:
    endpoint = read("base/servicemonitor.yaml")["spec"]["endpoints"][0]
    added = {rule["targetLabel"] for rule in endpoint["relabelings"]}
    assert added == promql.GIVEN_BY_CLUSTER
    assert not added & {label for labels in promql.served().values() for label in labels}


def test_pods_are_asked_where_the_server_answers() -> None:
    (container,) = pod()["containers"]
    defaults = Settings.of({})
    assert [port["containerPort"] for port in container["ports"]] == [defaults.port]
    server = (ROOT / "ml/serve/app.py").read_text()
    paths = [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")]
    paths.append(read("base/servicemonitor.yaml")["spec"]["endpoints"][0]["path"])
    for path in paths:
        assert f'"{path}"' in server
    routes = list(yaml.safe_load_all((K8S / "base/httproute.yaml").read_text()))
    route = routes[0]["spec"]["rules"][0]["matches"][0]["path"]["value"]
    assert f'"{route.removesuffix("model")}{{self._record.model}}"' in server
    assert len({str([one["spec"]["parentRefs"], one["spec"]["hostnames"]]) for one in routes}) == 1


def test_who_may_ask_is_told_where_clusters_are_made_ready() -> None:
    (rule,) = read("base/networkpolicy.yaml")["spec"]["ingress"]
    asks, monitoring = (each["namespaceSelector"]["matchLabels"] for each in rule["from"])
    assert asks == {"trunkline.dev/asks": "models"}
    text = (ROOT / "docs/kubernetes.md").read_text()
    assert "`trunkline.dev/asks: models`" in text
    assert f"in the namespace `{monitoring['kubernetes.io/metadata.name']}`" in text


def test_argo_rollouts_asks_where_the_analyzer_answers() -> None:
    template = read("engines/argo-rollouts/analysistemplate.yaml")["spec"]
    (metric,) = template["metrics"]
    url = metric["provider"]["web"]["url"]
    for arg in template["args"]:
        url = url.replace(f"{{{{args.{arg['name']}}}}}", arg.get("value", "5"))
    asked = urlsplit(url)
    service, namespace = read("analysis/service.yaml"), read("analysis/kustomization.yaml")["namespace"]
    assert asked.netloc == f"{service['metadata']['name']}.{namespace}.svc"
    assert service["spec"]["ports"][0]["port"] == 80
    place = analyze.PLACE.fullmatch(asked.path)
    assert place
    assert place.groupdict() == {"environment": "environment", "model": "model"}
    assert parse_qs(asked.query) == {"version": ["0"], "weight": ["5"]}
    (container,) = read("analysis/deployment.yaml")["spec"]["template"]["spec"]["containers"]
    assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("readiness", "liveness")} == {answering.HEALTH}
    assert container["args"][-1] == str(container["ports"][0]["containerPort"])
    cli.parser("analyze").parse_args(container["args"])


def test_the_analyzers_image_is_made_of_what_is_pinned() -> None:
    lines = (K8S / "analysis/Dockerfile").read_text().splitlines()
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert f"FROM {params['release']['base']}" in lines
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    (installed,) = (line.partition(" constraints.txt ")[2].split() for line in lines if "pip install" in line)
    assert set(installed) <= pinned


def test_units_are_told_by_the_header_that_is_documented() -> None:
    routes = yaml.safe_load_all((K8S / "base/httproute.yaml").read_text())
    matches = [match for route in routes for rule in route["spec"]["rules"] for match in rule["matches"]]
    (header,) = [header for match in matches for header in match.get("headers", ())]
    assert (header["name"], header["value"]) == (units.HEADER, units.NOBODY)
    assert f'headers["{units.HEADER}"]' in (ROOT / "docs/kubernetes.md").read_text()


def test_a_pod_is_given_the_time_that_it_takes_to_drain() -> None:
    spec = pod()
    asleep = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > asleep + Settings.of({}).grace_seconds


def test_overlays_point_flux_as_new_ones_do() -> None:
    params = parse_root(yaml.safe_load((ROOT / "params.yaml").read_text()), lambda _: None)
    assert params.release is not None
    for model in params.models:
        for environment in params.release.environments:
            pointer = f"k8s/clusters/flux/{environment}/{model}.yaml"
            assert (ROOT / pointer).read_text() == overlay(model, environment)[pointer]


def test_runners_keep_to_the_restricted_profile() -> None:
    template = read("runners/values.yaml")["template"]
    thing = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "runner"}, "template": template}
    assert schemas.errors(ROOT, [thing]) == [[]]
    found = [one.words for one in hardening.check([thing])]
    assert all("write to its own image" in words for words in found), "a runner unpacks actions beside its work"


def test_the_image_of_runners_adds_what_a_job_needs_to_a_pinned_one() -> None:
    template = read("runners/values.yaml")["template"]
    lines = (K8S / "runners/Dockerfile").read_text().splitlines()
    (base,) = (line for line in lines if line.startswith("FROM "))
    assert re.fullmatch(r"FROM \S+@sha256:[0-9a-f]{64}", base)
    (installed,) = (set(line.split()) for line in lines if "apt-get install" in line)
    assert {"make", "gcc", "libc6-dev"} <= installed
    assert lines[-1] == f"USER {template['spec']['securityContext']['runAsUser']}"


def test_a_job_asks_for_the_labels_that_the_scale_set_has() -> None:
    values = read("runners/values.yaml")
    labels = values["scaleSetLabels"]
    assert labels == ["self-hosted", "gpu"]
    assert values["runnerScaleSetName"] in labels, "the controller adds the name to the labels"
    for workflow in sorted(Path(ROOT / ".github/workflows").glob("*.yml")):
        for name, job in yaml.safe_load(workflow.read_text())["jobs"].items():
            asked = job.get("runs-on")
            if "self-hosted" in str(asked):
                assert len(asked) == len(labels), f"{name} of {workflow.name} would wait for ever"
                assert all(label in word for label, word in zip(labels, asked, strict=True)), asked
