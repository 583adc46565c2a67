"""A window out of raw rows: features made as the stage prepare makes them, scored by the model's ONNX file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml import kinds
from ml.errors import StageError, did_you_mean
from ml.files import md5
from ml.kinds import splits
from ml.params import TimeSplit
from ml.profiles.times import Times
from ml.windows import judged
from ml.windows.labels import keys_of
from ml.windows.part import Part, together
from ml.windows.store import Store, line, slices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ml.kinds import Job
    from ml.windows.labels import Labels
    from ml.windows.task import Task

ROWS = 262_144


def read(task: Task, job: Job, url: str, onnx: Path, later: Labels | None) -> Part:
    """The part of all rows of the window; where the model's data has no times, of all rows that are there.

    Raises StageError where there are none to read, or they are not what the model's features are made of.
    """
    store = Store(url)
    paths = store.parquet()
    if not paths:
        raise StageError(f"there are no rows at {store.shown}: no Parquet file is there; correct drift.rows")
    part, tables = task.empty(), []
    for path in paths:
        try:
            tables.append(_recent(task, job, store.scan(path), path))
        except (pl.exceptions.PolarsError, OSError) as error:
            part.damaged[store.name(path)] = line(error)
    part = replace(part, files_read=len(paths))
    raw = pl.concat(tables, how="diagonal_relaxed") if tables else pl.DataFrame()
    if raw.is_empty():
        return part
    identity = job.params.data.id
    raw = raw.unique(identity, keep="last", maintain_order=True)  # as validation has it, where files overlap
    shared = [_inside(task, job, table) for table in tables]
    part = part.with_ids([keys_of(each.get_column(identity)) for each in shared])
    future = _future(task, job, raw)
    made = _made(job, raw, Path(store.shown))
    known = known_by_then(task, job, made, later)
    rows = _inside(task, job, made)
    whole = together((_part(task, job, some, onnx, later, known) for some in rows.iter_slices(ROWS)), part)
    time = whole.profile.time or Times(None, None, {})
    return replace(whole, profile=replace(whole.profile, time=replace(time, future=future)))


def ids(job: Job, url: str) -> Iterator[NDArray[np.uint64]]:
    """Hashed ids of all rows that are there, of any time."""
    store = Store(url)
    for path in store.parquet():
        try:
            for rows in slices(store.scan(path).select(job.params.data.id), ROWS):
                yield keys_of(rows.to_series())
        except (pl.exceptions.PolarsError, OSError):  # told by `read`
            continue


def _recent(task: Task, job: Job, frame: pl.LazyFrame, path: str) -> pl.DataFrame:
    """The rows that the window's features look at. Raises StageError where a column is missing or holds no times."""
    data, names = job.params.data, frame.collect_schema()
    for name in (data.id, *((data.time,) if data.time else ())):
        if name not in names:
            raise StageError(f"{path} has no column '{name}'; {did_you_mean(name, names)}", file=path)
    if data.time is None:
        return frame.collect()
    dtype = names[data.time]
    if not isinstance(dtype, pl.Datetime):
        raise StageError(f"{path}: '{data.time}' is {dtype}; expected times (Datetime)", file=path)
    utc = pl.col(data.time)
    if dtype.time_zone is not None:  # features read the clock of the data they were written for
        utc = utc.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    frame = frame.with_columns(utc)
    if isinstance(job.params.split, TimeSplit) and job.params.split.history_days is not None:
        frame = frame.filter(utc >= _naive(task.start) - timedelta(days=job.params.split.history_days))
    return frame.collect()


def _inside(task: Task, job: Job, rows: pl.DataFrame) -> pl.DataFrame:
    time = job.params.data.time
    if time is None:
        return rows
    return rows.filter(pl.col(time) >= _naive(task.start), pl.col(time) < _naive(task.end))


