"""The kind of models that read tables: a module with `features`, one with `fit`, and ONNX in between and after."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl

from ml.errors import StageError, did_you_mean
from ml.kinds import Job, Rows, Tick, Trained, checks, onnx_file, splits, table
from ml.kinds.fitting import Fitted, ModelModule, Table
from ml.kinds.leakage import no_leakage
from ml.kinds.onnx_scoring import Scorer
from ml.params import TimeSplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    from ml.kinds.checks import Check

FOLD_SEED = 1  # apart from the samples' hash, so that a sample is parted evenly


def prepare(job: Job, source: Path) -> Rows:
    """Raw Parquet → features → split → deterministic sample; rows in order of their id. Raises StageError."""
    data, split = job.params.data, job.params.split
    code = _code(job, "features")
    columns = [data.id, data.label, *([data.time] if data.time else [])]
    raw = table.scan(source, columns)
    if isinstance(split, TimeSplit):
        train, test = _split_by_time(job, raw, split, code, source)
    else:
        made = _make_features(job, code, table.collect(raw, source), source)
        train, test = splits.by_hash(made, data.id, split.test_fraction)
    rows = Rows(
        train=splits.sample(train, data.id, job.params.size.rows, job.seed),
        test=splits.sample(test, data.id, job.params.size.test_rows, job.seed),
    )
    for part, name in ((rows.train, "training"), (rows.test, "test")):
        if part.is_empty():
            raise StageError(f"{source}: no {name} rows are left after the split; bring more data", file=source)
        table.require_finite(part, (*code.FEATURES, *code.CATEGORICAL), data.id, source)
        if job.params.head.task == "binary":
            table.require_both_classes(part, data.label, name, source)
    return rows


def train(job: Job, rows: Rows, tick: Tick) -> Trained:
    """Fit and export, and ask of the result what smoke training asks. Raises StageError on wrong hyperparameters."""
    module = cast("ModelModule", _code(job, "model"))
    parameters = job.params.hyperparameters(module.Hyperparameters)
    limits = job.params.checks
    known = _table(job, rows.train)
    fitted = module.fit(known, parameters, job.seed, tick)
    artifact = fitted.export()
    found = [checks.loss_falls(fitted.loss, limits.loss_fall), *fitted.checks]
    if job.params.mode == "smoke":
        found += module.smoke_checks(known, parameters, job.seed, limits)
        found.append(_reproducible(fitted, artifact, module.fit(known, parameters, job.seed, lambda *_: None)))
    unknown = _table(job, rows.test)
    exported = Scorer(artifact, job.model).score(rows.test)
    found.append(checks.onnx_agrees(fitted.predict(unknown), exported, limits.onnx_tolerance))
    if job.params.head.task == "binary":
        found.append(
            no_leakage(rows.train, known.numeric, known.categorical, job.params.data.label, limits.leakage_auc)
        )
    return Trained(artifact, known.features, fitted.loss, tuple(found))


def score(artifact: Path, rows: pl.DataFrame) -> NDArray[np.float64]:
    """Scores [n] by ONNX Runtime."""
    return Scorer.of(artifact).score(rows)


def single(artifact: Path, rows: pl.DataFrame) -> Callable[[int], object]:
    """A function that scores row i alone, inputs made beforehand."""
    return Scorer.of(artifact).single(rows)


def _split_by_time(
    job: Job, raw: pl.LazyFrame, split: TimeSplit, code: ModuleType, source: Path
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Only the windows' rows, and the history their features look back on, are read."""
    data = job.params.data
    time = data.time
    if time is None or not isinstance(raw.collect_schema()[time], pl.Datetime):
        found = f"'{time}' is {raw.collect_schema()[time]}" if time else "data.time is not set"
        raise StageError(f"{source}: {found}; a split by time needs data.time to name a Datetime column", file=source)
    ends = table.collect(raw.select(pl.col(time).min().alias("first"), pl.col(time).max().alias("last")), source)
    if ends.item(0, "first") is None:
        raise StageError(f"{source}: all of '{time}' is null; expected the time of each row", file=source)
    bounds = splits.windows(ends.item(0, "first"), ends.item(0, "last"), split, source)
    if split.history_days is not None:
        raw = raw.filter(pl.col(time) >= bounds.train_start - split.history_days * splits.DAY)
    made = _make_features(job, code, table.collect(raw, source), source)
    if split.exclude_known is not None and split.exclude_known not in made.columns:
        hint = did_you_mean(split.exclude_known, made.columns)
        raise StageError(f"{job.params.path}: split.exclude_known is no column of {source}; {hint}", file=source)
    return splits.by_time(made, time, data.label, split, bounds)


def _make_features(job: Job, code: ModuleType, raw: pl.DataFrame, source: Path) -> pl.DataFrame:
    try:
        made = cast("pl.DataFrame", code.features(raw))
    except pl.exceptions.ColumnNotFoundError as error:
        quoted = re.search(r'"([^"]+)"', str(error))
        missing = quoted[1] if quoted else str(error)
        hint = did_you_mean(missing, raw.columns)
        words = f"{source} has no column '{missing}', which features.py of {job.model} reads; {hint}"
        raise StageError(words, file=source) from error
    data = job.params.data
    wanted = (data.id, data.label, *data.keep, *code.FEATURES, *code.CATEGORICAL)
    for column in wanted:
        if column not in made.columns:
            place = f"ml/models/{job.model}/features.py"
            hint = did_you_mean(column, made.columns)
            raise StageError(f"{place}: features() returns no column '{column}'; {hint}", file=place)
    return made


def _code(job: Job, name: str) -> ModuleType:
    wanted = f"ml.models.{job.model}.{name}"
    try:
        return import_module(wanted)
    except ModuleNotFoundError as error:
        if error.name != wanted:  # something that the module itself imports: its traceback says what
            raise
        path = f"{wanted.replace('.', '/')}.py"
        raise StageError(f"{path} is missing; write it, as the other models have it", file=path) from error


def _table(job: Job, frame: pl.DataFrame) -> Table:
    code = _code(job, "features")
    fold = splits.stable_hash(frame.get_column(job.params.data.id), job.seed + FOLD_SEED) / 2.0**64
    return Table(frame, tuple(code.FEATURES), tuple(code.CATEGORICAL), job.params.data.label, np.asarray(fold))


def _reproducible(one: Fitted, artifact: bytes, two: Fitted) -> Check:
    found = checks.loss_differences(one.loss, two.loss) + onnx_file.differences(artifact, two.export())
    return checks.reproducible(found)
