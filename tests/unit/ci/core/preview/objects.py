"""Objects of one model in one environment, as kustomize builds them, in short."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

NAMESPACE = "toy-production"


def deployment(track: str, *, replicas: int | None = 1, version: str = "1", **pod: Any) -> dict[str, Any]:
    """A Deployment; `pod` is more of its pods' spec."""
    container = {
        "name": "server",
        "image": f"registry.example.com/toy@sha256:{version * 64}",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "THREADS", "value": "2"}],
        "startupProbe": probe(periodSeconds=1, failureThreshold=3),
        "readinessProbe": probe(periodSeconds=5, failureThreshold=2),
        "livenessProbe": probe(periodSeconds=10, timeoutSeconds=5),
        "lifecycle": {"preStop": {"sleep": {"seconds": 10}}},
        "resources": {"limits": {"memory": "512Mi"}},
        "securityContext": {"readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    labels = {"trunkline.dev/track": track, "trunkline.dev/version": version, "trunkline.dev/environment": "production"}
    spec = {
        "terminationGracePeriodSeconds": 60,
        "securityContext": {"runAsUser": 10001, "runAsGroup": 10001},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        **pod,
    }
    made = {"template": {"metadata": {"labels": labels}, "spec": spec}}
    if replicas is not None:
        made["replicas"] = replicas  # type: ignore[assignment]
    return thing("Deployment", f"server-{track}", made)


def probe(**more: Any) -> dict[str, Any]:
    """An HTTP probe."""
    return {"httpGet": {"path": "/v2/health/ready", "port": "http"}, **more}


def service(track: str) -> dict[str, Any]:
    """A Service of one track."""
    made = {
        "selector": {"trunkline.dev/track": track},
        "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
    }
    return {**thing("Service", f"server-{track}", made), "metadata": {**_meta(f"server-{track}"), "labels": {"a": "b"}}}


def route(*rules: dict[str, Any], name: str = "server", **spec: Any) -> dict[str, Any]:
    """An HTTPRoute."""
    made = {"hostnames": ["production.models.example.com"], "rules": list(rules), **spec}
    return thing("HTTPRoute", name, made)


def rule(stable: int | None = 95, canary: int | None = 5, **more: Any) -> dict[str, Any]:
    """A rule for the model's path, with the weights of the backends that it has."""
    weights = {"stable": stable, "canary": canary}
    refs = [{"name": f"server-{track}", "port": 80, "weight": w} for track, w in weights.items() if w is not None]
    return deepcopy({"matches": [match()], "backendRefs": refs, **more})


def match(**more: Any) -> dict[str, Any]:
    """A match of the model's path."""
    return {"path": {"type": "PathPrefix", "value": "/v2/models/toy"}, **more}


def thing(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """An object."""
    return {"apiVersion": "v1", "kind": kind, "metadata": _meta(name), "spec": spec}


def everything(*routes: dict[str, Any]) -> list[dict[str, Any]]:
    """Both tracks and their routes, one with weights where none is given."""
    tracks = ("stable", "canary")
    return [*map(deployment, tracks), *map(service, tracks), *(routes or (route(rule()),))]


def _meta(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": NAMESPACE}
