"""Profiles of whole tables: made of any parts, of bad columns, of no rows; written, read and refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import StageError
from ml.profiles.profile import Profile, merged, together
from ml.profiles.samples import SAMPLE, Sample
from ml.profiles.slices import MISSING, OTHERS, most_frequent
from ml.profiles.times import PERIODS, Times
from ml.profiles.times import merged as merged_times

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
VALUES = {"town": ("Ulm", "Bern")}
EMPTY = Profile("m", "window")


def table(rows: int, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    amount = np.where(random.random(rows) < 0.1, np.inf, np.round(random.lognormal(3, 1, rows), 1))
    start = datetime(2026, 11, 26)  # noqa: DTZ001 - without a zone, as many tables have it
    return pl.DataFrame(
        {
            "amount": [None if lost else value for value, lost in zip(amount, random.random(rows) < 0.1, strict=True)],
            "count": random.integers(0, 5, rows),
            "town": random.choice(["Ulm", "Bern", "Graz", "Zürich"], rows),
            "member": random.random(rows) < 0.5,
            "time": [start + timedelta(minutes=int(m)) for m in random.integers(0, 3_000, rows)],
            "score": random.random(rows),
            "label": np.where(random.random(rows) < 0.3, np.nan, random.integers(0, 2, rows)),
        }
    )


def profile(frame: pl.DataFrame, reference: Profile | None = None) -> Profile:
    rows = EMPTY.with_rows(
        frame, ["amount", "count", "town", "member"], reference=reference, time=frame["time"], now=NOW
    )
    return rows.with_scores(
        frame["score"].to_numpy(), frame["label"].to_numpy(), binary=True, beside=frame, values=VALUES
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 400), st.data())
def test_any_partition_in_any_order_is_the_whole_to_the_last_byte(rows: int, data: st.DataObject) -> None:
    frame, known = table(rows), profile(table(50, seed=1))
    whole = profile(frame, known)
    owner = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 5, rows)
    parts = [profile(frame.filter(pl.Series(owner == part)), known) for part in data.draw(st.permutations(range(5)))]
    assert together(parts, EMPTY).to_json() == whole.to_json()
    first = merged(parts[0], merged(merged(parts[1], parts[2]), merged(parts[3], parts[4])))
    assert merged(first, EMPTY).to_json() == whole.to_json()


def test_a_profile_says_what_is_in_the_rows() -> None:
    frame = table(2_000)
    found = profile(frame)
    amount, finite = found.columns["amount"], frame["amount"].filter(frame["amount"].is_finite())
    assert found.rows == amount.rows == 2_000
    assert (amount.missing, amount.infinite) == (frame["amount"].null_count(), frame["amount"].is_infinite().sum())
    assert (amount.least, amount.greatest, amount.cells.total) == (finite.min(), finite.max(), finite.len())
    assert [found.columns[name].kind for name in ("amount", "count", "town", "member")] == [
        "number",
        "number",
        "category",
        "boolean",
    ]
    assert found.columns["count"].dtype == "Int64"
    assert found.score is not None
    assert found.score.cells.total == 2_000
    assert found.label is not None
    assert found.joint is not None
    assert found.label.cells.counts.tolist() == [cells.total for cells in found.joint]
    towns = dict(frame["town"].value_counts().iter_rows())
    assert {name: each.rows for name, each in found.slices["town"].items()} == {
        "Ulm": towns["Ulm"],
        "Bern": towns["Bern"],
        OTHERS: towns["Graz"] + towns["Zürich"],
    }


def test_what_the_reference_has_not_is_counted() -> None:
    known = EMPTY.with_rows(pl.DataFrame({"x": [1.0, 3.0], "town": ["Ulm", "Bern"]}), ["x", "town"])
    window = pl.DataFrame(
        {"x": [0.5, 1.0, 3.0, 3.1, float("inf"), None], "town": ["Ulm", "Graz", "Graz", None, "", ""]}
    )
    found = EMPTY.with_rows(window, ["x", "town"], reference=known).columns
    assert (found["x"].out_of_range, found["x"].infinite, found["x"].missing) == (2, 1, 1)
    assert (found["town"].unseen, found["town"].missing) == (4, 1)


def test_many_categories_of_the_reference_are_known_by_their_cells() -> None:
    names = [f"shop-{i}" for i in range(30_000)]
    known = EMPTY.with_rows(pl.DataFrame({"shop": names}), ["shop"])
    found = EMPTY.with_rows(pl.DataFrame({"shop": names[:100]}), ["shop"], reference=known)
    assert found.columns["shop"].unseen == 0


@pytest.mark.parametrize(
    ("values", "missing", "dtype"),
    [(["1.5", "many"], 1, "String"), ([True, None], 1, "Boolean"), ([None, None], 2, "Null")],
)
def test_a_changed_type_is_read_as_the_reference_has_it(values: list[Any], missing: int, dtype: str) -> None:
    known = EMPTY.with_rows(pl.DataFrame({"x": [1.0, 3.0]}), ["x"])
    found = EMPTY.with_rows(pl.DataFrame({"x": values}), ["x"], reference=known).columns["x"]
    assert (found.kind, found.dtype, found.missing) == ("number", dtype, missing)
    both = merged(known, EMPTY.with_rows(pl.DataFrame({"x": values}), ["x"], reference=known)).columns["x"]
    assert both.dtype == "|".join(sorted(("Float64", dtype)))


@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_and_one_row_are_profiles(rows: int, tmp_path: Path) -> None:
    found = profile(table(10).head(rows))
    found.write(tmp_path / "profile.json")
    assert Profile.read(tmp_path / "profile.json").to_json() == found.to_json()
    assert found.rows == rows


def test_all_missing_is_a_profile() -> None:
    frame = pl.DataFrame({"x": [None] * 5, "y": [float("nan")] * 5, "t": [None] * 5}, schema_overrides={"t": pl.String})
    found = EMPTY.with_rows(frame, ["x", "y", "t"])
    assert {name: column.missing for name, column in found.columns.items()} == {"x": 5, "y": 5, "t": 5}
    assert found.columns["y"].least is None
    json.loads(found.to_json())


def test_a_column_of_lists_has_no_profile() -> None:
    with pytest.raises(TypeError, match=r"column 'x' is List\(Int64\); expected numbers"):
        EMPTY.with_rows(pl.DataFrame({"x": [[1]]}), ["x"])


def test_twenty_columns_are_small() -> None:
    random = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{i}": random.lognormal(0, 1 + i, 200_000) for i in range(20)})
    scores, labels = random.random(200_000), (random.random(200_000) < 0.5).astype(float)
    found = EMPTY.with_rows(frame, frame.columns).with_scores(scores, labels, binary=True)
    assert len(found.to_json()) < 400_000


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = profile(table(3_000))
    found.write(tmp_path / "profile.json")
    again = Profile.read(tmp_path / "profile.json")
    assert again.to_json() == found.to_json()
    assert merged(again, profile(table(100, seed=2))).to_json() == merged(found, profile(table(100, seed=2))).to_json()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "is a profile of schema_version 2; expected 1; make it again"),
        ({"rows": None}, "is no profile"),
        ({"columns": {"x": {}}}, r"is no profile \('kind' is missing\)"),
        ({"columns": []}, "is no profile"),
    ],
)
def test_what_is_no_profile_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps({**profile(table(10)).record(), **change}))
    with pytest.raises(StageError, match=words):
        Profile.read(path)


def test_profiles_of_other_models_or_scores_are_not_merged() -> None:
    with pytest.raises(ValueError, match="with model m and n cannot be merged"):
        merged(Profile("m", "train"), Profile("n", "train"))
    with pytest.raises(ValueError, match="of the scores of a and b cannot be merged"):
        merged(Profile("m", "train", "a"), Profile("m", "train", "b"))
    numbers = EMPTY.with_rows(pl.DataFrame({"x": [1]}), ["x"])
    with pytest.raises(ValueError, match="kind number and one of kind category"):
        merged(numbers, EMPTY.with_rows(pl.DataFrame({"x": ["1"]}), ["x"]))


def test_times_of_other_zones_are_of_one_hour_and_the_future_is_counted() -> None:
    naive = pl.Series("t", ["2026-11-27T11:30:00", "2026-11-27T13:00:00", None]).str.to_datetime()
    aware = naive.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    found = Times.of(aware, NOW)
    assert found == Times.of(naive, NOW)
    assert found.record() == {
        "first": "2026-11-27T11:30:00+00:00",
        "last": "2026-11-27T13:00:00+00:00",
        "per_hour": {"2026-11-27T11": 1, "2026-11-27T13": 1},
        "future": 1,
        "missing": 1,
    }
    assert Times.parsed(found.record()) == found
    with pytest.raises(TypeError, match="'t' is Int64; expected times"):
        Times.of(pl.Series("t", [1]), NOW)


def test_many_hours_are_told_by_the_day() -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    hours = pl.Series("t", [start + timedelta(hours=i) for i in range(PERIODS + 1)])
    whole = Times.of(hours, NOW)
    assert len(next(iter(whole.periods))) == len("2020-01-01")
    parts = [Times.of(hours.gather_every(3, offset), NOW) for offset in range(3)]
    assert merged_times(merged_times(parts[2], parts[0]), parts[1]) == whole


def test_a_sample_of_hashes_counts_rows_that_are_there_twice() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64 - 1, 40_000, dtype=np.uint64)
    twice = np.concatenate([hashes, hashes[:8_000]])
    found = Sample.of(twice)
    assert found.keys.size <= SAMPLE
    assert found.repeats == pytest.approx(8_000, rel=0.2)
    assert Sample.of(twice, limit=10**6).repeats == 8_000


def test_the_most_frequent_values_are_sliced_by() -> None:
    column = pl.Series([str(i) for i in range(100) for _ in range(i)] + [None] * 200)
    assert most_frequent(column)[:3] == (MISSING, "99", "98")
    assert len(most_frequent(column)) == 50
