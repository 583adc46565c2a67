"""Which rows a model is fitted on and which it is judged on: by time with the label's delay, or by hash of the id."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml.errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ml.params import TimeSplit

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Windows:
    """Half-open windows of whole days: train [train_start, train_end), test [test_start, test_end)."""

    train_start: datetime
    train_end: datetime
    test_start: datetime
    test_end: datetime


def windows(first: datetime, last: datetime, split: TimeSplit, path: Path) -> Windows:
    """The windows that end with the data's last day. Raises StageError when the data has too few days."""
    start, end = _midnight(first), _midnight(last) + DAY
    needed = split.train_days + split.delay_days + split.test_days
    found = (end - start).days
    if found < needed:
        raise StageError(
            f"{path} spans {found} days, {first:%Y-%m-%d} to {last:%Y-%m-%d}; the split needs {needed} "
            f"({split.train_days} to train, {split.delay_days} of delay, {split.test_days} to test); "
            "bring more data or shorten split.*_days",
            file=path,
        )
    test_start = end - split.test_days * DAY
    train_end = test_start - split.delay_days * DAY
    return Windows(train_end - split.train_days * DAY, train_end, test_start, end)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def by_time(
    frame: pl.DataFrame, time: str, label: str, split: TimeSplit, bounds: Windows
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Train and test rows of a table with a Datetime column `time`.

    With `exclude_known`, a test row leaves when its value in that column (a customer) had a positive label between
    the start of training and `delay_days` before the day of the row: a card known as compromised is blocked by then.
    After the Fraud Detection Handbook's `get_train_test_set` (chapter 5, section 2), where known frauds are those of
    the training window and of every day up to and including test day - delay_days - 1.
    """
    train = frame.filter(pl.col(time).is_between(bounds.train_start, bounds.train_end, closed="left"))
    test = frame.filter(pl.col(time).is_between(bounds.test_start, bounds.test_end, closed="left"))
    key = split.exclude_known
    if key is None:
        return train, test
    known = (
        frame.lazy()
        .filter((pl.col(time) >= bounds.train_start) & (pl.col(label) == 1))
        .group_by(key)
        .agg(pl.col(time).min().dt.truncate("1d").alias("_known"))
    )
    day_of_row = pl.col(time).dt.truncate("1d")
    is_known = (pl.col("_known") < day_of_row - split.delay_days * DAY).fill_null(value=False)
    kept = test.lazy().join(known, on=key, how="left", maintain_order="left").filter(~is_known).drop("_known").collect()
    return train, kept


def by_hash(frame: pl.DataFrame, identity: str, fraction: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Train and test rows; a row stays on its side whatever other rows come or go."""
    is_test = stable_hash(frame.get_column(identity)) < np.uint64(int(fraction * 2**64))
    return frame.filter(~is_test), frame.filter(is_test)


def sample(frame: pl.DataFrame, identity: str, rows: int | None, seed: int) -> pl.DataFrame:
    """At most `rows` rows, the same for the same ids and seed, in order of the id."""
    if rows is not None and rows < frame.height:
        order = np.argsort(stable_hash(frame.get_column(identity), seed), kind="stable")
        frame = frame[np.sort(order[:rows])]
    return frame.sort(identity)


def stable_hash(ids: pl.Series, seed: int = 0) -> NDArray[np.uint64]:
    """64-bit hash of each id, shape [n], that no version of a library changes.

    Integers go through splitmix64's finaliser (Steele, Lea and Flood 2014), anything else through CRC-32 of its text.
    """
    if ids.dtype.is_integer():
        x = ids.cast(pl.Int64).to_numpy().astype(np.uint64)
    else:
        x = np.fromiter((zlib.crc32(str(value).encode()) for value in ids), dtype=np.uint64, count=ids.len())
    x = x + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
