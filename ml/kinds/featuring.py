"""Features made by a model's own code, and held to its contract: the rows of `raw`, in their order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from ml.errors import StageError, did_you_mean
from ml.kinds.modules import path_of

if TYPE_CHECKING:
    from pathlib import Path

    from ml.kinds import Job
    from ml.kinds.fitting import FeaturesModule


def make(job: Job, code: FeaturesModule, raw: pl.DataFrame, source: Path) -> pl.DataFrame:
    """`features(raw)`. Raises StageError when it reads a column that is not there or does not keep to its contract."""
    data = job.params.data
    kept = list(dict.fromkeys((data.id, data.label, *((data.time,) if data.time else ()))))
    given = raw.select(kept)
    made = _called(job, code, raw, source)
    place = path_of(job.model, "features")
    if not isinstance(made, pl.DataFrame):
        hint = "; end it with .collect()" if isinstance(made, pl.LazyFrame) else ""
        words = f"{place}: features() returns a {type(made).__name__}; expected a polars DataFrame{hint}"
        raise StageError(words, file=place)
    for column in (*kept, *data.keep, *code.FEATURES, *code.CATEGORICAL):
        if column not in made.columns:
            hint = did_you_mean(column, made.columns)
            raise StageError(f"{place}: features() returns no column '{column}'; {hint}", file=place)
    if fault := _changed(given, made.select(kept), data.id):
        raise StageError(f"{place}: features() {fault}; return the rows of raw, in their order", file=place)
    return made


def _called(job: Job, code: FeaturesModule, raw: pl.DataFrame, source: Path) -> object:
    try:
        return code.features(raw)
    except pl.exceptions.ColumnNotFoundError as error:
        quoted = re.search(r'"([^"]+)"', str(error))
        missing = quoted[1] if quoted else str(error)
        hint = did_you_mean(missing, raw.columns)
        words = f"{source} has no column '{missing}', which features.py of {job.model} reads; {hint}"
        raise StageError(words, file=source) from error


def _changed(given: pl.DataFrame, made: pl.DataFrame, identity: str) -> str:
    """What the code did to the rows' ids, or else to their labels and times; empty where it left them alone."""
    for column in given.columns:
        if given[column].dtype != made[column].dtype:
            return f"makes '{column}', {given[column].dtype} in raw, a column of {made[column].dtype}"
    both = min(given.height, made.height)
    ids, new_ids = given[identity], made[identity]
    moved = ids.head(both).ne_missing(new_ids.head(both)).arg_true()
    first = int(moved[0]) if moved.len() else both
    if given.height != made.height:
        instead = f"{identity} {new_ids[first]}" if first < made.height else "nothing"
        wanted = f"{identity} {ids[first]}" if first < given.height else "nothing"
        return f"returns {made.height:,} rows for {given.height:,}; row {first} has {instead} where raw has {wanted}"
    if moved.len():
        return (
            f"returns other ids in {moved.len():,} of {given.height:,} rows; "
            f"row {first} has {identity} {new_ids[first]} where raw has {ids[first]}"
        )
    for column in given.columns:
        changed = given[column].ne_missing(made[column]).arg_true()
        if changed.len():
            row = int(changed[0])
            values = f"{made[column][row]} where raw has {given[column][row]}"
            return f"changes '{column}' of {changed.len():,} rows, first where {identity} is {ids[row]}: {values}"
    return ""
