"""The kind of models that read tables: a module with `features`, one with `fit`, and ONNX in between and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml.errors import StageError, did_you_mean
from ml.kinds import Job, Rows, Session, Trained, checks, featuring, onnx_file, splits, table
from ml.kinds.fitting import Table
from ml.kinds.leakage import no_leakage
from ml.kinds.modules import features_of, model_of
from ml.kinds.onnx_scoring import Scorer
from ml.params import LEAST_ROWS, TimeSplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from ml.kinds.fitting import FeaturesModule, Fitted

FOLD_SEED = 1  # apart from the samples' hash, so that a sample is parted evenly


def prepare(job: Job, source: Path) -> Rows:
    """Raw Parquet → features → split → deterministic sample; rows in order of their id. Raises StageError."""
    data, split = job.params.data, job.params.split
    code = features_of(job.model)
    columns = [data.id, data.label, *([data.time] if data.time else [])]
    raw = table.scan(source, columns)
    if isinstance(split, TimeSplit):
        train, test = _split_by_time(job, raw, split, code, source)
    else:
        made = featuring.make(job, code, table.collect(raw, source), source)
        train, test = splits.by_hash(made, data.id, split.test_fraction)
    rows = Rows(
        train=splits.sample(train, data.id, job.params.size.rows, job.seed),
        test=splits.sample(test, data.id, job.params.size.test_rows, job.seed),
    )
    if 0 < rows.train.height < LEAST_ROWS:
        words = f"only {rows.train.height} training rows are left after the split; expected at least {LEAST_ROWS}"
        raise StageError(f"{source}: {words}; bring more data", file=source)
    for part, name in ((rows.train, "training"), (rows.test, "test")):
        if part.is_empty():
            raise StageError(f"{source}: no {name} rows are left after the split; bring more data", file=source)
        table.require_finite(part, (*code.FEATURES, *code.CATEGORICAL), data.id, source)
        if job.params.head.task == "binary":
            table.require_both_classes(part, data.label, name, source)
    return rows


def made(job: Job, raw: pl.DataFrame, source: Path) -> pl.DataFrame:
    """`features(raw)` of the model's own code, held to its contract."""
    return featuring.make(job, features_of(job.model), raw, source)


def distributed(job: Job) -> bool:
    """Whether its hyperparameters are of a library's fit that several processes share. Raises StageError."""
    module = model_of(job.model)
    job.params.hyperparameters(module.Hyperparameters)
    return bool(getattr(module.Hyperparameters, "distributed", False))


def train(job: Job, rows: Rows, session: Session) -> Trained:
    """Fit and export, and ask of the result what smoke training asks. Raises StageError on wrong hyperparameters."""
    known, fitted = _fitted(job, rows, session)
    limits = job.params.checks
    artifact = fitted.export()
    found = [checks.loss_falls(fitted.loss, limits.loss_fall), *fitted.checks]
    if job.params.mode == "smoke":
        module = model_of(job.model)
        found += module.smoke_checks(known, job.params.hyperparameters(module.Hyperparameters), job.seed, limits)
    unknown = _table(job, rows.test)
    exported = Scorer(artifact, job.model).score(rows.test)
    found.append(checks.onnx_agrees(fitted.predict(unknown), exported, limits.onnx_tolerance))
    if job.params.head.task == "binary":
        found.append(no_leakage(known, limits.leakage_auc))
    return Trained(artifact, known.features, fitted.loss, tuple(found))


def assist(job: Job, rows: Rows, session: Session) -> None:
    """Fit alone. Raises StageError on wrong hyperparameters."""
    _fitted(job, rows, session)


def fit(job: Job, rows: Rows) -> Trained:
    """Fit and export, asking nothing. Raises StageError on wrong hyperparameters."""
    known, fitted = _fitted(job, rows, Session())
    return Trained(fitted.export(), known.features, fitted.loss, ())


def _fitted(job: Job, rows: Rows, session: Session) -> tuple[Table, Fitted]:
    module = model_of(job.model)
    known = _table(job, rows.train)
    return known, module.fit(known, job.params.hyperparameters(module.Hyperparameters), job.seed, session)


def differences(one: bytes, two: bytes) -> list[str]:
    """What differs between two ONNX files, by the name of the part."""
    return onnx_file.differences(one, two)


def score(artifact: Path, rows: pl.DataFrame) -> NDArray[np.float64]:
    """Scores [n] by ONNX Runtime."""
    return Scorer.of(artifact).score(rows)


def taken(artifact: Path, rows: pl.DataFrame) -> pl.DataFrame:
    """The columns of its inputs, in the inputs' types."""
    return Scorer.of(artifact).taken(rows)


def single(artifact: Path, rows: pl.DataFrame) -> Callable[[int], object]:
    """A function that scores row i alone, inputs made beforehand."""
    return Scorer.of(artifact).single(rows)


def _split_by_time(
    job: Job, raw: pl.LazyFrame, split: TimeSplit, code: FeaturesModule, source: Path
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
    made = featuring.make(job, code, table.collect(raw, source), source)
    if split.exclude_known is not None and split.exclude_known not in made.columns:
        hint = did_you_mean(split.exclude_known, made.columns)
        raise StageError(f"{job.params.path}: split.exclude_known is no column of {source}; {hint}", file=source)
    return splits.by_time(made, time, data.label, split, bounds)


def _table(job: Job, frame: pl.DataFrame) -> Table:
    code = features_of(job.model)
    fold = splits.stable_hash(frame.get_column(job.params.data.id), job.seed + FOLD_SEED) / 2.0**64
    return Table(frame, tuple(code.FEATURES), tuple(code.CATEGORICAL), job.params.data.label, np.asarray(fold))
