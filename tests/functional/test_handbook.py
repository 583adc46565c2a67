"""The benchmark's project on the Handbook's real data: its weeks hold exactly the published rows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from benchmarks import handbook

if TYPE_CHECKING:
    from pathlib import Path


def test_the_stages_make_the_published_train_and_test_weeks(tmp_path: Path) -> None:
    if not handbook.DATA.is_file():
        reason = (
            f"needs ../shared/data/{handbook.DATA.name}, the Fraud Detection Handbook's data, beside the repository"
        )
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    handbook.project(tmp_path, handbook.DATA)
    handbook.run_stages(tmp_path, ("validate", "prepare"))
    assert handbook.counts(tmp_path) == ((67_240, 598), (58_264, 385))
