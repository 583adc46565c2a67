"""Selectors that select nothing, pods that ask for too much, overlays that run something else than they say."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.core.errors import ConfigurationError
from ci.core.manifests import clusters, engines, hardening, overlays, places, selecting, shipping
from ci.core.manifests.objects import Finding, pods_of, selects
from ci.core.params import Environment
from ci.core.release import Release, dump, namespace_of, parse, path_of, release

if TYPE_CHECKING:
    from collections.abc import Sequence

Objects = list[dict[str, Any]]
Break = Callable[[dict[str, Any]], object]

FIRST = overlays.placeholder("registry.example.com/line", "fraud", "production").spec.stable
SECOND = FIRST.model_copy(update={"image": FIRST.image.replace("0" * 64, "2" * 64), "version": "2"})
CANARY = release("fraud", "production", stable=FIRST, canary=SECOND, weight=5)
ALONE = release("fraud", "production", stable=FIRST)

CONTAINER = """
name: server
ports: [{name: http, containerPort: 8080}]
resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 1Gi}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
"""
OTHERS = """
kind: ServiceAccount
metadata: {name: server}
---
kind: HTTPRoute
metadata: {name: server}
spec:
  rules:
    - backendRefs: [{name: stable, port: 80, weight: 95}, {name: canary, port: 80, weight: 5}]
---
kind: HTTPRoute
metadata: {name: units}
spec:
  rules:
    - matches: [{headers: [{type: RegularExpression, name: X-Trunkline-Unit, value: ^-$}]}]
      backendRefs: [{name: canary, port: 80}]
---
kind: HTTPRoute
metadata: {name: shadow}
spec:
  rules:
    - matches: [{path: {type: Exact, value: /v2/models/fraud/-}}]
      filters: [{type: RequestMirror, requestMirror: {backendRef: {name: canary, port: 80}}}]
      backendRefs: [{name: stable, port: 80}]
