"""A sealed image: its configuration and file headers hold nothing of when, where and by which builder it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEPT = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Healthcheck", "Volumes", "WorkingDir", "StopSignal")
EPOCH = "1970-01-01T00:00:00Z"
LIBRARIES = "app/lib/"
LAYERS = ("the libraries", "the server and the model")


@dataclass(frozen=True)
class Base:
    """How much of an image built on it is the base's: the number of its layers and of its history's entries."""

    layers: int
    entries: int


@dataclass(frozen=True)
class Sealed:
    """What was sealed: the digest of its configuration, and of each file that lies on the base by its path."""

    config_digest: str
    files: Mapping[str, str]
    size: int
    """Bytes of all layers, unpacked and without the base's."""


def config(
    built: Mapping[str, Any], base: Base, diff_ids: Sequence[str], created: str, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The configuration of the sealed image: `built`'s, with the base's layers and ours, in `diff_ids`.

    What says who built it (host names, intermediate images, the builder's own history) goes. The OCI image
    specification gives the keys: https://github.com/opencontainers/image-spec/blob/main/config.md
    """
    inner = {name: value for name, value in built["config"].items() if name in KEPT and value}
    inner["Labels"] = {**(built["config"].get("Labels") or {}), **labels}
    platform = {name: built[name] for name in ("architecture", "os", "variant") if built.get(name)}
    ours = [{"created": EPOCH, "created_by": f"trunkline image: {layer}"} for layer in LAYERS[: len(diff_ids)]]
    return {
        **platform,
        "created": created,
        "config": inner,
        "history": [*(built.get("history") or [])[: base.entries], *ours],
        "rootfs": {"type": "layers", "diff_ids": [*built["rootfs"]["diff_ids"][: base.layers], *diff_ids]},
    }


def layer_of(path: str) -> int:
    """Which of LAYERS a file belongs to: libraries change seldom and are shared by versions and models."""
    return 0 if f"{path}/".startswith(LIBRARIES) else 1


def differences(one: Mapping[str, str], two: Mapping[str, str]) -> list[str]:
    """The paths at which two images differ, sorted."""
    return sorted(path for path in one.keys() | two.keys() if one.get(path) != two.get(path))
