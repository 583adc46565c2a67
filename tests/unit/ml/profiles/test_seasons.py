"""Distributions by stretch of time: which rows are in which, and how few groups tell how far they are apart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats  # type: ignore[import-untyped]

from ci.core.drift.profiles import Seasons as Read
from ml.profiles import profile
from ml.profiles.seasons import VALUES, Scored, Seasons
from ml.profiles.stretches import GROUPS, LEAST, MOST, Groups, Stretches, of_numbers, of_texts

START = datetime(2025, 1, 6, 9, 30, tzinfo=UTC)


def times(*days: float) -> pl.Series:
    return pl.Series("time", [START + timedelta(days=day) for day in days], dtype=pl.Datetime("us", "UTC"))


def test_stretches_begin_with_the_first_rows_day_and_only_whole_ones_count() -> None:
    found = Stretches.of(times(0, 1.5, 2, 4, 6, 7.5, 8, 9), 2)
    assert found is not None
    assert found.place.tolist() == [0, 0, 1, 2, 3, 3, 4, 4]
    assert found.rows.tolist() == [2, 1, 1, 2, 2]
    cut = Stretches.of(times(0, 2, 4, 6, 7, 8), 2)  # the fifth would end a day later
    assert cut is not None
    assert cut.place.tolist() == [0, 1, 2, 3, 3, -1]
    assert len(cut.starts) == LEAST


def test_too_few_stretches_are_none_and_gaps_and_rows_without_time_are_left_out() -> None:
    assert Stretches.of(times(0, 2, 4, 5), 2) is None
    assert Stretches.of(pl.Series("time", [None, None], dtype=pl.Datetime("us")), 2) is None
    with_gap = pl.concat([times(0, 1, 100, 101, 103), pl.Series("time", [None], dtype=pl.Datetime("us", "UTC"))])
    found = Stretches.of(with_gap, 1)
    assert found is not None
    assert found.place.tolist() == [0, 1, 2, 3, 4, -1]
    with pytest.raises(TypeError, match="expected times"):
        Stretches.of(pl.Series("time", [1, 2]), 2)


def test_of_many_stretches_some_are_kept_that_are_spread_evenly() -> None:
    found = Stretches.of(times(*range(1_000)), 1)
    assert found is not None
    assert len(found.starts) == MOST
    assert (found.place >= 0).sum() == MOST
    assert found.place[0] == 0
    assert found.place[-1] == MOST - 1
    assert {day % 7 for day in np.flatnonzero(found.place >= 0)} == set(range(7))


@pytest.mark.parametrize("values", [[1.0] * 9, [0.0] * 60 + list(range(100)), [0.1, 0.2, 0.9], []])
def test_every_number_is_in_one_group_and_none_straddles_a_decision(values: list[float]) -> None:
    first = np.asarray(values, np.float64)
    other = np.array([-3.0, 0.3, 0.5, 1e300, np.nan, np.inf])
    groups = Groups.of((first, other), 8, at=(0.5,))
    assert (groups.lower <= groups.upper).all()
    assert (groups.lower[1:] > groups.upper[:-1]).all()
    assert not ((groups.lower < 0.5) & (groups.upper >= 0.5)).any()
    stretches = Stretches(1, tuple(range(4)), np.arange(other.size) % 4)
    counted = groups.counted(other, stretches, first)
    assert counted.counts.sum() == np.isfinite(other).sum()
    assert counted.whole.sum() == first.size


def test_few_numbers_and_categories_are_told_apart_exactly() -> None:
    stretches = Stretches(1, tuple(range(4)), np.arange(8) // 2)
    numbers = of_numbers(np.array([1.0, 2, 2, 2, 1, 1, 3, np.nan]), stretches)
    assert numbers.lower is not None
    assert numbers.upper is not None
    assert numbers.lower.tolist() == numbers.upper.tolist() == [1, 2, 3]
    assert numbers.counts.tolist() == [[1, 1, 0], [0, 2, 0], [2, 0, 0], [0, 0, 1]]
    texts = of_texts(pl.Series(["a", "b", "b", "b", "a", None, "c", "b"]), stretches)
    assert texts.whole.tolist() == [4, 2, 1]
    assert texts.counts.tolist() == [[1, 1, 0], [2, 0, 0], [0, 1, 0], [1, 0, 1]]
    many = of_texts(pl.Series([f"{index // 2}" for index in range(200)]), Stretches(1, (0, 1), np.arange(200) % 2))
    assert many.counts.shape == (2, GROUPS)
    assert many.whole.sum() == 200


def test_a_year_of_weeks_and_twenty_columns_is_small_and_tells_how_far_each_week_is() -> None:
    rng = np.random.default_rng(0)
    n = 365 * 60
    day = np.repeat(np.arange(365), 60)
    moved = {f"c{index}": rng.gamma(2.0, 1 + 0.3 * np.sin(2 * np.pi * day / 365) * (index % 3)) for index in range(20)}
    frame = pl.DataFrame(moved).with_columns(place=pl.lit("x") + (pl.arange(0, n) % 40).cast(pl.String))
    time = times(*(day + rng.random(n) * 0.5))
    label = (rng.random(n) < 0.3).astype(float)
    rows = Scored(time, rng.random(n), label, frame)
    columns = profile.Profile("a", "train").with_rows(frame, tuple(moved)).columns
    found = Seasons.of(frame, columns, rows, rows, 7, {"place": tuple(frame["place"].unique().sort())}, binary=True)
    assert found is not None
    text = json.dumps(found.record(), separators=(",", ":"))
    assert len(text) < 250_000
    read = Read.model_validate_json(text)
    assert len(read.rows) == 52
    assert len(read.slices["place"]) == VALUES
    assert read.joint is not None
    assert read.starts[:2] == ("2025-01-06", "2025-01-13")
    for name in ("c1", "c2"):
        grouped = found.columns[name]
        shares = np.cumsum(grouped.whole / grouped.whole.sum() - grouped.counts / grouped.counts.sum(1)[:, None], 1)
        exact = [stats.ks_2samp(moved[name], moved[name][day // 7 == week]).statistic for week in range(52)]
        assert np.abs(shares).max(1) == pytest.approx(exact, abs=0.03)
