"""What an image says of itself: OCI's own labels, and the lineage of the model in it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from ci.core.image.reference import TAG_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.core.lineage import Lineage

OCI = "org.opencontainers.image."
OURS = "dev.trunkline."
SERVING = f"{OURS}serving-hash"
FORMAT = 1
"""Of a sealed image: raised when the same files would be packed into other bytes."""


def of_lineage(lineage: Lineage) -> dict[str, str]:
    """The labels that follow from the lineage alone: what a release holds an image to."""
    hashes = ("lock", "model", "data", "params", "code", "environment")
    return {
        f"{OCI}revision": lineage.commit,
        f"{OURS}model": lineage.model,
        **{f"{OURS}{name}-hash": str(getattr(lineage, f"{name}_hash")) for name in hashes},
    }


def labels(lineage: Lineage, *, created: str, base: str, serving_hash: str) -> dict[str, str]:
    """All labels of an image. `created` is RFC 3339: when the commit of the lineage was made, not the image."""
    return {
        **of_lineage(lineage),
        f"{OCI}created": created,
        f"{OCI}title": lineage.model,
        f"{OCI}version": lineage.lock_hash[:TAG_LENGTH],
        f"{OCI}base.name": base,
        SERVING: serving_hash,
    }


def serving_hash(files: Mapping[str, bytes], base: str) -> str:
    """One hash for all that is in an image beside the model: the server, its libraries' pins, the base."""
    parts = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return hashlib.sha256(json.dumps([FORMAT, base, parts], sort_keys=True).encode()).hexdigest()
