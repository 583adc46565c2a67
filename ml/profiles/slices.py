"""Scores, alone and beside their labels, of all rows and of each value of a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ml.profiles import cells as celled
from ml.profiles.cells import CELLS, FEW, Cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

VALUES = 50
"""The most values of a column that slices are kept of."""
OTHERS = "…"
MISSING = "null"

Joint = tuple[Cells, ...]
"""The scores of the rows with label 0, and those of the rows with label 1."""


@dataclass(frozen=True)
class Slice:
    """The rows of one value: how many, the cells of their scores, and of those with a label by label."""

    rows: int
    score: Cells | None
    joint: Joint | None

    def record(self) -> dict[str, Any]:
        """As in profile.json."""
        score = None if self.score is None else self.score.record()
        return {"rows": self.rows, "score": score, "joint": celled.records(self.joint)}

    @classmethod
    def parsed(cls, record: Mapping[str, Any]) -> Slice:
        """The inverse of `record`. Raises KeyError, TypeError, ValueError or OverflowError on what is none."""
        score = celled.parsed(None if record["score"] is None else [record["score"]], FEW)
        return cls(int(record["rows"]), score[0] if score else None, celled.parsed(record["joint"], FEW))


Slices = dict[str, dict[str, Slice]]


def joint_of(scores: NDArray[np.float64], labels: NDArray[np.float64], limit: int = CELLS) -> Joint:
    """The finite scores [n] of label 0 and of label 1; a label may be NaN."""
    known = np.isfinite(scores)
    return tuple(Cells.of_numbers(scores[known & (labels == label)], limit) for label in (0.0, 1.0))


def most_frequent(column: pl.Series) -> tuple[str, ...]:
    """The values that slices are kept of: the most frequent, by name where two are alike."""
    counts = texts(column).rename("value").value_counts(name="count")
    return tuple(counts.sort("count", "value", descending=[True, False]).head(VALUES).get_column("value"))


def texts(column: pl.Series) -> pl.Series:
    """The name of each row's slice."""
    return column.cast(pl.String, strict=False).fill_null(MISSING)


def slices_of(
    columns: pl.DataFrame,
    values: Mapping[str, tuple[str, ...]],
    scores: NDArray[np.float64] | None,
    labels: NDArray[np.float64] | None,
) -> Slices:
    """The slices of rows [n], by column and value; values that are not among the given ones stand together as `…`."""
    found: Slices = {}
    for name, kept in values.items():
        if name not in columns.columns:
            continue
        of_row = texts(columns.get_column(name))
        of_row = pl.select(pl.when(of_row.is_in(list(kept))).then(of_row).otherwise(pl.lit(OTHERS))).to_series()
        found[name] = {}
        for value in of_row.unique().sort():
            rows = (of_row == value).to_numpy()
            own = None if scores is None else scores[rows]
            finite = None if own is None else Cells.of_numbers(own[np.isfinite(own)], FEW)
            joint = None if own is None or labels is None else joint_of(own, labels[rows], FEW)
            found[name][str(value)] = Slice(int(rows.sum()), finite, joint)
    return found


def merged(one: Slices, two: Slices) -> Slices:
    """Both together."""
    found: Slices = {}
    for name in sorted({*one, *two}):
        first, second = one.get(name, {}), two.get(name, {})
        found[name] = {
            value: _merged(first[value], second[value])
            if value in first and value in second
            else first.get(value) or second[value]
            for value in sorted({*first, *second})
        }
    return found


def merged_joint(one: Joint | None, two: Joint | None) -> Joint | None:
    """Both together."""
    return celled.joined(one, two) if one is not None and two is not None else one or two


def _merged(one: Slice, two: Slice) -> Slice:
    score = celled.merged(one.score, two.score) if one.score and two.score else one.score or two.score
    return Slice(one.rows + two.rows, score, merged_joint(one.joint, two.joint))
