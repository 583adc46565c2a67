"""`trunkline render` with real kustomize and the published schemas: what it builds, and what it finds."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.core.manifests.overlays import overlay, placeholder
from ci.core.release import dump, path_of, release
from tests.kubernetes import line
from tests.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kubernetes import Line

REGISTRY = "registry.example.com/line"
FIRST = placeholder(REGISTRY, "fraud", "production").spec.stable
SECOND = FIRST.model_copy(update={"image": FIRST.image.replace("0" * 64, "2" * 64), "version": "12"})
CANARY = release("fraud", "production", stable=FIRST, canary=SECOND, weight=5)
OVERLAY = "k8s/models/fraud/production/kustomization.yaml"
DEPLOYMENT = "k8s/base/track/deployment.yaml"
NAME = "app.kubernetes.io/name: server"
WEIGHTS = """\
patches:
  - target: {kind: HTTPRoute, name: server}
    patch: |
      - {op: replace, path: /spec/rules/0/backendRefs/0/weight, value: 50}
      - {op: replace, path: /spec/rules/0/backendRefs/1/weight, value: 50}
"""


@pytest.fixture
def place(tmp_path: Path) -> Line:
    return line(tmp_path / "line")


def written(place: Line) -> None:
    (place.root / path_of("fraud", "production")).write_text(dump(CANARY))


def built(place: Line, *args: str) -> dict[tuple[str, str], Any]:
    """The objects of fraud in production by kind and name, as --output writes them."""
    place.render("fraud", "--environment", "production", "--output", "out", *args)
    objects = yaml.safe_load_all((place.root / "out/models/fraud/production.yaml").read_text())
    return {(thing["kind"], thing["metadata"]["name"]): thing for thing in objects}


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted((root / "k8s").rglob("*")) if path.is_file()}


def test_everything_is_built_and_keeps_to_its_schema(place: Line) -> None:
    before = files(place.root)
    said = place.render()
    for folder in ("models/churn/staging", "clusters/flux/production", "clusters/argo-cd/staging", "runners"):
        assert f"k8s/{folder} " in said
    assert "no release yet: a placeholder" in said
    assert "k8s/engines/argo-rollouts" in said, "the engine that no overlay uses is tried as well"
    assert "keep to their schemas" in said
    assert files(place.root) == before


def test_release_yaml_is_what_runs(place: Line) -> None:
    written(place)
    assert "placeholder" not in place.render("fraud", "--environment", "production")
    objects = built(place)
    for track, version in (("stable", FIRST), ("canary", SECOND)):
        deployment = objects["Deployment", f"server-{track}"]["spec"]
        (server,) = deployment["template"]["spec"]["containers"]
        assert server["image"] == version.image
        assert server["env"] == [{"name": "SERVE_TRACK", "value": track}], (
            "which the inference log says of each request"
        )
        labels = deployment["template"]["metadata"]["labels"]
        assert labels["trunkline.dev/version"] == version.version, "a label is a string"
        assert labels.items() >= deployment["selector"]["matchLabels"].items()
    assert objects["Deployment", "server-canary"]["spec"]["replicas"] == 1
    assert "replicas" not in objects["Deployment", "server-stable"]["spec"], "the autoscaler's, not Git's"
    route = objects["HTTPRoute", "server"]["spec"]
    assert [backend["weight"] for backend in route["rules"][0]["backendRefs"]] == [95, 5]
    assert route["rules"][0]["matches"][0]["path"]["value"] == "/v2/models/fraud"
    assert route["hostnames"] == ["production.models.example.com"]
    assert ("Release", "release") not in objects, "it never reaches a cluster"
    assert {thing["metadata"].get("namespace", "fraud-production") for thing in objects.values()} == {
        "fraud-production"
    }


def test_units_and_copies_are_routed_as_release_yaml_says(place: Line) -> None:
    objects = built(place)
    assert objects["HTTPRoute", "server-units"]["spec"]["rules"][0]["matches"][0]["headers"][0]["value"] == "^-$"
    assert objects["HTTPRoute", "server-shadow"]["spec"]["rules"][0]["matches"][0]["path"]["value"].endswith("/fraud/-")
    for made in (
        release("fraud", "production", stable=FIRST, canary=SECOND, weight=25, split="unit"),
        release("fraud", "production", stable=FIRST, canary=SECOND, shadow=True),
    ):
        (place.root / path_of("fraud", "production")).write_text(dump(made))
        objects = built(place)
        rule = objects["HTTPRoute", "server"]["spec"]["rules"][0]
        assert [backend["weight"] for backend in rule["backendRefs"]] == [100, 0], "what no unit decides is stable's"
        (units,) = objects["HTTPRoute", "server-units"]["spec"]["rules"]
        assert units["matches"][0]["headers"][0]["value"] == made.spec.routes.units
        assert units["matches"][0]["path"]["value"] == "/v2/models/fraud"
        (shadow,) = objects["HTTPRoute", "server-shadow"]["spec"]["rules"]
        assert shadow["matches"][0]["path"]["value"] == made.spec.routes.mirrored


def test_the_documented_patch_gives_the_servers_an_inference_log(place: Line) -> None:
    text = (ROOT / "docs/kubernetes.md").read_text()
    (patch,) = re.findall(r"^```yaml\n(patches:\n.*?SERVE_LOG.*?)^```", text, re.MULTILINE | re.DOTALL)
    (place.root / OVERLAY).write_text((place.root / OVERLAY).read_text() + patch)
    objects = built(place)
    for track in ("stable", "canary"):
        spec = objects["Deployment", f"server-{track}"]["spec"]["template"]["spec"]
        assert spec["containers"][0]["env"][1]["name"] == "SERVE_LOG"
        assert spec["volumes"][1]["persistentVolumeClaim"] == {"claimName": "inference-log"}


def test_alerts_are_about_the_model_alone(place: Line) -> None:
    rules = built(place)["PrometheusRule", "server"]["spec"]["groups"][0]["rules"]
    for rule in rules:
        assert '{model="fraud",environment="production"' in rule["expr"]
        assert rule["labels"].items() >= {"model": "fraud", "environment": "production"}.items()


def test_the_other_engine_runs_what_was_proposed(place: Line) -> None:
    written(place)
    place.edit(OVERLAY, "engines/gateway-api", "engines/argo-rollouts")
    objects = built(place)
    assert ("Deployment", "server-canary") not in objects
    stable = objects["Deployment", "server-stable"]["spec"]
    assert (stable["replicas"], stable["template"]["spec"]["containers"][0]["image"]) == (0, SECOND.image)
    (env,) = stable["template"]["spec"]["containers"][0]["env"]
    assert env["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.labels['trunkline.dev/track']"}}
    rollout = objects["Rollout", "server-rollout"]["spec"]
    router = rollout["strategy"]["canary"]["trafficRouting"]["plugins"]["argoproj-labs/gatewayAPI"]
    assert router == {"httpRoute": "server", "namespace": "fraud-production"}
    assert objects["HorizontalPodAutoscaler", "server"]["spec"]["scaleTargetRef"]["name"] == "server-rollout"
    assert [name for kind, name in objects if kind == "HTTPRoute"] == ["server"]
    asked = objects["AnalysisTemplate", "evidence"]["spec"]["args"]
    told = {arg["name"]: arg.get("value") for arg in asked}
    assert told["version"] == SECOND.version, "an argument is a string"
    assert (told["model"], told["environment"], told["weight"]) == ("fraud", "production", None)


def test_a_release_edited_by_hand_is_refused(place: Line) -> None:
    written(place)
    place.edit(path_of("fraud", "production"), "canary: 5", "canary: 50")
    assert f"{path_of('fraud', 'production')}: it was edited by hand" in place.render("fraud", code=1)


def test_the_release_of_another_environment_is_refused(place: Line) -> None:
    (place.root / path_of("fraud", "production")).write_text(dump(placeholder(REGISTRY, "fraud", "staging")))
    assert "is the release of fraud in staging" in place.render("fraud", code=1)


Fault = tuple[str, str, str, str]
"""A file, what stands in it, what somebody writes instead, and what is said of it."""

ROUTE, MONITOR, ROLLOUT = (
    f"k8s/{name}.yaml" for name in ("base/httproute", "base/servicemonitor", "engines/argo-rollouts/rollout")
)
FLUX, ARGO = "k8s/clusters/flux/production/fraud.yaml", "k8s/clusters/argo-cd/production/models.yaml"
TRAINJOB, JOB = "k8s/training/trainjob/trainjob.yaml", "k8s/training/job/job.yaml"


def found(place: Line, faults: list[Fault], *args: str) -> None:
    """All of these, made at once, are told at once."""
    for file, before, after, _ in faults:
        place.edit(file, before, after)
    said = place.render(*args, code=1)
    assert [words for *_, words in faults if words not in said] == [], said


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(
            [
                (DEPLOYMENT, "minReadySeconds: 5", "minReadySecond: 5", "minReadySecond: unknown field"),
                (ROUTE, "sectionName:", "section:", "section: unknown field"),
                (ROUTE, "labels:", "label:", "metadata.label: unknown field"),
                (MONITOR, "interval: 15s", "intervall: 15s", "spec.endpoints.0.intervall: unknown field"),
                ("k8s/base/prometheusrule.yaml", "for: 5m", "for: soon", "spec.groups.0.rules.0.for: "),
            ],
            id="schemas",
        ),
        pytest.param(
            [
                (DEPLOYMENT, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "write to its own image"),
                (ROUTE, "port: 80\n", "port: 8080\n", "has no port 8080"),
                (MONITOR, "name: server\n  endpoints", "name: x\n  endpoints", "selects no Services"),
                (
                    "k8s/base/poddisruptionbudget.yaml",
                    f"matchLabels:\n      {NAME}",
                    "matchLabels:\n      app: x",
                    "selects no pods",
                ),
                (
                    OVERLAY,
                    "components:",
                    "replicas: [{name: server-canary, count: 3}]\ncomponents:",
                    "3 replicas, but release.yaml",
                ),
                (OVERLAY, "components:", f"{WEIGHTS}components:", "weight of 50, but release.yaml says 100"),
            ],
            id="what one object says of another",
        ),
        [
            (
                "k8s/base/stable/kustomization.yaml",
                "includeSelectors: true",
                "includeSelectors: false",
                "the stable track",
            )
        ],
        [(OVERLAY, "namespace: fraud-production", "namespace: fraud-staging", "not in 'fraud-production'")],
        [(OVERLAY, "components:\n  - ../../../engines/gateway-api\n", "", "can change under its name")],
        [(OVERLAY, "../../../base", "../../../bases", "cannot be built")],
        [(DEPLOYMENT, "containerPort: 8080", 'containerPort: "8080"', "'8080' is not of type 'integer'")],
        [(DEPLOYMENT, "- name: server\n", "- name: model\n", "unable to find field")],
        [(ROUTE, "matches:", "match:", "unable to find field")],
    ],
)
def test_what_is_wrong_in_an_overlay_is_found(place: Line, faults: list[Fault]) -> None:
    found(place, faults, "fraud", "--environment", "production")


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(
            [
                (FLUX, "prune:", "pruned:", "spec: must have required property prune"),
                (FLUX.replace("fraud", "churn"), "wait:", "waits:", "spec.waits: unknown field"),
                (ARGO, "goTemplate:", "goTemplates:", "spec.goTemplates: unknown field"),
                ("k8s/runners/scaleset.yaml", "chartRef:", "chart:", "HelmRelease gpu-runners: spec."),
                (TRAINJOB, "runtimeRef:", "runtime:", "runtime: unknown field"),
                (JOB, "backoffLimit:", "backofLimit:", "backofLimit: unknown field"),
                (ROLLOUT, "canaryService:", "canaryServices:", "canaryServices: unknown field"),
            ],
            id="schemas",
        ),
        pytest.param(
            [
                (FLUX, "fraud/production", "fraud/prod", "is no folder with a kustomization"),
                (ARGO, "*/production/", "*/prod/", "matches the place of no release"),
                (
                    "k8s/runners/namespace.yaml",
                    "name: runners-system",
                    "name: fraud-production",
                    "makes it too, but differently",
                ),
                (JOB, "allowPrivilegeEscalation: false", "privileged: true", "may gain privileges"),
                ("k8s/training/job/service.yaml", "name: training\n  ports", "name: node\n  ports", "selects no pods"),
                (ROLLOUT, "setWeight: 25", "setWeight: 26", "patch the overlay"),
            ],
            id="what one object says of another",
        ),
        [(TRAINJOB, "numNodes:", "nodes:", "unable to find field")],
        [(ROLLOUT, "name: server-rollout", "name: rollout", "is not there")],
    ],
)
def test_what_is_wrong_beside_the_overlays_is_found(place: Line, faults: list[Fault]) -> None:
    found(place, faults)


def test_a_kind_without_a_schema_is_no_pass(place: Line) -> None:
    (place.root / "k8s/models/fraud/production/gadget.yaml").write_text(
        "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: gadget}\n"
    )
    place.edit(OVERLAY, "  - release.yaml\n", "  - release.yaml\n  - gadget.yaml\n")
    assert "no schema of Gadget in example.com/v1 was found" in place.render("fraud", code=2)


def test_packages_do_where_no_definition_lies_at_hand(place: Line, tmp_path: Path) -> None:
    place.render(TRUNKLINE_SCHEMAS=str(tmp_path))
    place.edit("k8s/base/httproute.yaml", "sectionName:", "section:")
    place.edit("k8s/training/trainjob/trainjob.yaml", "runtimeRef:", "runtime:")
    said = place.render(code=1, TRUNKLINE_SCHEMAS=str(tmp_path))
    assert "HTTPRoute server: spec.parentRefs.0.section: unknown field" in said
    assert "spec.runtime: unknown field" in said


def test_without_npms_packages_it_says_what_is_missing(place: Line) -> None:
    (place.root / "node_modules").unlink()
    assert " was found: `make setup` and `npm ci`" in place.render("fraud", code=2)


def test_an_environment_without_overlays_gets_those_the_bot_would_write(place: Line) -> None:
    place.edit("params.yaml", "    production:\n", "    preview:\n      steps: [100]\n    production:\n")
    assert "k8s/models/churn/preview" in place.render("--environment", "preview")
    for name, text in overlay("churn", "preview").items():
        (place.root / name).parent.mkdir(parents=True, exist_ok=True)
        (place.root / name).write_text(text)
    assert "k8s/clusters/flux/preview" in place.render()


def test_an_overlay_of_no_model_is_found(place: Line) -> None:
    shutil.copytree(place.root / "k8s/models/fraud/production", place.root / "k8s/models/fraud/beta")
    assert "k8s/models/fraud/beta is the overlay of a model or an environment that params.yaml" in place.render(code=1)


def test_an_environment_that_was_taken_out_leaves_overlays_to_delete(place: Line) -> None:
    text = (place.root / "params.yaml").read_text()
    (place.root / "params.yaml").write_text(text.partition("    production:\n")[0])
    assert "k8s/models/churn/production is the overlay of a model or an environment" in place.render(code=1)


def test_what_flux_bootstrap_writes_is_left_to_flux(place: Line) -> None:
    own = place.root / "k8s/clusters/flux/production/flux-system"
    own.mkdir()
    (own / "kustomization.yaml").write_text("kind: Kustomization\nresources: [gotk-components.yaml]\n")
    (own / "gotk-components.yaml").write_text("not even YAML: [")
    assert "flux-system" not in place.render()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("frad",), "there is no model 'frad' in params.yaml; did you mean 'fraud'?"),
        (("--environment", "productoin"), "there is no environment 'productoin' in params.yaml; did you mean"),
    ],
)
def test_unknown_names_are_refused(place: Line, args: tuple[str, ...], words: str) -> None:
    assert words in place.render(*args, code=1)
