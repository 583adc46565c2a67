"""The stage: what it writes, how it stops, and which schema it takes."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from ml.errors import REFUSED
from ml.models.churn.simulate import simulate
from ml.stages import validate
from ml.stages.run import Place, run

PARAMS = Path(__file__).resolve().parents[4] / "ml" / "models" / "churn" / "params.yaml"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A repository with one model, churn, whose schema is the real one."""
    place = Place("churn", tmp_path)
    place.code.mkdir(parents=True)
    (place.code / "params.yaml").write_bytes(PARAMS.read_bytes())
    (place.code / "schema.py").touch()
    place.data.mkdir(parents=True)
    return place


def put(place: Place, table: pl.DataFrame) -> Path:
    path = place.data / "customers.parquet"
    table.write_parquet(path)
    return path


def start(place: Place, data: Path | None = None) -> int:
    return run("validate", validate.body, argparse.Namespace(model=place.model, data=data), root=place.root)


def test_good_data(place: Place) -> None:
    path = put(place, simulate(500))
    assert start(place) == 0
    assert json.loads((place.artifacts / "validation.json").read_bytes()) == {
        "schema_version": 1,
        "model": "churn",
        "file": "data/churn/customers.parquet",
        "data_hash": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
        "rows": 500,
        "columns": 13,
        "period": None,
        "passed": True,
        "violations": [],
    }
    assert not (place.artifacts / "problem.json").exists()


def test_the_period_is_that_of_the_time_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    times = [datetime(2026, 3, 1, 12), None, datetime(2026, 1, 2, 3, 4, 5)]  # noqa: DTZ001  the data's times are naive
    pl.DataFrame({"at": times, "day": [None] * 3, "n": [1, 2, 3]}).cast({"day": pl.Date}).write_parquet(path)
    assert validate.period(path, "at") == {"column": "at", "start": "2026-01-02T03:04:05", "end": "2026-03-01T12:00:00"}
    assert [validate.period(path, column) for column in (None, "day", "n", "absent")] == [None] * 4


def test_bad_data_is_recorded_drawn_and_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    put(place, simulate(500).with_columns(gender=pl.lit("[red]?")))
    assert start(place) == REFUSED
    first = (place.artifacts / "validation.json").read_bytes()
    record = json.loads(first)
    assert record["passed"] is False
    (violation,) = record["violations"]
    assert (violation["column"], violation["check"], violation["count"]) == ("gender", "isin(['Female', 'Male'])", 500)
    assert violation["rows"][0] == {"row": 0, "customer_id": 1, "gender": "[red]?"}
    told = capsys.readouterr().err
    assert "gender=[red]?" in told
    assert "column 'gender': 500 of 500 values break isin(['Female', 'Male']); mend the data or the schema" in told
    assert json.loads((place.artifacts / "problem.json").read_bytes())["exit_code"] == REFUSED
    start(place)
    assert (place.artifacts / "validation.json").read_bytes() == first


def test_other_data(place: Place, tmp_path: Path) -> None:
    simulate(300).write_parquet(tmp_path / "other.parquet")
    assert start(place, tmp_path / "other.parquet") == 0
    record = json.loads((place.artifacts / "validation.json").read_bytes())
    assert (record["file"], record["rows"]) == ("other.parquet", 300)


def test_missing_data_leaves_no_old_verdict(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(place, simulate(500))
    assert start(place) == 0
    path.unlink()
    assert start(place) == 1
    assert not (place.artifacts / "validation.json").exists()
    assert "customers.parquet is missing; pull the data (dvc pull)" in capsys.readouterr().err


def test_no_schema(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (place.code / "schema.py").unlink()
    assert start(place) == 1
    assert "schema.py is missing; write it with a pandera.polars.DataFrameModel named Raw" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raw", "words"),
    [(None, "must define Raw, a pandera.polars.DataFrameModel, and has none"), (dict, "and has <class 'dict'>")],
)
def test_schema_without_raw(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raw: object, words: str
) -> None:
    module = ModuleType("ml.models.churn.schema")
    if raw is not None:
        vars(module)["Raw"] = raw
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert start(place) == 1
    assert words in capsys.readouterr().err


def test_schema_that_cannot_be_imported(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ml.models.churn.schema", None)
    assert start(place) == 1
    assert "schema.py cannot be used: ModuleNotFoundError" in capsys.readouterr().err
