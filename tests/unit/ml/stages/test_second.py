"""What one process hides from itself, a second one shows: each way of it is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from ml import params
from ml.errors import StageError
from ml.files import write_json
from ml.kinds import Job, Rows, Trained, tabular
from ml.models.churn.simulate import simulate
from ml.stages import second

if TYPE_CHECKING:
    from collections.abc import Callable

JOB = Job("churn", params.load(Path("ml/models/churn/params.yaml"), "smoke"), 1)
NOTHING = Rows(pl.DataFrame(), pl.DataFrame())
ROWS = pl.DataFrame({"id": [1, 2, 3], "rise": [0.5, float("nan"), None], "kind": ["a", None, "b"]})


def differences(two: pl.DataFrame) -> list[str]:
    return second.row_differences("training", ROWS, two, "id", ("rise",))


def test_the_same_rows_do_not_differ() -> None:
    assert differences(ROWS.clone()) == []


def test_what_differs_is_named() -> None:
    assert differences(ROWS.with_columns(rise=pl.lit(0.5))) == ["feature rise differs in 2 training rows"]
    assert differences(ROWS.with_columns(kind=pl.lit("a"))) == ["column kind differs in 2 training rows"]
    assert differences(ROWS.with_columns(pl.col("rise").cast(pl.Float32))) == [
        "feature rise differs in 3 training rows"
    ]
    assert differences(ROWS.head(2)) == ["3 training rows, then 2"]
    assert differences(ROWS.with_columns(pl.col("id") + 1)) == ["other training rows were chosen: id differs in 3 of 3"]
    assert "columns ['id', 'rise', 'kind'], then ['id', 'rise']" in differences(ROWS.drop("kind"))[0]


@pytest.mark.parametrize("own", [None, "0", "1", "2", "random"])
def test_strings_hash_otherwise(own: str | None) -> None:
    env = second.surroundings({} if own is None else {"PYTHONHASHSEED": own})
    assert env["PYTHONHASHSEED"] not in {own, "random", "0"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with code of its own, to be spoilt."""
    shutil.copytree("ml", tmp_path / "ml", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy("params.yaml", tmp_path)
    (tmp_path / "data/churn").mkdir(parents=True)
    simulate(900).write_parquet(tmp_path / "data/churn/customers.parquet")
    write_json(tmp_path / "artifacts/churn/validation.json", {"passed": True})
    edit(tmp_path, "params.yaml", "rounds: 50", "rounds: 5")
    return tmp_path


def edit(root: Path, name: str, before: str, after: str) -> None:
    path = root / "ml/models/churn" / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def reproducible(root: Path, between: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """The check of a prepare and a train, each a process as DVC starts it."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONHASHSEED", "PYTHONPATH"}}
    for stage in ("prepare", "train"):
        command = [sys.executable, "-m", f"ml.stages.{stage}", "churn", "smoke"]
        done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if stage == "prepare":
            between()
    checks = json.loads((root / "artifacts/churn/smoke/training.json").read_text())["checks"]
    found: dict[str, Any] = next(check for check in checks if check["name"] == "reproducible")
    return found


RANDOM = 'pl.col("total_charges").fill_null(0.0),'
SEED = "sklearn_boosting.fit(table, params, {}, session)"
SPOILT = {
    "process id": (
        "model.py",
        SEED.format("seed"),
        SEED.format("__import__('os').getpid()"),
        ["loss parts at step 1", "model bytes differ in"],
    ),
    "hash of a string": (
        "features.py",
        RANDOM,
        f'{RANDOM} pl.col("contract").map_elements(hash, pl.Int64).mod(97).alias("senior"),',
        ["feature senior differs in ", "training rows", "test rows"],
    ),
    "unseeded noise": (
        "features.py",
        RANDOM,
        f'{RANDOM} pl.Series("partner", __import__("numpy").random.random(raw.height)),',
        ["feature partner differs in ", "model bytes differ in"],
    ),
}


@pytest.mark.parametrize(("name", "before", "after", "words"), SPOILT.values(), ids=SPOILT)
def test_what_differs_between_processes_is_named(
    root: Path, name: str, before: str, after: str, words: list[str]
) -> None:
    edit(root, name, before, after)
    check = reproducible(root)
    assert not check["passed"]
    assert [word for word in words if word not in check["detail"]] == []


def test_the_same_in_both_processes_passes_and_leaves_nothing_behind(root: Path) -> None:
    check = reproducible(root)
    assert check["passed"]
    assert check["detail"] == "two processes, one seed: same rows, same losses, same model bytes"
    assert not (root / "artifacts/churn/problem.json").exists()


def test_a_second_run_that_stops_is_told(root: Path) -> None:
    check = reproducible(root, between=(root / "data/churn/customers.parquet").unlink)
    assert not check["passed"]
    assert check["detail"].startswith("the second run stopped: data/churn/customers.parquet is missing")


def test_a_second_run_that_the_machine_stops_says_nothing_of_the_model(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write('x.parquet: No space left on device'); sys.exit(2)"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        run = second.Second(process, tmp_path)
        with pytest.raises(StageError, match=r"stopped: x\.parquet: No space left on device; free disk") as caught:
            run.check(tabular, JOB, NOTHING, Trained(b"", (), (), ()))
    assert caught.value.exit_code == 2