def _future(task: Task, job: Job, rows: pl.DataFrame) -> int:
    time = job.params.data.time
    return 0 if time is None else int((rows.get_column(time) > _naive(task.now)).sum())


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _made(job: Job, raw: pl.DataFrame, source: Path) -> pl.DataFrame:
    """With features; a label that is not known yet may be missing. Raises StageError."""
    label = job.params.data.label
    if label not in raw.columns:
        raw = raw.with_columns(pl.lit(None, pl.Int8).alias(label))
    try:
        return kinds.load(job.params.head.kind).made(job, raw, source)
    except pl.exceptions.PolarsError as error:
        words = f"{source}: features of {job.model} cannot be made of these rows ({line(error)})"
        raise StageError(f"{words}; a column may have another type than in training", file=source) from error


def known_by_then(task: Task, job: Job, rows: pl.DataFrame, later: Labels | None) -> pl.Series:
    """The ids of rows of the window that no test row was like: those that `split.exclude_known` leaves out.

    What was known when the row came is told by the rows that were read, the history that features look back on.
    """
    data, split = job.params.data, job.params.split
    if not isinstance(split, TimeSplit) or split.exclude_known is None or data.time is None:
        return rows.get_column(data.id).head(0)
    if split.exclude_known not in rows.columns:
        hint = did_you_mean(split.exclude_known, rows.columns)
        raise StageError(f"{job.params.path}: split.exclude_known is no column of the rows; {hint}")
    if later is not None:
        found = pl.Series(later.of(keys_of(rows.get_column(data.id)))[0], nan_to_null=True)
        own = pl.col(data.label).cast(pl.Float64)
        rows = rows.with_columns(pl.coalesce(pl.lit(found), own).alias(data.label))
    start, end = _naive(task.start), _naive(task.end)
    first = rows.get_column(data.time).min()
    bounds = splits.Windows(first if isinstance(first, datetime) else start, start, start, end)
    _, kept = splits.by_time(rows, data.time, data.label, split, bounds)
    inside = _inside(task, job, rows)
    return inside.join(kept, on=data.id, how="anti").get_column(data.id)


def _part(task: Task, job: Job, rows: pl.DataFrame, onnx: Path, later: Labels | None, known: pl.Series) -> Part:
    """The part of rows with features; those that are `known` have no score, as they are no test rows."""
    kind, data = kinds.load(job.params.head.kind), job.params.data
    taken = kind.taken(onnx, rows)
    profile = task.empty().profile.with_rows(
        taken,
        taken.columns,
        reference=task.reference,
        time=rows.get_column(data.time) if data.time else None,
        now=task.now,
    )
    whole = _whole(taken)
    scores = np.full(rows.height, np.nan)  # of a row that lacks a value: a server refuses it
    if whole.any():
        scores[whole] = kind.score(onnx, rows.filter(pl.Series(whole)))
    part = replace(task.empty(), profile=profile)
    tested = ~rows.get_column(data.id).is_in(known.implode())
    rows, scores = rows.filter(tested), scores[tested.to_numpy()]
    if rows.is_empty():
        return part
    labels = rows.get_column(data.label).cast(pl.Float64).to_numpy()
    ids = rows.get_column(data.id)
    return judged.added(part, task, judged.Scored(ids, keys_of(ids), scores, labels, rows), later)


def _whole(taken: pl.DataFrame) -> NDArray[np.bool_]:
    """Which rows [n] lack nothing and are finite."""
    found: NDArray[np.bool_] = (
        taken.select(
            pl.all_horizontal(
                pl.col(name).is_finite().fill_null(value=False) if dtype.is_float() else pl.col(name).is_not_null()
                for name, dtype in taken.schema.items()
            )
        )
        .to_series()
        .to_numpy()
    )
    return found


def require_model(task: Task, onnx: Path) -> None:
    """Raise StageError where the model's file is not the one that the reference is of."""
    if not onnx.is_file():
        raise StageError(f"{onnx} is missing; get the model with: dvc pull", file=onnx)
    if (found := md5(onnx)) != task.reference.model_hash:
        words = f"{onnx} (md5 {found}) is not the model that the reference is of ({task.reference.model_hash})"
        raise StageError(f"{words}; give both of one version", file=onnx)
