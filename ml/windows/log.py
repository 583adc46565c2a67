"""A window out of the inference log: the files of its hours, as servers wrote them (docs/inference-log.md)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml.errors import StageError
from ml.profiles.profile import hashes
from ml.windows import judged
from ml.windows.labels import Labels, kept, keys_of
from ml.windows.part import Part, merged, together
from ml.windows.store import Store, line, slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ml.windows.task import Task

HOUR = timedelta(hours=1)
ROWS = 262_144  # that are profiled at a time: of small files, several together
HASHED = "hmac:"
COLUMNS = ("request_id", "row", "time", "model_hash", "score")
TYPES = {"request_id": pl.String, "row": pl.Int64, "model_hash": pl.String, "score": pl.Float64}


def files(url: str, task: Task) -> list[str]:
    """The files of the window's hours, by name. Raises StageError where there is no log of the model, or no answer."""
    store = Store(url)
    home = f"model={task.model}"
    if not store.exists(home):
        raise StageError(
            f"there is no inference log of {task.model} at {store.shown}: no folder there is called {home}; correct "
            "drift.log, or see that servers write one (SERVE_LOG)"
        )
    found = []
    for day in _days(task):
        if store.exists(f"{home}/date={day:%Y-%m-%d}"):
            for hour in _hours(task, day):
                found += store.parquet(f"{home}/date={hour:%Y-%m-%d}/hour={hour:%H}")
    return found


def ids(task: Task, url: str) -> Iterator[NDArray[np.uint64]]:
    """Hashed ids of all rows around the window, from `task.reach` before it on, whoever answered them."""
    store = Store(url)
    for path in files(url, replace(task, start=task.start - task.reach, end=max(task.end, task.now))):
        try:
            for rows in slices(store.scan(path).select("request_id", "row"), ROWS):
                yield keys_of(rows["request_id"], rows["row"])
        except StageError:
            raise
        except Exception:  # noqa: BLE001, S112 - as in _parts, which tells of those in the window
            continue


def read(task: Task, url: str, paths: Sequence[str], labels: Labels | Path | None) -> Part:
    """The part of these files; one that cannot be read to its end is told, and leaves nothing else behind."""
    store = Store(url)
    later = kept(labels) if labels is not None and not isinstance(labels, Labels) else labels
    return together(_parts(task, store, paths, later), task.empty())


def _days(task: Task) -> Iterator[datetime]:
    day = task.start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < task.end:
        yield day
        day += timedelta(days=1)


def _hours(task: Task, day: datetime) -> Iterator[datetime]:
    for hour in (day + HOUR * place for place in range(24)):
        if hour < task.end and hour + HOUR > task.start:
            yield hour


def _parts(task: Task, store: Store, paths: Sequence[str], later: Labels | None) -> Iterator[Part]:
    """Small files together until they are worth profiling; large ones alone, some rows at a time."""
    batch: list[pl.DataFrame] = []
    for path in paths:
        try:
            scan = store.scan(path)
            if int(scan.select(pl.len()).collect().item()) > ROWS:
                yield _large(task, scan, later)
                continue
            rows = _within(task, scan)
        except FileNotFoundError:  # tidied away meanwhile
            continue
        except StageError:  # the store, not the file
            raise
        except Exception as error:  # noqa: BLE001 - polars' and each store's exceptions share no base
            yield replace(task.empty(), files_read=1, damaged={store.name(path): line(error)})
            continue
        if batch and (batch[0].schema != rows.schema or sum(each.height for each in batch) + rows.height > ROWS):
            yield _profiled(task, batch, later)
            batch = []
        batch.append(rows)
    if batch:
        yield _profiled(task, batch, later)


def _large(task: Task, scan: pl.LazyFrame, later: Labels | None) -> Part:
    whole, none, keys = task.empty(), task.empty(), [np.zeros(0, np.uint64)]
    for chunk in slices(scan, ROWS):
        rows = _within(task, chunk.lazy())
        keys.append(_ids(rows))
        whole = merged(whole, replace(_profiled(task, [rows], later), ids=none.ids, files=none.files))
    return replace(whole, files_read=1).with_ids([np.concatenate(keys)])


def _ids(rows: pl.DataFrame) -> NDArray[np.uint64]:
    """A hash of each row's id [n]: copies of a request that two models answered are no repeats."""
    return hashes(rows.select("request_id", "row", "model_hash"))


