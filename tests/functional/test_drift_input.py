"""What `trunkline drift` says of data that is not as it should be: a clear finding or a clear error, each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from tests import watching
from tests.watching import COLUMNS, DAY, END, Watched, outcomes, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """In production, its Prometheus knowing nothing."""
    with watching.prometheus() as url:
        monkeypatch.setenv("TRUNKLINE_PROMETHEUS", url)
        yield Watched(tmp_path)


def words(model: Watched, kind: str, subject: str) -> str:
    """What an alarm says."""
    found = model.found()[kind, subject]
    assert found["alarm"], found
    return str(found["words"])


def test_an_empty_window(model: Watched) -> None:
    model.answer(rows(), end=END - 28 * DAY)
    model.look(code=3)
    assert "no row came" in words(model, "freshness", "no rows")
    assert model.record()["columns"] == []


def test_one_row(model: Watched) -> None:
    model.answer(rows(1), end=END + 6 * DAY)
    model.look()
    assert model.record()["outcome"] == "inconclusive"
    assert "1 row" in model.record()["summary"]


def test_all_missing(model: Watched) -> None:
    model.answer(rows().with_columns(amount=pl.lit(None, pl.Float64)), scores=np.full(1000, 0.5))
    model.look(code=3)
    assert "amount" in words(model, "missing", "amount")


def test_a_renamed_column(model: Watched) -> None:
    columns = {"total": "FP64", **{name: kind for name, kind in COLUMNS.items() if name != "amount"}}
    model.answer(rows().rename({"amount": "total"}), columns=columns)
    model.look(code=3)
    assert "total" in words(model, "schema", "amount")


def test_a_changed_type(model: Watched) -> None:
    model.answer(rows().with_columns(pl.col("visits").cast(pl.String)), columns={**COLUMNS, "visits": "BYTES"})
    model.look(code=3)
    assert "visits is String by now, and Int64 in the reference" in words(model, "schema", "visits")


def test_a_category_explosion(model: Watched) -> None:
    model.declare(f"{{log: {model.log}, persistence: 1}}")
    features = rows(5_000)
    model.answer(
        features.with_columns(plan=pl.format("plan-{}", pl.int_range(pl.len()))), scores=watching.scores(features)
    )
    model.look(code=3)
    assert "plan" in words(model, "unseen", "plan")
    assert (model.root / "artifacts/churn/drift/profile.json").stat().st_size < 300_000


def test_infinite_values(model: Watched) -> None:
    model.declare(f"{{log: {model.log}, persistence: 1}}")
    model.answer(rows())
    for path in model.logged():
        table = pl.read_parquet(path, hive_partitioning=False)
        infinite = pl.col("features").struct.with_fields(amount=pl.lit(float("inf")))
        table.with_columns(features=infinite).write_parquet(path)
    model.look(code=3)
    assert "amount" in words(model, "missing", "amount")


def test_timestamps_of_another_zone_are_the_same_moments(model: Watched) -> None:
    model.answer(rows())
    zones = (pl.col("time").dt.convert_time_zone("Asia/Kolkata"), pl.col("time").dt.replace_time_zone(None))
    for index, path in enumerate(model.logged()):
        pl.read_parquet(path, hive_partitioning=False).with_columns(zones[index % 2]).write_parquet(path)
    model.look()
    assert model.record()["window"]["rows"] == 1000


def test_timestamps_from_the_future(model: Watched) -> None:
    model.answer(rows())
    model.answer(rows(50), end=datetime.now(UTC) + 14 * DAY, name="ahead")
    model.look(code=3)
    assert "see to the clock and the time zone" in words(model, "freshness", "future")


def test_labels_of_unknown_ids(model: Watched) -> None:
    model.declare(f"{{log: {model.log}, labels: {model.labels}}}")
    features = rows()
    model.answer(features)
    model.label(outcomes(features))
    model.label([1] * 30, name="unknown")
    model.look()
    assert any(
        "30 of 1,030 labels are of ids that no row has, of this window or around it" in note
        for note in model.record()["notes"]
    )
    assert model.record()["window"]["labelled"] == 1000


def test_a_log_that_was_written_twice(model: Watched) -> None:
    model.answer(rows())
    model.logged()[0].with_name("copy.parquet").write_bytes(model.logged()[0].read_bytes())
    model.look()
    assert any("have an id that a row of another file has" in note for note in model.record()["notes"])


def test_a_file_that_was_cut_in_the_middle(model: Watched) -> None:
    model.answer(rows())
    first = model.logged()[0]
    first.write_bytes(first.read_bytes()[: first.stat().st_size // 2])
    model.look()
    (note,) = [one for one in model.record()["notes"] if "cannot be read to the end" in one]
    assert "hour=00/s.parquet" in note
    assert model.record()["window"]["rows"] < 1000


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://dana:secret@127.0.0.1:1/log", "http://127.0.0.1:1/log does not answer"),
        ("nosuch://bucket/log", "nosuch://bucket/log cannot be read here"),
    ],
)
def test_a_log_store_that_is_away(model: Watched, address: str, told: str) -> None:
    said = model.look("--log", address, code=2)
    assert told in said
    assert "secret" not in said


def test_a_log_that_is_nowhere(model: Watched) -> None:
    said = model.look(code=1)
    assert "there is no inference log of churn" in said
    assert not (model.root / "artifacts/churn/drift/drift.json").exists()


def test_one_model_that_cannot_be_looked_at_keeps_no_other_back(model: Watched) -> None:
    model.declare("{log: /nowhere/at/all}", model="other")
    model.write("params.yaml", (model.root / "params.yaml").read_text().replace("[churn]", "[other, churn]"))
    model.answer(rows())
    said = model.look(models=(), code=1)
    assert "other" in said
    assert model.record()["outcome"] == "pass"


def test_windows_a_minute_apart_are_each_kept(model: Watched) -> None:
    model.answer(rows())
    model.look()
    model.look(end=END - timedelta(minutes=1))
    assert model.record()["window"]["end"].startswith("2026-11-22T23:59")
