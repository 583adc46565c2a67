"""A checked or a trained project of one's own, for each test that changes something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import releases

if TYPE_CHECKING:
    from pathlib import Path

    from tests.project import Project


@pytest.fixture
def project(checked: Project, tmp_path: Path) -> Project:
    """A checked project of one's own."""
    return checked.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def trained(checked: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose churn was trained in full, pushed to DVC's remote and merged. Not to be changed."""
    project = checked.copy(tmp_path_factory.mktemp("trained") / "project")
    releases.train(project)
    return project
