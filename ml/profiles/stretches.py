"""Distributions in stretches of time, each in a few groups of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ml.profiles.times import micros_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEAST, MOST = 4, 64
"""Stretches: fewer tell of no season; of more, so many are kept, spread evenly."""
GROUPS = 32
"""The most groups of a distribution."""
DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True)
class Stretches:
    """`starts` in microseconds since 1970, and the stretch of each row [n], -1 of one that is in none."""

    days: int
    starts: tuple[int, ...]
    place: NDArray[np.int64]

    @classmethod
    def of(cls, time: pl.Series, days: int) -> Stretches | None:
        """Whole stretches from the first row's day (UTC) on, those without rows left out; None of too few.

        Raises TypeError where the column does not hold times.
        """
        micros = micros_of(time)
        known = micros.is_not_null().to_numpy()
        at = micros.fill_null(0).to_numpy()
        if not known.any():
            return None
        first, last = int(at[known].min()) // DAY, int(at[known].max()) // DAY
        whole = (last + 1 - first) // days
        number = np.where(known, (at // DAY - first) // days, -1)
        number[number >= whole] = -1
        there = np.unique(number[number >= 0])
        if there.size < LEAST:
            return None
        if there.size > MOST:
            there = there[np.linspace(0, there.size - 1, MOST).astype(np.int64)]
        found = np.minimum(np.searchsorted(there, number), there.size - 1)
        place = np.where(there[found] == number, found, -1)
        return cls(days, tuple((first + int(one) * days) * DAY for one in there), place)

    @property
    def rows(self) -> NDArray[np.int64]:
        """How many rows each has."""
        return _counted(self.place, np.zeros_like(self.place), len(self.starts), 1)[:, 0]


@dataclass(frozen=True)
class Grouped:
    """How often each group of values is there: `counts` [stretches, groups], and in `whole`, what they are held to.

    Numbers of a group lie from `lower` to `upper`, which are alike where it is one number; None of categories.
    """

    whole: NDArray[np.int64]
    counts: NDArray[np.int64]
    lower: NDArray[np.float64] | None = None
    upper: NDArray[np.float64] | None = None

    def record(self) -> dict[str, Any]:
        """As in profile.json."""
        return {
            "lower": None if self.lower is None else self.lower.tolist(),
            "upper": None if self.upper is None else self.upper.tolist(),
            "whole": self.whole.tolist(),
            "counts": self.counts.tolist(),
        }


@dataclass(frozen=True)
class Groups:
    """Groups of numbers, by the least and the greatest that is in each."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    @classmethod
    def of(cls, values: Sequence[NDArray[np.float64]], most: int = GROUPS, at: Sequence[float] = ()) -> Groups:
        """Groups that hold alike many of the finite numbers in the first of `values`, and hold all of the others.

        No group has numbers both below and from `at` on.
        """
        first = values[0][np.isfinite(values[0])]
        distinct = np.unique(np.concatenate([each[np.isfinite(each)] for each in values]))
        if not distinct.size:
            return cls(distinct, distinct)
        starts = distinct
        if distinct.size > most:
            shares = np.arange(most) / most
            starts = np.quantile(first if first.size else distinct, shares, method="inverted_cdf")
        begin = np.unique(np.r_[0, np.searchsorted(distinct, np.r_[starts, at])])
        begin = begin[begin < distinct.size]
        return cls(distinct[begin], distinct[np.r_[begin[1:], distinct.size] - 1])

    def counted(self, values: NDArray[np.float64], stretches: Stretches, whole: NDArray[np.float64]) -> Grouped:
        """Numbers [n] in the stretches of their rows, and those that they are held to."""
        place, known = stretches.place, np.isfinite(values)
        counts = _counted(place[known], self._group(values[known]), len(stretches.starts), self.lower.size)
        against = np.bincount(self._group(whole[np.isfinite(whole)]), minlength=self.lower.size)
        return Grouped(against.astype(np.int64), counts, self.lower, self.upper)

    def _group(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(self.lower, values, side="right").astype(np.int64) - 1


def of_numbers(
    values: NDArray[np.float64],
    stretches: Stretches,
    whole: NDArray[np.float64] | None = None,
    *,
    most: int = GROUPS,
    at: Sequence[float] = (),
) -> Grouped:
    """Numbers [n], NaN where one is missing, held to all of themselves or to `whole`."""
    against = values if whole is None else whole
    return Groups.of((against, values), most, at).counted(values, stretches, against)


def of_texts(values: pl.Series, stretches: Stretches) -> Grouped:
    """Categories: the most frequent alone, all others together."""
    counts = values.drop_nulls().rename("value").value_counts(name="count")
    names = counts.sort("count", "value", descending=[True, False]).get_column("value").to_list()
    size = min(len(names), GROUPS)
    code = {name: min(index, size - 1) for index, name in enumerate(names)}
    group = values.replace_strict(code, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
    known = group >= 0
    counted = _counted(stretches.place[known], group[known], len(stretches.starts), size)
    return Grouped(np.bincount(group[known], minlength=size).astype(np.int64), counted)


def _counted(place: NDArray[np.int64], group: NDArray[np.int64], stretches: int, groups: int) -> NDArray[np.int64]:
    """How often each group is in each stretch [stretches, groups]."""
    within = place >= 0
    found = np.bincount(place[within] * groups + group[within], minlength=stretches * groups)
    return found.reshape(stretches, groups).astype(np.int64)
