"""A root with MLflow's database in it, made once: its tables take seconds."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from ci.adapters.mlflow import Models

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose MLflow has its tables and nothing in them. Not to be changed."""
    root = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert Models(root).aliases("a") == {}
    return root


@pytest.fixture
def root(empty_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root of one's own, with an empty MLflow."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(empty_registry, tmp_path, dirs_exist_ok=True)
    return tmp_path
