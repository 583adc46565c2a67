"""Which folders under k8s/ are built by themselves, and which are only parts of others."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENGINES = "k8s/engines/"
FLUX_OWN = "flux-system"
"""The folder that `flux bootstrap` writes and renews: what is in it is Flux's."""


def built(described: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The folders to build, of all that have a kustomization: those no other folder takes in.

    `described` maps a folder, from the repository's root, to its kustomization. Components are taken in by definition.
    """
    taken = {part for folder, content in described.items() for part in parts(folder, content)}
    whole = (folder for folder, content in described.items() if content.get("kind", "Kustomization") == "Kustomization")
    return tuple(sorted(folder for folder in whole if folder not in taken))


def parts(folder: str, content: Mapping[str, Any]) -> list[str]:
    """The folders, and files, that a kustomization takes in, from the repository's root."""
    named: Sequence[str] = [*(content.get("resources") or ()), *(content.get("components") or ())]
    return [posixpath.normpath(posixpath.join(folder, name)) for name in named]


def spare(described: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Engines that nothing takes in at the moment."""
    taken = {part for folder, content in described.items() for part in parts(folder, content)}
    return tuple(sorted(folder for folder in described if folder.startswith(ENGINES) and folder not in taken))


def with_engine(folder: str, content: Mapping[str, Any], engine: str) -> dict[str, Any]:
    """An overlay's kustomization with `engine` in the place of the one that it has."""
    components = [
        posixpath.relpath(engine, folder)
        if posixpath.normpath(posixpath.join(folder, name)).startswith(ENGINES)
        else name
        for name in content.get("components") or ()
    ]
    return {**content, "components": components}
