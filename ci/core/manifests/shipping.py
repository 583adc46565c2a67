"""Whether an overlay really runs what its release.yaml says: a patch can take it back, and an engine can be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.core.manifests.objects import Finding, dig, has_all, name_of, namespace_of, of_kind, pods_of
from ci.core.release import namespace_of as expected_namespace
from ci.core.units import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ci.core.manifests.objects import Object, Pods
    from ci.core.release import Release, Spec

TRACK = "trunkline.dev/track"
CLUSTER_WIDE = ("Namespace",)


def check(objects: Sequence[Object], release: Release) -> list[Finding]:
    """Images, labels, routes, replicas and namespace that differ from what release.yaml says."""
    spec, pods = release.spec, pods_of(objects)
    found = [*_places(objects, spec), *_pods(pods, spec), *_routes(objects, pods, spec), *_canaries(objects, spec)]
    found += _asked(objects, spec)
    return list(dict.fromkeys(found))


def _places(objects: Sequence[Object], spec: Spec) -> Iterator[Finding]:
    wanted = expected_namespace(spec.model, spec.environment)
    for thing in objects:
        where = dig(thing, "metadata", "name") if thing.get("kind") in CLUSTER_WIDE else namespace_of(thing)
        if where != wanted:
            yield Finding(name_of(thing), f"it is in namespace '{where}', not in '{wanted}'; set it in the overlay")


def _pods(pods: Sequence[Pods], spec: Spec) -> Iterator[Finding]:
    tracks = {one.labels.get(TRACK) for one in pods}
    for track in ("stable", "canary"):
        if track not in tracks:
            yield Finding("the overlay", f"it makes no pods of the {track} track")
    for one in pods:
        # Argo Rollouts is given what is wanted, and keeps what is stable by itself.
        track = "canary" if one.hashed else str(one.labels.get(TRACK))
        image, version = getattr(spec.images, track, None), getattr(spec.versions, track, None)
        images = {container.get("image") for container in one.spec.get("containers") or ()}
        if image not in images:
            yield Finding(one.owner, f"none of its containers runs the {track} image of release.yaml, {image}")
        wanted = {"model": spec.model, "environment": spec.environment, "version": version}
        for key, value in wanted.items():
            if one.labels.get(f"trunkline.dev/{key}") != value:
                yield Finding(one.owner, f"its pods' label trunkline.dev/{key} is not '{value}'")


def _routes(objects: Sequence[Object], pods: Sequence[Pods], spec: Spec) -> Iterator[Finding]:
    """Weights, and what of units and copies is asked for, of all routes together."""
    tracks, routes = _tracks(objects, pods), list(of_kind(objects, "HTTPRoute"))
    if not routes:
        yield Finding("the overlay", "it has no HTTPRoute, so nobody can ask the model")
    units, mirrored = set(), set()
    for route in routes:
        for rule in dig(route, "spec", "rules") or ():
            yield from _weights(name_of(route), rule, tracks, spec)
            units |= _of_units(rule)
            mirrored |= _copied(rule, tracks)
    if not tracks:  # the routes are the business of a controller, which splits requests alone
        if spec.split == "unit" or spec.shadow:
            words = "its engine splits requests alone, but release.yaml splits units or sends copies"
            yield Finding("the overlay", f"{words}; see `split` and `shadow` of the environment in params.yaml")
        return
    for what, found, wanted, needed in (
        ("the units of the canary", units, spec.routes.units, spec.split == "unit"),
        ("the path that is copied to the canary", mirrored, spec.routes.mirrored, spec.shadow),
    ):
        if found - {wanted} or (needed and not found):
            said = " and ".join(sorted(found)) or "by no route"
            yield Finding("the overlay", f"{what} are given as {said}, but release.yaml says {wanted}")


def _weights(route: str, rule: Mapping[str, Any], tracks: Mapping[str, str], spec: Spec) -> Iterator[Finding]:
    backends = list(rule.get("backendRefs") or ())
    if len(backends) == 1 and (_of_units(rule) or _copied(rule, tracks)):
        wanted = "canary" if _of_units(rule) else "stable"
        if tracks.get(backends[0].get("name"), wanted) != wanted:
            yield Finding(route, f"its requests are the {wanted}'s to answer, but go to {backends[0].get('name')}")
        return
    for backend in backends:
        track = tracks.get(backend.get("name"))
        wanted = getattr(spec.routes, track) if track else backend.get("weight")
        if backend.get("weight") != wanted:
            words = f"gives {backend.get('name')} a weight of {backend.get('weight')}"
            yield Finding(route, f"it {words}, but release.yaml says {wanted}")


def _of_units(rule: Mapping[str, Any]) -> set[str]:
    """The patterns of units that a rule takes."""
    headers = [header for match in rule.get("matches") or () for header in match.get("headers") or ()]
    return {str(header.get("value")) for header in headers if str(header.get("name")).lower() == HEADER.lower()}


def _copied(rule: Mapping[str, Any], tracks: Mapping[str, str]) -> set[str]:
    """The paths of a rule that sends copies to the canary."""
    targets = (dig(one, "requestMirror", "backendRef", "name") for one in rule.get("filters") or ())
    if "canary" not in map(tracks.get, targets):
        return set()
    return {str(dig(match, "path", "value")) for match in rule.get("matches") or ()}


def _tracks(objects: Sequence[Object], pods: Sequence[Pods]) -> Mapping[str, str]:
    """The track that each Service leads to, of those whose weights are Git's business."""
    found = {}
    for service in of_kind(objects, "Service"):
        for one in pods:
            if not one.hashed and has_all(dig(service, "spec", "selector") or {}, one.labels):
                found[str(dig(service, "metadata", "name"))] = str(one.labels.get(TRACK))
    return {name: track for name, track in found.items() if track in {"stable", "canary"}}


def _asked(objects: Sequence[Object], spec: Spec) -> Iterator[Finding]:
    """Questions about another canary than that of release.yaml."""
    wanted = {"model": spec.model, "environment": spec.environment, "version": spec.versions.canary}
    for template in of_kind(objects, "AnalysisTemplate"):
        for arg in dig(template, "spec", "args") or ():
            key, value = arg.get("name"), arg.get("value")
            if key in wanted and value != wanted[key]:
                yield Finding(name_of(template), f"it asks about {key} '{value}', but release.yaml says {wanted[key]}")


def _canaries(objects: Sequence[Object], spec: Spec) -> Iterator[Finding]:
    for thing in of_kind(objects, "Deployment"):
        labels = dig(thing, "spec", "template", "metadata", "labels") or {}
        if labels.get(TRACK) == "canary" and dig(thing, "spec", "replicas") != spec.replicas.canary:
            words = f"it has {dig(thing, 'spec', 'replicas')} replicas, but release.yaml says {spec.replicas.canary}"
            yield Finding(name_of(thing), words)
