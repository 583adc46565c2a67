"""Evaluation rows: labels, scores and the columns that gates read, as arrays; and which rows two models share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.core.records import Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Column:
    """A column of words: `codes` (n,) index into `values`."""

    values: tuple[str, ...]
    codes: Ints

    def take(self, index: Ints) -> Column:
        """Some of its rows."""
        return Column(self.values, self.codes[index])


@dataclass(frozen=True)
class Rows:
    """n evaluation rows of one model: `label` and `score` (n,); `days` are whole numbers, increasing with time."""

    ids: NDArray[Any]
    label: Floats
    score: Floats
    columns: Mapping[str, Column]
    days: Mapping[str, Ints]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: Ints) -> Rows:
        """Some of its rows."""
        return Rows(
            ids=self.ids[index],
            label=self.label[index],
            score=self.score[index],
            columns={name: column.take(index) for name, column in self.columns.items()},
            days={name: days[index] for name, days in self.days.items()},
        )

    def fault(self, task: Task) -> str | None:
        """Why no metric can be taken over these rows, in words; None when all is well."""
        if len(self) == 0:
            return "there are no evaluation rows"
        wrong = int(np.count_nonzero(~np.isfinite(self.score)))
        if wrong:
            return f"{wrong:,} of {len(self):,} scores are NaN or infinite"
        if not np.isfinite(self.label).all():
            return "some labels are NaN or infinite"
        if task == "regression":
            return None
        if not np.isin(self.label, (0, 1)).all():
            return "labels other than 0 and 1 were found"
        outside = int(np.count_nonzero((self.score < 0) | (self.score > 1)))
        return f"{outside:,} of {len(self):,} scores are no probabilities: they lie outside 0 to 1" if outside else None


@dataclass(frozen=True)
class Pairing:
    """The rows that candidate and baseline share, in the candidate's order, and what is to be said of it."""

    rows: Rows
    baseline: Floats
    note: str


def pair(candidate: Rows, baseline: Rows) -> Pairing | str:
    """Match rows by id; a sentence when they cannot be compared, because labels differ or no row is shared."""
    if candidate.ids.dtype.kind == baseline.ids.dtype.kind and np.array_equal(candidate.ids, baseline.ids):
        mine = theirs = np.arange(len(candidate))
    else:
        mine, theirs = shared(candidate.ids, baseline.ids)
    if not len(mine):
        return "candidate and baseline share no evaluation row (by row_id)"
    differing = int(np.count_nonzero(candidate.label[mine] != baseline.label[theirs]))
    if differing:
        return f"{differing:,} of the {len(mine):,} shared evaluation rows have another label in the baseline"
    if len(mine) == len(candidate):
        return Pairing(candidate.take(mine), baseline.score[theirs], "")
    note = f"on the {len(mine):,} of {len(candidate):,} evaluation rows that the baseline has too"
    return Pairing(candidate.take(mine), baseline.score[theirs], note)


def shared(mine: NDArray[Any], theirs: NDArray[Any]) -> tuple[Ints, Ints]:
    """Positions of the ids in both, in the order of the first."""
    if mine.dtype.kind != theirs.dtype.kind:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    _, left, right = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    order = np.argsort(left)
    return left[order], right[order]
