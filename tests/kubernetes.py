"""The manifests of this repository in a folder of their own, and the published schemas that they are held to."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.project import ROOT, Project

if TYPE_CHECKING:
    from pathlib import Path

SCHEMAS = ROOT.parent / "shared" / "schemas"
"""CustomResourceDefinitions, where they lie at hand; elsewhere the packages of the same contracts do."""
PACKAGES = ROOT / "node_modules" / "@kubernetes-models"


def require_schemas() -> None:
    """Skip, with how to get them, where the schemas of custom resources are missing; in CI, fail."""
    if not PACKAGES.is_dir():
        reason = f"needs {PACKAGES}: `npm ci` brings them (`apt-get install nodejs npm` brings npm)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


class Line(Project):
    """A copy of the manifests, and `trunkline render` over it."""

    def render(self, *args: str, code: int = 0, **env: str) -> str:
        """What the command printed; `code` is what it has to end with."""
        done = self.trunkline("render", *args, code=code, **({"TRUNKLINE_SCHEMAS": str(SCHEMAS)} | env))
        return done.stdout + done.stderr


def line(where: Path) -> Line:
    """As much of this repository as `trunkline render` reads; no overlay has a release, whatever was merged since."""
    require_schemas()
    for name in ("k8s", "ml/models"):
        shutil.copytree(ROOT / name, where / name, ignore=shutil.ignore_patterns("__pycache__", "release.yaml"))
    shutil.copy2(ROOT / "params.yaml", where)
    (where / "node_modules").symlink_to(ROOT / "node_modules")
    return Line(where)
