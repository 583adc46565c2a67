"""Kubernetes objects as data: what they are called, what runs pods, and how a selector reads labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What is wrong with one object."""

    object: str
    words: str


@dataclass(frozen=True)
class Pods:
    """Pods that one object makes. `hashed` where its controller narrows Services to one of its tracks by itself."""

    owner: str
    namespace: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    hashed: bool = False


def name_of(thing: Object) -> str:
    """`Deployment server-stable`."""
    return f"{thing.get('kind')} {dig(thing, 'metadata', 'name')}"


def namespace_of(thing: Object) -> str:
    """The namespace of an object, empty where it says none."""
    return str(dig(thing, "metadata", "namespace") or "")


def dig(thing: Any, *steps: str) -> Any:
    """What stands at `steps` below a mapping, None where the way ends before."""
    for step in steps:
        if not isinstance(thing, Mapping):
            return None
        thing = thing.get(step)
    return thing


def of_kind(objects: Sequence[Object], kind: str, namespace: str | None = None) -> Iterator[Object]:
    """The objects of a kind, of one namespace where it is given."""
    for thing in objects:
        if thing.get("kind") == kind and namespace in {None, namespace_of(thing)}:
            yield thing


def pods_of(objects: Sequence[Object]) -> list[Pods]:
    """Every kind of pod that the objects make, with the labels it will carry."""
    found: list[Pods] = []
    referred = {
        (namespace_of(rollout), dig(rollout, "spec", "workloadRef", "name")) for rollout in of_kind(objects, "Rollout")
    }
    for thing in objects:
        kind, name, namespace = thing.get("kind"), dig(thing, "metadata", "name"), namespace_of(thing)
        if kind == "Deployment" and (namespace, name) in referred:
            continue  # the Rollout makes its pods
        template = _template(thing, objects)
        if template is None:
            continue
        labels = dict(dig(template, "metadata", "labels") or {})
        if kind == "Job":  # its controller adds these
            labels |= {"job-name": str(name), "batch.kubernetes.io/job-name": str(name)}
        spec = dig(template, "spec") or {}
        canary = dig(thing, "spec", "strategy", "canary") if kind == "Rollout" else None
        tracks = [dig(canary, f"{track}Metadata", "labels") or {} for track in ("stable", "canary")] if canary else [{}]
        routed = dig(canary, "canaryService") is not None
        found += [Pods(name_of(thing), namespace, labels | track, spec, hashed=routed) for track in tracks]
    return found


def _template(thing: Object, objects: Sequence[Object]) -> Any:
    """The pod template of an object, None where it makes no pods of its own or none that can be known."""
    match thing.get("kind"):
        case "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job":
            return dig(thing, "spec", "template")
        case "CronJob":
            return dig(thing, "spec", "jobTemplate", "spec", "template")
        case "Pod":
            return thing
        case "PodTemplate":
            return dig(thing, "template")
        case "Rollout":
            wanted = dig(thing, "spec", "workloadRef", "name")
            referred = of_kind(objects, "Deployment", namespace_of(thing))
            named = (one for one in referred if dig(one, "metadata", "name") == wanted)
            return dig(thing, "spec", "template") or dig(next(named, {}), "spec", "template")
    return None


def selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector takes these labels; an empty one takes all, none at all takes nothing."""
    if selector is None:
        return False
    return has_all(dig(selector, "matchLabels") or {}, labels) and all(
        _holds(rule, labels) for rule in dig(selector, "matchExpressions") or ()
    )


def has_all(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether all `wanted` labels are among `labels`, which is how a Service selects."""
    return all(labels.get(key) == value for key, value in wanted.items())


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(rule["key"])
    match rule["operator"]:
        case "In":
            return value in rule["values"]
        case "NotIn":
            return value not in rule["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False
