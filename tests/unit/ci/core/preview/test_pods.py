from __future__ import annotations

from typing import Any

import pytest

from ci.core.errors import ConfigurationError
from ci.core.preview.pods import Probe, selected, wanted
from tests.unit.ci.core.preview.objects import deployment, probe, service, thing


def scaler(track: str, least: int) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"server-{track}"}
    return thing("HorizontalPodAutoscaler", "server", {"scaleTargetRef": target, "minReplicas": least})


def with_container(**more: Any) -> dict[str, Any]:
    made = deployment("stable")
    made["spec"]["template"]["spec"]["containers"][0] |= more
    return made


def test_all_that_counts_of_a_pod_is_read() -> None:
    (one,) = wanted([deployment("stable")])
    assert (one.owner, one.replicas, one.port, one.port_name) == ("toy-production/server-stable", 1, 8080, "http")
    assert one.env == {"THREADS": "2"}
    assert one.startup == Probe("/v2/health/ready", period=1, timeout=1, failures=3, delay=0)
    assert one.liveness == Probe("/v2/health/ready", period=10, timeout=5, failures=3, delay=0)
    assert (one.pre_stop, one.grace, one.memory) == (10, 60, 512 << 20)
    assert (one.user, one.read_only, one.writable) == ("10001:10001", True, ("/tmp",))


def test_replicas_are_the_autoscalers_least_where_the_deployment_says_none() -> None:
    stable, canary = wanted([deployment("stable", replicas=None), deployment("canary"), scaler("stable", 2)])
    assert (stable.replicas, canary.replicas) == (2, 1)
    assert wanted([deployment("stable", replicas=None)])[0].replicas == 1
    assert wanted([deployment("stable", replicas=0), scaler("stable", 2)])[0].replicas == 0


def test_another_pod_template_is_another_key_and_another_size_is_not() -> None:
    one, more, other = (
        wanted([made])[0].key
        for made in (deployment("stable"), deployment("stable", replicas=3), deployment("stable", version="2"))
    )
    assert one == more
    assert one != other


def test_a_service_leads_to_the_pods_that_its_selector_takes() -> None:
    pods = wanted([deployment("stable"), deployment("canary")])
    assert [one.name for one in selected(service("canary"), pods)] == ["server-canary"]
    with pytest.raises(ConfigurationError, match="it has no selector, so it leads out of the preview"):
        selected(thing("Service", "other", {}), pods)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (thing("Rollout", "server-rollout", {}), "a preview runs Deployments, not a Rollout"),
        (deployment("stable", initContainers=[{}]), "more than one container"),
        (deployment("stable", volumes=[{"name": "data", "configMap": {}}]), "its volume 'data' is no emptyDir"),
        (with_container(env=[{"name": "A", "valueFrom": {}}]), "takes variables from elsewhere"),
        (with_container(envFrom=[{}]), "takes variables from elsewhere"),
        (with_container(ports=[]), "its container has 0 ports"),
        (with_container(readinessProbe={"exec": {}}), "its readinessProbe is no plain httpGet"),
        (with_container(livenessProbe=probe(httpGet={"path": "/", "port": 9})), "its livenessProbe is no plain"),
        (with_container(lifecycle={"postStart": {}}), "another hook than a preStop that sleeps"),
        (with_container(lifecycle={"preStop": {"exec": {}}}), "another hook than a preStop that sleeps"),
        (with_container(resources={"limits": {"memory": "1e3"}}), "its memory limit is '1e3'"),
    ],
)
def test_what_a_preview_would_run_otherwise_than_a_cluster_is_refused(made: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        wanted([made])
