"""Whether what an agent is pointed at is there, and whether two places want one object differently."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ci.core.manifests.objects import Finding, dig, name_of, namespace_of, of_kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ci.core.manifests.objects import Object

FLUX = "kustomize.toolkit.fluxcd.io/"


def pointers(objects: Sequence[Object], folders: Collection[str], releases: Collection[str]) -> list[Finding]:
    """Pointers of Flux and of Argo CD to folders, and to release.yaml files, that the repository has not."""
    return [*_flux(objects, folders), *_argo(objects, releases)]


def shared(places: Mapping[str, Sequence[Object]]) -> dict[str, list[Finding]]:
    """Objects that two places make differently, told at the later one: whichever is applied last would have its way."""
    first: dict[tuple[str, str, str], tuple[str, Object]] = {}
    found: dict[str, list[Finding]] = {}
    for place, objects in places.items():
        for thing in objects:
            key = (str(thing.get("apiVersion")), name_of(thing), namespace_of(thing))
            owner, made = first.setdefault(key, (place, thing))
            if made != thing:
                found.setdefault(place, []).append(Finding(name_of(thing), f"{owner} makes it too, but differently"))
    return found


def _flux(objects: Sequence[Object], folders: Collection[str]) -> Iterator[Finding]:
    for pointer in of_kind(objects, "Kustomization"):
        path = str(dig(pointer, "spec", "path") or "").removeprefix("./")
        if str(pointer.get("apiVersion")).startswith(FLUX) and path not in folders:
            yield Finding(name_of(pointer), f"its path '{path}' is no folder with a kustomization.yaml")


def _argo(objects: Sequence[Object], releases: Collection[str]) -> Iterator[Finding]:
    for pointer in of_kind(objects, "ApplicationSet"):
        for generator in dig(pointer, "spec", "generators") or ():
            for file in dig(generator, "git", "files") or ():
                if not any(fnmatchcase(release, file.get("path", "")) for release in releases):
                    yield Finding(name_of(pointer), f"its pattern '{file.get('path')}' matches the place of no release")
