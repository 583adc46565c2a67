"""What some rows of a window come to: a profile, and what is told beside it. Parts add up in any order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml.profiles import samples
from ml.profiles.profile import merged as merged_profiles
from ml.profiles.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ml.profiles.profile import Profile

IDS = 1 << 20
"""Ids that are counted one by one; of more, a sample of that many."""
PREDICTIONS = 500_000
"""The most rows of predictions.parquet: those with the least hash of their id, so that any parts keep the same."""
KEY = "\0key"


@dataclass(frozen=True)
class Part:
    """`ids` counts each id's rows, `files` the files it is in; `used` are the labels [labels] that were found."""

    profile: Profile
    files_read: int = 0
    scored: int = 0
    labelled: int = 0
    ids: Sample = field(default_factory=lambda: Sample.empty(IDS))
    files: Sample = field(default_factory=lambda: Sample.empty(IDS))
    others: dict[str, int] = field(default_factory=dict)
    used: NDArray[np.uint8] | None = None
    predictions: pl.DataFrame | None = None
    damaged: dict[str, str] = field(default_factory=dict)

    def with_ids(self, keys: Sequence[NDArray[np.uint64]]) -> Part:
        """The same with the hashed ids of the rows of these files."""
        found = [Sample.of(each, IDS) for each in keys]
        once = [replace(each, counts=np.ones_like(each.counts)) for each in found]
        return replace(self, ids=samples.together([self.ids, *found]), files=samples.together([self.files, *once]))

    def with_labelled(self, rows: pl.DataFrame, keys: NDArray[np.uint64]) -> Part:
        """The same with these rows of predictions."""
        more = rows.with_columns(pl.Series(KEY, keys, dtype=pl.UInt64))
        return replace(self, labelled=self.labelled + rows.height, predictions=_least([self.predictions, more]))


def merged(one: Part, two: Part) -> Part:
    """Both together."""
    return Part(
        merged_profiles(one.profile, two.profile),
        one.files_read + two.files_read,
        one.scored + two.scored,
        one.labelled + two.labelled,
        samples.merged(one.ids, two.ids),
        samples.merged(one.files, two.files),
        {name: one.others.get(name, 0) + two.others.get(name, 0) for name in sorted({*one.others, *two.others})},
        one.used | two.used if one.used is not None and two.used is not None else _either(one.used, two.used),
        _least([one.predictions, two.predictions]),
        {**one.damaged, **two.damaged},
    )


def together(parts: Iterable[Part], empty: Part) -> Part:
    """All parts, those of a like size at a time: a great one is not gone through for every small one."""
    heap: list[tuple[int, Part]] = [(1, empty)]
    for part in parts:
        weight, whole = 1, part
        while heap and heap[-1][0] <= weight:
            more, other = heap.pop()
            weight, whole = weight + more, merged(other, whole)
        heap.append((weight, whole))
    _, whole = heap.pop()
    for _, other in reversed(heap):
        whole = merged(other, whole)
    return whole


def table(part: Part) -> pl.DataFrame | None:
    """predictions.parquet: a row for each id, in order of ids; None where no row has a label."""
    if part.predictions is None:
        return None
    rows = part.predictions.drop(KEY)
    return rows.sort(rows.columns).unique("row_id", keep="last", maintain_order=True)


def _least(tables: Sequence[pl.DataFrame | None]) -> pl.DataFrame | None:
    there = [each for each in tables if each is not None]
    if not there:
        return None
    rows = pl.concat(there, how="diagonal_relaxed")
    return rows if rows.height <= PREDICTIONS else rows.sort(KEY, *rows.drop(KEY).columns).head(PREDICTIONS)


def _either(one: NDArray[np.uint8] | None, two: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    return two if one is None else one
