"""When rows were: how many in each hour, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

PERIODS = 10_000
"""More periods than this are told as days, then as months, then as years."""
UNITS = (("h", 13), ("D", 10), ("M", 7), ("Y", 4))  # numpy's name, and how much of an ISO time says it
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FIRST, LAST = ((datetime(*day, tzinfo=UTC) - EPOCH) // MICROSECOND for day in ((1, 1, 1), (9999, 12, 31)))


@dataclass(frozen=True)
class Times:
    """Rows by hour ("2026-11-27T20"); `first` and `last` in microseconds since 1970, None where no row has a time.

    `future` are rows later than what was now when they were read, `missing` those without a time that can be told.
    """

    first: int | None
    last: int | None
    periods: Mapping[str, int]
    future: int = 0
    missing: int = 0

    @classmethod
    def of(cls, column: pl.Series, now: datetime) -> Times:
        """The times of a Datetime or Date column; those without a zone are UTC. Raises TypeError on another column."""
        micros = micros_of(column).drop_nulls().to_numpy()
        known = micros[(micros >= FIRST) & (micros <= LAST)]
        missing = column.len() - known.size
        if not known.size:
            return cls(None, None, {}, 0, missing)
        hours, counts = np.unique(known // 3_600_000_000, return_counts=True)
        names = np.datetime_as_string(hours.astype("datetime64[h]")).tolist()
        future = int((known > (now - EPOCH) // MICROSECOND).sum())
        periods = _settled(dict(zip(names, counts.tolist(), strict=True)))
        return cls(int(known.min()), int(known.max()), periods, future, missing)

    def record(self) -> dict[str, Any]:
        """As in profile.json."""
        return {
            "first": _iso(self.first),
            "last": _iso(self.last),
            "per_hour": dict(sorted(self.periods.items())),
            "future": self.future,
            "missing": self.missing,
        }

    @classmethod
    def parsed(cls, record: Mapping[str, Any]) -> Times:
        """The inverse of `record`. Raises KeyError, TypeError or ValueError on what is none."""
        periods = {str(name): int(count) for name, count in record["per_hour"].items()}
        return cls(
            _micros(record["first"]), _micros(record["last"]), periods, int(record["future"]), int(record["missing"])
        )


def micros_of(column: pl.Series) -> pl.Series:
    """Microseconds since 1970 UTC, Int64 with nulls. Raises TypeError where the column does not hold times."""
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        column = column if dtype.time_zone is None else column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    elif dtype not in {pl.Date, pl.Null}:
        raise TypeError(f"'{column.name}' is {dtype}; expected times (Datetime or Date)")
    return column.cast(pl.Datetime("us")).to_physical()


def merged(one: Times | None, two: Times | None) -> Times | None:
    """Both together."""
    if one is None or two is None:
        return one or two
    width = min((len(name) for name in (*one.periods, *two.periods)), default=0)
    periods: dict[str, int] = {}
    for part in (one.periods, two.periods):
        for name, count in part.items():
            periods[name[:width]] = periods.get(name[:width], 0) + count
    firsts = [time.first for time in (one, two) if time.first is not None]
    lasts = [time.last for time in (one, two) if time.last is not None]
    return Times(
        min(firsts, default=None),
        max(lasts, default=None),
        _settled(periods),
        one.future + two.future,
        one.missing + two.missing,
    )


def _settled(periods: dict[str, int]) -> dict[str, int]:
    """The finest periods of which there are not too many; years are kept however many."""
    for _, width in UNITS:
        if len(periods) <= PERIODS:
            break
        coarse: dict[str, int] = {}
        for name, count in periods.items():
            coarse[name[:width]] = coarse.get(name[:width], 0) + count
        periods = coarse
    return periods


def _iso(micros: int | None) -> str | None:
    return None if micros is None else (EPOCH + timedelta(microseconds=micros)).isoformat()


def _micros(text: str | None) -> int | None:
    return None if text is None else (datetime.fromisoformat(text) - EPOCH) // MICROSECOND
