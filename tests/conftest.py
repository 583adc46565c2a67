"""One project that was checked once, for all tests that need one."""

from __future__ import annotations

import pytest

from tests.project import Project, fresh


@pytest.fixture(scope="session")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone with a commit to compare with, in which `trunkline check` passed. Not to be changed."""
    project = fresh(tmp_path_factory.mktemp("checked") / "project")
    project.trunkline("check")
    if project.git("status", "--porcelain"):
        project.commit("what this machine measured")
    project.commit_empty("a change to compare with it")
    project.trunkline("check")
    return project
