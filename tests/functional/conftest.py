"""A checked project of one's own, for each test that changes something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.project import Project


@pytest.fixture
def project(checked: Project, tmp_path: Path) -> Project:
    """A checked project of one's own."""
    return checked.copy(tmp_path / "project")