---
kind: HorizontalPodAutoscaler
metadata: {name: server}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: stable}}
---
kind: PodDisruptionBudget
metadata: {name: server}
spec: {selector: {matchLabels: {app: server}}}
---
kind: NetworkPolicy
metadata: {name: server}
spec: {podSelector: {matchExpressions: [{key: app, operator: In, values: [server]}]}}
---
kind: ServiceMonitor
metadata: {name: server}
spec: {selector: {matchLabels: {app: server}}, endpoints: [{port: http}]}
"""


def line(made: Release = CANARY) -> Objects:
    """An overlay that keeps to everything."""
    objects = list(yaml.safe_load_all(OTHERS))
    for track in ("stable", "canary"):
        labels = {"app": "server", "trunkline.dev/track": track}
        stated = {"model": "fraud", "environment": "production", "version": getattr(made.spec.versions, track)}
        spec = {
            "serviceAccountName": "server",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{**yaml.safe_load(CONTAINER), "image": getattr(made.spec.images, track)}],
            "topologySpreadConstraints": [{"labelSelector": {"matchLabels": dict(labels)}}],
        }
        template = {
            "metadata": {"labels": labels | {f"trunkline.dev/{key}": value for key, value in stated.items()}},
            "spec": spec,
        }
        deployment: dict[str, Any] = {"selector": {"matchLabels": dict(labels)}, "template": template}
        if track == "canary":
            deployment["replicas"] = made.spec.replicas.canary
        objects += [
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": track}, "spec": deployment},
            {
                "kind": "Service",
                "metadata": {"name": track, "labels": {"app": "server"}},
                "spec": {"selector": dict(labels), "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
            },
        ]
    for thing in objects:
        thing.setdefault("apiVersion", "v1")
        thing["metadata"]["namespace"] = "fraud-production"
    return objects


def rollouts() -> Objects:
    """The same under Argo Rollouts: one pod template, two Services that its controller tells apart."""
    objects = [thing for thing in line() if (thing["kind"], thing["metadata"]["name"]) != ("Deployment", "canary")]
    objects.append(
        yaml.safe_load(
            """
            apiVersion: argoproj.io/v1alpha1
            kind: Rollout
            metadata: {name: rollout, namespace: fraud-production}
            spec:
              selector: {matchLabels: {app: server}}
              workloadRef: {apiVersion: apps/v1, kind: Deployment, name: stable}
              strategy:
                canary:
                  stableService: stable
                  canaryService: canary
                  stableMetadata: {labels: {trunkline.dev/track: stable}}
                  canaryMetadata: {labels: {trunkline.dev/track: canary}}
                  trafficRouting:
                    plugins: {argoproj-labs/gatewayAPI: {httpRoute: server, namespace: fraud-production}}
                  steps:
                    - setWeight: 5
                    - analysis: {templates: [{templateName: evidence}], args: [{name: weight, value: "5"}]}
                    - pause: {}
                    - setWeight: 50
                    - analysis: {templates: [{templateName: evidence}], args: [{name: weight, value: "50"}]}
            """
        )
    )
    objects.append(yaml.safe_load("{kind: AnalysisTemplate, metadata: {name: evidence, namespace: fraud-production}}"))
    for thing in objects:
        if thing["kind"] == "Service":
            thing["spec"]["selector"] = {"app": "server"}
        if thing["kind"] == "HorizontalPodAutoscaler":
            thing["spec"]["scaleTargetRef"] = {
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "rollout",
            }  # fmt: skip
        if thing["kind"] == "Deployment":
            template = thing["spec"]["template"]
            template["metadata"]["labels"]["trunkline.dev/version"] = CANARY.spec.versions.canary
            template["spec"]["containers"][0]["image"] = CANARY.spec.images.canary
    return objects


def broken(objects: Objects, kind: str, name: str, change: Break) -> Objects:
    """A copy in which `change` was made to one object, which must be there."""
    objects = copy.deepcopy(objects)
    (thing,) = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    change(thing)
    return objects


def everything(objects: Sequence[dict[str, Any]], made: Release = CANARY) -> list[Finding]:
    return selecting.check(objects) + hardening.check(objects) + shipping.check(objects, made)


def pod(thing: dict[str, Any]) -> Any:
    return thing["spec"]["template"]["spec"]


def container(thing: dict[str, Any]) -> Any:
    return pod(thing)["containers"][0]


@pytest.mark.parametrize("objects", [line(), rollouts()], ids=["gateway-api", "argo-rollouts"])
def test_nothing_is_found_where_all_is_well(objects: Objects) -> None:
    assert everything(objects) == []


def test_a_release_without_canary_is_run_as_well() -> None:
    objects = broken(line(ALONE), "HTTPRoute", "server", lambda one: weigh(one, 100, 0))
    assert everything(objects, ALONE) == []


def test_a_pod_stands_by_for_a_first_step() -> None:
    """A weight counts at once; without a pod behind it, its share of the requests would fail."""
    assert ALONE.spec.replicas == CANARY.spec.replicas
    assert ALONE.spec.replicas.canary == 1


def weigh(route: dict[str, Any], stable: int, canary: int) -> None:
    backends = route["spec"]["rules"][0]["backendRefs"]
    backends[0]["weight"], backends[1]["weight"] = stable, canary


def header(value: str) -> Break:
    return lambda route: route["spec"]["rules"][0]["matches"][0]["headers"][0].update(value=value)


def backend(name: str) -> Break:
    return lambda route: route["spec"]["rules"][0]["backendRefs"][0].update(name=name)


@pytest.mark.parametrize(
    ("kind", "name", "change", "words"),
    [
        ("Service", "stable", lambda s: s["spec"]["selector"].update(app="other"), "selects no pods"),
        ("Service", "stable", lambda s: s["spec"]["ports"][0].update(targetPort="web"), "target port 'web' is no port"),
        ("Service", "stable", lambda s: s["metadata"].update(namespace="elsewhere"), "selects no pods"),
        ("Deployment", "stable", lambda d: d["spec"]["selector"]["matchLabels"].update(app="x"), "its own template"),
        ("Deployment", "stable", lambda d: pod(d).update(serviceAccountName="root"), "service account 'root' is not"),
        (
            "Deployment",
            "stable",
            lambda d: pod(d)["topologySpreadConstraints"][0].update(labelSelector={"matchLabels": {"app": "x"}}),
            "topologySpreadConstraint",
        ),
        (
            "PodDisruptionBudget",
            "server",
            lambda b: b["spec"]["selector"]["matchLabels"].update(x="y"),
            "selects no pods",
        ),
        (
            "NetworkPolicy",
            "server",
            lambda p: p["spec"]["podSelector"]["matchExpressions"][0].update(operator="NotIn"),
            "selects no pods",
        ),
        ("ServiceMonitor", "server", lambda m: m["spec"]["selector"]["matchLabels"].update(app="x"), "no Services"),
        (
            "ServiceMonitor",
            "server",
            lambda m: m["spec"]["endpoints"][0].update(port="web"),
            "no named port of Service",
        ),
        ("HorizontalPodAutoscaler", "server", lambda a: a["spec"]["scaleTargetRef"].update(name="x"), "is not there"),
        (
            "HTTPRoute",
            "server",
            lambda r: r["spec"]["rules"][0]["backendRefs"][0].update(name="x"),
            "backend 'x' is no Service",
        ),
        ("HTTPRoute", "server", lambda r: r["spec"]["rules"][0]["backendRefs"][0].update(port=81), "has no port 81"),
        (
            "HTTPRoute",
            "shadow",
            lambda r: r["spec"]["rules"][0]["filters"][0]["requestMirror"]["backendRef"].update(name="x"),
            "backend 'x' is no Service",
        ),
        ("HTTPRoute", "server", lambda r: weigh(r, 95, 50), "add up to 145"),
        (
            "Service",
            "canary",
            lambda s: s["spec"]["selector"].update({"trunkline.dev/track": "stable"}),
            "both lead to the pods of Deployment stable",
        ),
    ],
)
def test_what_refers_to_nothing_is_found(kind: str, name: str, change: Break, words: str) -> None:
    found = selecting.check(broken(line(), kind, name, change))
    assert any(words in one.words for one in found), found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["spec"]["workloadRef"].update(name="x"), "names Deployment x"),
        (lambda r: r["spec"]["strategy"]["canary"].update(canaryService="x"), "names Service x"),
        (
            lambda r: r["spec"]["strategy"]["canary"]["trafficRouting"]["plugins"]["argoproj-labs/gatewayAPI"].update(
                namespace="elsewhere"
            ),
            "names HTTPRoute server in namespace elsewhere",
        ),
        (lambda r: r["spec"]["selector"]["matchLabels"].update({"trunkline.dev/track": "stable"}), "its own pods"),
    ],
)
def test_a_rollout_that_names_nothing_is_found(change: Break, words: str) -> None:
    found = selecting.check(broken(rollouts(), "Rollout", "rollout", change))
    assert any(words in one.words for one in found), found


def test_a_rollout_takes_the_steps_of_params_yaml() -> None:
    assert engines.steps(rollouts(), Environment(steps=[5, 50, 100], approve=[50])) == []
    (found,) = engines.steps(rollouts(), Environment(steps=[100]))
    assert found.words.startswith("its steps set 5 %, ask about 5 %, wait for a person, set 50 %, ask about 50 %, but")
    assert "but params.yaml's do nothing; patch" in found.words
    asks = [{"name": "weight", "value": "5"}]
    other = broken(
        rollouts(),
        "Rollout",
        "rollout",
        lambda r: r["spec"]["strategy"]["canary"]["steps"][4]["analysis"].update(args=asks),
    )
    assert "set 50 %, ask about 5 %" in engines.steps(other, Environment(steps=[5, 50, 100], approve=[50]))[0].words
    for steps in ([5, 50, 100], [5, 25, 100]):
        assert engines.steps(rollouts(), Environment(steps=steps)), "nothing is to be waited for"


def test_a_rollout_asks_a_template_that_is_there() -> None:
    objects = [thing for thing in rollouts() if thing["kind"] != "AnalysisTemplate"]
    assert any("names AnalysisTemplate evidence" in one.words for one in selecting.check(objects))


def test_the_engine_of_an_overlay_is_the_component_that_it_takes_in() -> None:
    folder = "k8s/models/fraud/production"
    assert engines.engine_of(folder, yaml.safe_load(overlays.OVERLAY)) == "gateway-api"
    assert engines.engine_of(folder, {"components": ["own", "../../../engines/argo-rollouts"]}) == "argo-rollouts"
    assert engines.engine_of(folder, {}) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: pod(d).update(hostNetwork=True), "hostNetwork"),
        (lambda d: pod(d).update(volumes=[{"name": "root", "hostPath": {"path": "/"}}]), "is a hostPath"),
        (lambda d: pod(d)["securityContext"].pop("runAsNonRoot"), "may run as root"),
        (lambda d: pod(d)["securityContext"].update(runAsUser=0), "may run as root"),
        (lambda d: container(d)["securityContext"].update(runAsNonRoot=False), "may run as root"),
        (lambda d: pod(d)["securityContext"].pop("seccompProfile"), "seccompProfile is None"),
        (lambda d: container(d)["securityContext"].pop("allowPrivilegeEscalation"), "may gain privileges"),
        (lambda d: container(d)["securityContext"].update(privileged=True), "may gain privileges"),
        (lambda d: container(d)["securityContext"]["capabilities"].update(drop=[]), "keeps capabilities"),
        (lambda d: container(d)["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]), "keeps capabilities"),
        (lambda d: container(d)["securityContext"].pop("readOnlyRootFilesystem"), "write to its own image"),
        (lambda d: container(d)["resources"]["requests"].pop("cpu"), "requests no cpu"),
        (lambda d: container(d)["resources"].pop("limits"), "no memory limit"),
        (lambda d: container(d).update(image="fraud:latest"), "'fraud:latest', which can change under its name"),
        (lambda d: pod(d).update(initContainers=[{"name": "first", "image": "x"}]), "container 'first': "),
        (lambda d: d["spec"]["template"]["metadata"]["labels"].update(version="x" * 64), "no label's value"),
        (lambda d: d["metadata"].update(labels={"version": "-1"}), "no label's value"),
    ],
)
def test_pods_that_ask_for_too_much_are_found(change: Break, words: str) -> None:
    found = hardening.check(broken(line(), "Deployment", "stable", change))
    assert any(words in one.words and one.object == "Deployment stable" for one in found), found


@pytest.mark.parametrize("kind", ["Job", "CronJob", "TrainJob"])
def test_other_kinds_that_run_images_are_held_to_digests(kind: str) -> None:
    template = {"spec": {"containers": [{"name": "train", "image": "train:1"}]}}
    specs = {
        "Job": {"template": template},
        "CronJob": {"jobTemplate": {"spec": {"template": template}}},
        "TrainJob": {"trainer": {"image": "train:1"}},
    }
    found = hardening.check([{"kind": kind, "metadata": {"name": "train"}, "spec": specs[kind]}])
    assert any("name it by digest" in one.words for one in found), found


def test_a_jobs_pods_carry_the_labels_that_its_controller_adds() -> None:
    job = {"kind": "Job", "metadata": {"name": "train", "namespace": "t"}, "spec": {"template": {"spec": {}}}}
    (pods,) = pods_of([job])
    assert selects({"matchLabels": {"batch.kubernetes.io/job-name": "train"}}, pods.labels)


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not selects(None, {"a": "b"})
    assert selects({}, {"a": "b"})
    assert selects({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": "b"})
    assert not selects({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": "b"})


@pytest.mark.parametrize(
    ("kind", "name", "change", "words"),
    [
        ("Deployment", "stable", lambda d: container(d).update(image="other@sha256:1"), "runs the stable image"),
        (
            "Deployment",
            "canary",
            lambda d: d["spec"]["template"]["metadata"]["labels"].update({"trunkline.dev/version": "9"}),
            "label trunkline.dev/version is not '2'",
        ),
        ("Deployment", "canary", lambda d: d["spec"].update(replicas=0), "0 replicas, but release.yaml says 1"),
        ("HTTPRoute", "server", lambda r: weigh(r, 50, 50), "weight of 50, but release.yaml says 95"),
        (
            "HTTPRoute",
            "units",
            header("^[0-3]"),
            "the units of the canary are given as ^[0-3], but release.yaml says ^-$",
        ),
        ("HTTPRoute", "units", backend("stable"), "its requests are the canary's to answer, but go to stable"),
        ("HTTPRoute", "shadow", backend("canary"), "its requests are the stable's to answer, but go to canary"),
        (
            "HTTPRoute",
            "shadow",
            lambda r: r["spec"]["rules"][0]["matches"][0]["path"].update(value="/v2/models/fraud/infer"),
            "copied to the canary are given as /v2/models/fraud/infer, but release.yaml says /v2/models/fraud/-",
        ),
        ("ServiceAccount", "server", lambda a: a["metadata"].update(namespace="default"), "in namespace 'default'"),
    ],
)
def test_an_overlay_that_runs_something_else_is_found(kind: str, name: str, change: Break, words: str) -> None:
    found = shipping.check(broken(line(), kind, name, change), CANARY)
    assert any(words in one.words for one in found), found


def test_a_question_about_another_canary_is_found() -> None:
    args = [{"name": "version", "value": "1"}, {"name": "weight"}]
    objects = broken(rollouts(), "AnalysisTemplate", "evidence", lambda one: one.update(spec={"args": args}))
    (found,) = shipping.check(objects, CANARY)
    assert found.words == "it asks about version '1', but release.yaml says 2"


def test_an_overlay_without_routes_is_found() -> None:
    objects = [thing for thing in line() if thing["kind"] != "HTTPRoute"]
    (found,) = shipping.check(objects, CANARY)
    assert "no HTTPRoute" in found.words


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (release("fraud", "production", stable=FIRST, canary=SECOND, weight=5, split="unit"), "units of the canary"),
        (release("fraud", "production", stable=FIRST, canary=SECOND, shadow=True), "path that is copied to the canary"),
    ],
)
def test_what_nothing_splits_or_copies_is_found(made: Release, words: str) -> None:
    assert any(words in one.words for one in shipping.check(line(made), made))
    objects = [thing for thing in line(made) if thing["metadata"]["name"] not in {"units", "shadow"}]
    assert any(f"{words} are given as by no route" in one.words for one in shipping.check(objects, made))
    assert any("its engine splits requests alone" in one.words for one in shipping.check(rollouts(), made))


def test_an_overlay_without_a_track_is_found() -> None:
    objects = [thing for thing in line() if thing["metadata"]["name"] != "canary"]
    assert Finding("the overlay", "it makes no pods of the canary track") in shipping.check(objects, CANARY)


def test_the_files_of_a_new_model_point_to_each_other() -> None:
    made = overlays.overlay("card_loan", "production")
    kustomization = yaml.safe_load(made["k8s/models/card_loan/production/kustomization.yaml"])
    assert (kustomization["namespace"], kustomization["resources"][-1]) == ("card-loan-production", "release.yaml")
    pointer = yaml.safe_load(made["k8s/clusters/flux/production/card_loan.yaml"])
    assert clusters.pointers([pointer], ["k8s/models/card_loan/production"], []) == []
    (found,) = clusters.pointers([pointer], ["k8s/models/fraud/production"], [])
    assert "is no folder with a kustomization.yaml" in found.words


def test_a_pattern_that_no_release_matches_is_found() -> None:
    generators = [{"git": {"files": [{"path": "k8s/models/*/production/release.yaml"}]}}]
    pointer = {"kind": "ApplicationSet", "metadata": {"name": "models"}, "spec": {"generators": generators}}
    assert clusters.pointers([pointer], [], [path_of("fraud", "production")]) == []
    assert len(clusters.pointers([pointer], [], [path_of("fraud", "staging")])) == 1


def test_two_places_that_make_one_object_differently_are_found() -> None:
    same = line()[:2]
    assert clusters.shared({"k8s/a": line()[:1], "k8s/b": same}) == {}
    other = [{**same[0], "automountServiceAccountToken": False}]
    words = "k8s/a makes it too, but differently"
    assert clusters.shared({"k8s/a": same, "k8s/b": other}) == {"k8s/b": [Finding("ServiceAccount server", words)]}


def test_names_that_make_no_namespace_are_refused() -> None:
    assert namespace_of("card_loan", "eu-west") == "card-loan-eu-west"
    with pytest.raises(ConfigurationError, match="shorten either name"):
        namespace_of("m" * 64, "production")


def test_a_placeholder_is_a_release_like_any_other() -> None:
    made = overlays.placeholder("registry.example.com/line", "fraud", "production")
    assert parse(dump(made), "release.yaml") == made


def test_only_what_nothing_takes_in_is_built() -> None:
    described: dict[str, dict[str, Any]] = {
        "k8s/base": {"resources": ["stable"]},
        "k8s/base/stable": {},
        "k8s/engines/one": {"kind": "Component", "components": ["../shared"]},
        "k8s/engines/shared": {"kind": "Component"},
        "k8s/engines/two": {"kind": "Component", "components": ["../shared"]},
        "k8s/models/fraud/production": {"resources": ["../../../base"], "components": ["../../../engines/one", "own"]},
    }
    assert places.built(described) == ("k8s/models/fraud/production",)
    assert places.spare(described) == ("k8s/engines/two",)
    folder = "k8s/models/fraud/production"
    swapped = places.with_engine(folder, described[folder], "k8s/engines/two")
    assert swapped["components"] == ["../../../engines/two", "own"]
