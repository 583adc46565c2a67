"""One project that was checked once, copied by each test that changes something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.project import Project, fresh

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone in which `trunkline check` ran and its dvc.lock was committed. Not to be changed."""
    project = fresh(tmp_path_factory.mktemp("checked") / "project")
    project.trunkline("check")
    if project.git("status", "--porcelain"):
        project.commit("what this machine measured")
        project.trunkline("check")
    return project


@pytest.fixture
def project(checked: Project, tmp_path: Path) -> Project:
    """A checked project of one's own."""
    return checked.copy(tmp_path / "project")
