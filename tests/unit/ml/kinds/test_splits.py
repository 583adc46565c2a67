"""Splits: windows by time with the label's delay, the Handbook's known customers, and stable hashes."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ml.errors import StageError
from ml.kinds import splits
from ml.params import TimeSplit

HANDBOOK = Path("../shared/data/handbook_raw_dev_0401_0814.parquet")
WEEKS = TimeSplit(by="time", train_days=2, delay_days=2, test_days=2, exclude_known="card")
START = datetime(2026, 1, 1)  # noqa: DTZ001  the data's times are naive


def transactions(rows: list[tuple[float, str, int]]) -> pl.DataFrame:
    """(days after the start, card, fraud)."""
    return pl.DataFrame(
        [(START + timedelta(days=days), card, fraud) for days, card, fraud in rows],
        schema=["time", "card", "label"],
        orient="row",
    )


def test_windows_end_with_the_last_day() -> None:
    found = splits.windows(START, START + timedelta(days=5, hours=3), WEEKS, Path("t.parquet"))
    assert found == splits.Windows(*(START + timedelta(days=days) for days in (0, 2, 4, 6)))


def test_too_few_days_are_told() -> None:
    with pytest.raises(StageError, match=r"t\.parquet spans 5 days, 2026-01-01 to 2026-01-05; the split needs 6"):
        splits.windows(START, START + timedelta(days=4), WEEKS, Path("t.parquet"))


def test_a_customer_known_as_compromised_leaves_from_the_day_it_is_known() -> None:
    frame = transactions(
        [
            (0.5, "train", 1),  # known on day 2.5, before any test day
            (2.1, "gap", 1),  # known on day 4.1: out from day 5 on, as the Handbook counts whole days
            (3.5, "late", 1),  # known on day 5.5, after the last test day began
            (4.2, "train", 0),
            (4.3, "gap", 0),
            (5.3, "gap", 0),
            (5.4, "late", 0),
            (5.5, "new", 1),
        ]
    )
    bounds = splits.windows(START, frame["time"].max(), WEEKS, Path("t"))  # type: ignore[arg-type]  # a datetime
    train, test = splits.by_time(frame, "time", "label", WEEKS, bounds)
    assert train["card"].to_list() == ["train"]
    days = (test["time"] - START).dt.total_seconds() / 86400
    assert list(zip(days.round(1), test["card"], strict=True)) == [(4.3, "gap"), (5.4, "late"), (5.5, "new")]


@pytest.mark.skipif(
    not HANDBOOK.exists() and "CI" not in os.environ, reason=f"needs the Fraud Detection Handbook's rows in {HANDBOOK}"
)
def test_the_handbook_s_own_windows() -> None:
    """The published counts: 67,240 rows with 598 frauds to train, 58,264 with 385 to test."""
    frame = pl.read_parquet(HANDBOOK, columns=["TX_DATETIME", "CUSTOMER_ID", "TX_FRAUD"])
    weeks = TimeSplit(by="time", train_days=7, delay_days=7, test_days=7, exclude_known="CUSTOMER_ID")
    ends = frame.select(pl.col("TX_DATETIME").min().alias("a"), pl.col("TX_DATETIME").max().alias("b"))
    bounds = splits.windows(ends.item(0, "a"), ends.item(0, "b"), weeks, HANDBOOK)
    train, test = splits.by_time(frame, "TX_DATETIME", "TX_FRAUD", weeks, bounds)
    assert (train.height, train["TX_FRAUD"].sum(), test.height, test["TX_FRAUD"].sum()) == (67_240, 598, 58_264, 385)


def test_a_row_keeps_its_side_when_others_come() -> None:
    few, many = (pl.DataFrame({"id": range(count)}) for count in (1_000, 5_000))
    test_few, test_many = (set(splits.by_hash(frame, "id", 0.3)[1]["id"]) for frame in (few, many))
    assert test_few == {each for each in test_many if each < 1_000}
    assert 0.28 < len(test_many) / 5_000 < 0.32


def test_a_sample_is_a_matter_of_ids_and_seed_alone() -> None:
    frame = pl.DataFrame({"id": range(1_000)})
    one, two = splits.sample(frame, "id", 100, 1), splits.sample(frame.reverse(), "id", 100, 1)
    assert one.equals(two)
    assert one.height == 100
    assert one["id"].is_sorted()
    assert not one.equals(splits.sample(frame, "id", 100, 2))
    assert splits.sample(frame.reverse(), "id", None, 1).equals(frame)


def test_hashes_do_not_change_with_the_library() -> None:
    """Fixed once: a new version of a library must not move rows between train and test."""
    assert splits.stable_hash(pl.Series([0, 1, -1])).tolist() == [
        16294208416658607535,
        10451216379200822465,
        16490336266968443936,
    ]
    assert splits.stable_hash(pl.Series(["a", "b"]), 7).tolist() == [17540276328666999379, 11303307951559107350]
