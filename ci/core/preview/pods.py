"""What the Deployments of an overlay want to run, as far as one machine can do the same.

What it cannot do, or not faithfully, is refused: a preview that leaves something out would show another thing than what
a cluster runs.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.core.errors import ConfigurationError
from ci.core.manifests.objects import dig, has_all, name_of, namespace_of, of_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ci.core.manifests.objects import Object

MAKERS = ("StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod", "Rollout")
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
QUANTITY = re.compile(r"(\d+)(k|M|G|Ki|Mi|Gi)?")
GRACE = 30  # seconds, as Kubernetes has it where a pod says none


@dataclass(frozen=True)
class Probe:
    """An HTTP probe; times are in seconds."""

    path: str
    period: float
    timeout: float
    failures: int
    delay: float


@dataclass(frozen=True)
class Wanted:
    """What one Deployment wants. `key` tells its pod template from any other; times are in seconds, memory in bytes."""

    namespace: str
    name: str
    replicas: int
    key: str
    labels: Mapping[str, str]
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: Mapping[str, str]
    port: int
    port_name: str
    startup: Probe | None
    readiness: Probe | None
    liveness: Probe | None
    pre_stop: float
    grace: float
    memory: int | None
    user: str | None
    read_only: bool
    writable: tuple[str, ...]

    @property
    def owner(self) -> str:
        """`churn-production/server-stable`."""
        return f"{self.namespace}/{self.name}"


def wanted(objects: Sequence[Object]) -> list[Wanted]:
    """What the Deployments want. Raises ConfigurationError for what a preview cannot run as it is written."""
    for thing in objects:
        if thing.get("kind") in MAKERS:
            raise _refused(
                thing, f"a preview runs Deployments, not a {thing['kind']}; previews need engines/gateway-api"
            )
    return [_wanted(thing, objects) for thing in of_kind(objects, "Deployment")]


def selected(service: Object, among: Iterable[Wanted]) -> list[Wanted]:
    """Those whose pods a Service leads to. Raises ConfigurationError where it has no selector."""
    selector = dig(service, "spec", "selector")
    if not selector:
        raise _refused(service, "it has no selector, so it leads out of the preview")
    return [one for one in among if one.namespace == namespace_of(service) and has_all(selector, one.labels)]


def _wanted(thing: Object, objects: Sequence[Object]) -> Wanted:
    template = dig(thing, "spec", "template") or {}
    spec = dig(template, "spec") or {}
    containers = spec.get("containers") or []
    if len(containers) != 1 or spec.get("initContainers"):
        raise _refused(thing, "its pods have more than one container, and a preview runs one")
    (container,) = containers
    port = _port(thing, container)
    context = {**(spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    return Wanted(
        namespace=namespace_of(thing),
        name=str(dig(thing, "metadata", "name")),
        replicas=_replicas(thing, objects),
        key=hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10],
        labels=dict(dig(template, "metadata", "labels") or {}),
        image=str(container["image"]),
        command=tuple(container.get("command") or ()),
        args=tuple(container.get("args") or ()),
        env=_env(thing, container),
        port=port["containerPort"],
        port_name=str(port.get("name", "")),
        startup=_probe(thing, container, "startupProbe", port),
        readiness=_probe(thing, container, "readinessProbe", port),
        liveness=_probe(thing, container, "livenessProbe", port),
        pre_stop=_pre_stop(thing, container),
        grace=float(spec.get("terminationGracePeriodSeconds", GRACE)),
        memory=_memory(thing, dig(container, "resources", "limits", "memory")),
        user=None if user is None else str(user) if group is None else f"{user}:{group}",
        read_only=bool(context.get("readOnlyRootFilesystem")),
        writable=_writable(thing, spec, container),
    )


def _replicas(thing: Object, objects: Sequence[Object]) -> int:
    """What it says, else the least that its autoscaler would give it, else one."""
    said = dig(thing, "spec", "replicas")
    if said is not None:
        return int(said)
    for scaler in of_kind(objects, "HorizontalPodAutoscaler", namespace_of(thing)):
        target = dig(scaler, "spec", "scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) == ("Deployment", dig(thing, "metadata", "name")):
            return int(dig(scaler, "spec", "minReplicas") or 1)
    return 1


def _port(thing: Object, container: Mapping[str, Any]) -> Mapping[str, Any]:
    ports = container.get("ports") or []
    if len(ports) != 1:
        raise _refused(thing, f"its container has {len(ports)} ports, and a preview asks a pod at one")
    found: Mapping[str, Any] = ports[0]
    return found


def _env(thing: Object, container: Mapping[str, Any]) -> dict[str, str]:
    said = container.get("env") or []
    if container.get("envFrom") or any("valueFrom" in one for one in said):
        raise _refused(thing, "it takes variables from elsewhere in the cluster, and a preview knows only values")
    return {str(one["name"]): str(one.get("value", "")) for one in said}


def _probe(thing: Object, container: Mapping[str, Any], name: str, port: Mapping[str, Any]) -> Probe | None:
    said = container.get(name)
    if said is None:
        return None
    asked = said.get("httpGet")
    if (
        asked is None
        or set(asked) - {"path", "port"}
        or asked.get("port") not in {port.get("name"), port["containerPort"]}
    ):
        raise _refused(thing, f"its {name} is no plain httpGet of the container's port")
    return Probe(
        path=str(asked.get("path", "/")),
        period=float(said.get("periodSeconds", 10)),
        timeout=float(said.get("timeoutSeconds", 1)),
        failures=int(said.get("failureThreshold", 3)),
        delay=float(said.get("initialDelaySeconds", 0)),
    )


def _pre_stop(thing: Object, container: Mapping[str, Any]) -> float:
    lifecycle = container.get("lifecycle") or {}
    hook = lifecycle.get("preStop") or {}
    if set(lifecycle) - {"preStop"} or set(hook) - {"sleep"}:
        raise _refused(thing, "its lifecycle has another hook than a preStop that sleeps")
    return float(dig(hook, "sleep", "seconds") or 0)


def _memory(thing: Object, said: Any) -> int | None:
    if said is None:
        return None
    found = QUANTITY.fullmatch(str(said))
    if found is None:
        raise _refused(thing, f"its memory limit is '{said}', and a preview knows {', '.join(filter(None, UNITS))}")
    return int(found[1]) * UNITS[found[2] or ""]


def _writable(thing: Object, spec: Mapping[str, Any], container: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the empty volumes of a pod are."""
    for volume in spec.get("volumes") or []:
        if "emptyDir" not in volume:
            raise _refused(thing, f"its volume '{volume.get('name')}' is no emptyDir, and a preview has nothing else")
    return tuple(str(mount["mountPath"]) for mount in container.get("volumeMounts") or [])


def _refused(thing: Object, words: str) -> ConfigurationError:
    return ConfigurationError(f"{name_of(thing)} of {namespace_of(thing) or 'no namespace'}: {words}.")
