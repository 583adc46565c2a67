"""Where checkpoints lie: whatever could change the model changes the folder, and nothing else does."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from ml import params
from ml.kinds import Job
from ml.stages import checkpoints
from ml.stages.run import Place

PARAMS = Path("ml/models/fraud/params.yaml")
JOB = Job("fraud", params.load(PARAMS, "full"), 1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    shutil.copytree("ml", tmp_path / "ml", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(checkpoints, "HOME", tmp_path / "ml")
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    (tmp_path / "train.parquet").write_bytes(b"rows")
    return Place("fraud", tmp_path)


def folder(place: Place, job: Job = JOB) -> Path:
    return checkpoints.folder(job, place, (place.root / "train.parquet",))


def test_it_is_beside_the_artifacts_and_always_the_same(place: Place) -> None:
    found = folder(place)
    assert found.parent == place.root / ".trunkline/checkpoints/fraud/full"
    assert found == folder(place)


@pytest.mark.parametrize(
    "name", ["train.parquet", "constraints.txt", "ml/kinds/torch_run.py", "ml/files.py", "ml/models/fraud/model.py"]
)
def test_another_input_is_another_folder(place: Place, name: str) -> None:
    before = folder(place)
    with (place.root / name).open("a") as file:
        file.write("\n")
    assert folder(place) != before


@pytest.mark.parametrize("name", ["ml/models/churn/model.py", "ml/serve/x.py", "ml/models/fraud/params.yaml"])
def test_what_decides_nothing_is_left_out(place: Place, name: str) -> None:
    """Of params.yaml only what is read of it counts: a gate that changes costs no training."""
    before = folder(place)
    (place.root / name).parent.mkdir(exist_ok=True)
    with (place.root / name).open("a") as file:
        file.write("# a comment\n")
    assert folder(place) == before


def test_another_parameter_or_seed_is_another_folder(place: Place, tmp_path: Path) -> None:
    before = folder(place)
    assert folder(place, dataclasses.replace(JOB, seed=2)) != before
    for old, new in (
        ("members: 5", "members: 4"),
        ("dropout: 0.2", "dropout: 0.3"),
        ("train_days: 21", "train_days: 20"),
    ):
        changed = tmp_path / "changed.yaml"
        changed.write_text(PARAMS.read_text().replace(old, new))
        assert folder(place, dataclasses.replace(JOB, params=params.load(changed, "full"))) != before, new


def test_clear_leaves_other_models_and_modes(place: Place) -> None:
    mine, others = folder(place), place.root / ".trunkline/checkpoints/churn/full/x"
    stale = mine.parent / "stale"
    for each in (mine, stale, others):
        each.mkdir(parents=True)
    checkpoints.clear(place, "full")
    assert not mine.exists()
    assert not stale.exists()
    assert others.exists()
    checkpoints.clear(place, "full")
