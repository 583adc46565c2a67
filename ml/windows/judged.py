"""Rows with their scores become a part of a window; where they come from is of no matter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml.windows.labels import Labels
    from ml.windows.part import Part
    from ml.windows.task import Task


@dataclass(frozen=True)
class Scored:
    """Rows [n] of the reference's model: ids as they are told, hashes of them, scores, and labels or NaN."""

    ids: pl.Series
    keys: NDArray[np.uint64]
    scores: NDArray[np.float64]
    labels: NDArray[np.float64] | None
    beside: pl.DataFrame


def added(part: Part, task: Task, rows: Scored, later: Labels | None) -> Part:
    """The same with these rows' scores, labels and predictions."""
    labels, used = rows.labels, None
    if later is not None:
        found, marks = later.of(rows.keys)
        labels = found if labels is None else np.where(np.isnan(found), labels, found)
        used = np.packbits(marks)
    profile = part.profile.with_scores(rows.scores, labels, binary=task.binary, beside=rows.beside, values=task.values)
    used = used if part.used is None else part.used if used is None else part.used | used
    part = replace(part, profile=profile, scored=part.scored + rows.keys.size, used=used)
    if labels is None:
        return part
    known = ~np.isnan(labels)
    if not known.any():
        return part
    chosen = pl.Series(known)
    table = pl.DataFrame(
        {
            "row_id": rows.ids.filter(chosen),
            "label": pl.Series(labels[known]).cast(pl.Int8 if task.binary else pl.Float64),
            "score": rows.scores[known],
        }
    )
    carried = [rows.beside.get_column(name).filter(chosen) for name in task.carried if name in rows.beside.columns]
    return part.with_labelled(table.with_columns(carried), rows.keys[known])