def _within(task: Task, frame: pl.LazyFrame) -> pl.DataFrame:
    """The rows of the window, times of any zone in UTC.

    Raises ValueError where a column of every log is missing, or features are none; polars' errors for other types.
    """
    schema = frame.collect_schema()
    if lacking := [name for name in COLUMNS if name not in schema]:
        raise ValueError(f"it has no column '{lacking[0]}'")
    features = schema.get("features", pl.Struct([]))
    if not isinstance(features, pl.Struct):
        raise ValueError(f"its 'features' are {features}; expected a struct")  # noqa: TRY004 - of a file
    for name, dtype in features.to_schema().items():
        if name in task.reference.columns and (dtype.is_nested() or dtype in {pl.Binary, pl.Object}):
            raise ValueError(f"its feature '{name}' is {dtype}; expected numbers, texts or booleans")
    kind = schema["time"]
    if not isinstance(kind, pl.Datetime | pl.Date):
        raise ValueError(f"its 'time' is {kind}; expected times")  # noqa: TRY004 - of a file
    frame = frame.with_columns(pl.col(name).cast(dtype) for name, dtype in TYPES.items())
    if isinstance(kind, pl.Datetime) and kind.time_zone != "UTC":
        time = pl.col("time").dt
        frame = frame.with_columns(time.convert_time_zone("UTC") if kind.time_zone else time.replace_time_zone("UTC"))
    return frame.filter(pl.col("time") >= task.start, pl.col("time") < task.end).collect()


def _profiled(task: Task, files: Sequence[pl.DataFrame], later: Labels | None) -> Part:
    """The part of the rows of whole files with the same columns."""
    rows = pl.concat(files)
    part = replace(task.empty(), files_read=len(files)).with_ids([_ids(each) for each in files])
    if rows.is_empty():
        return part
    features = rows.get_column("features").struct.unnest() if "features" in rows.columns else rows.select()
    hidden, extra = _unlike(task, rows, features)
    profile = part.profile.with_rows(
        features,
        [name for name in features.columns if name in task.reference.columns and name not in hidden],
        reference=task.reference,
        time=rows.get_column("time"),
        now=task.now,
        apart=rows.get_column("model_hash"),
    )
    part = replace(part, profile=replace(profile, rows=rows.height, hidden=hidden, extra=extra))
    return _scored(task, part, rows, features, later)


def _unlike(task: Task, rows: pl.DataFrame, features: pl.DataFrame) -> tuple[frozenset[str], frozenset[str]]:
    """The features that the log hides, and those that the reference has not.

    Of a model's own log every feature that is absent was left out on purpose, unless others stand there in its place.
    """
    extra = frozenset(features.columns) - frozenset(task.reference.columns)
    hashed = {name for name in features.columns if _is_hashed(features.get_column(name))}
    own = task.reference.model_hash in set(rows.get_column("model_hash"))
    dropped = set(task.reference.columns) - set(features.columns) if own and not extra else set()
    return frozenset(hashed | dropped), extra


def _is_hashed(values: pl.Series) -> bool:
    if values.dtype != pl.String or values.null_count() == values.len():
        return False
    return bool(values.drop_nulls().str.starts_with(HASHED).all())


def _scored(task: Task, part: Part, rows: pl.DataFrame, features: pl.DataFrame, later: Labels | None) -> Part:
    """The same with the scores of the reference's model; the rows of others are counted."""
    counts = dict(rows.get_column("model_hash").value_counts().iter_rows())
    mine = rows.get_column("model_hash") == task.reference.model_hash
    part = replace(
        part, others={str(name): count for name, count in counts.items() if name != task.reference.model_hash}
    )
    own = rows.filter(mine)
    if own.is_empty():
        return part
    beside = features.filter(mine) if features.width else features
    ids = own.select(
        pl.when(pl.col("row") == 0)
        .then(pl.col("request_id"))
        .otherwise(pl.concat_str("request_id", pl.lit("/"), "row"))
        .alias("row_id")
    ).to_series()
    scored = judged.Scored(
        ids, keys_of(own["request_id"], own["row"]), own.get_column("score").cast(pl.Float64).to_numpy(), None, beside
    )
    return judged.added(part, task, scored, later)
