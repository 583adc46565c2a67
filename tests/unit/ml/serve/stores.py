"""A store that never answers, as a package that brings fsspec a protocol: `stuck://`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STUCK = """
import time
from fsspec import AbstractFileSystem
class Stuck(AbstractFileSystem):
    protocol = "stuck"
    def makedirs(self, path, exist_ok=False):
        time.sleep(600)
"""


def stuck(folder: Path) -> str:
    """A folder for PYTHONPATH, after which fsspec knows the protocol."""
    about = folder / "stuck-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stuck\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[fsspec.specs]\nstuck = stuck_store:Stuck\n")
    (folder / "stuck_store.py").write_text(STUCK)
    return str(folder)
