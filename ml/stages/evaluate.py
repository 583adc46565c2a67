"""Stage evaluate: the exported model scores the test rows."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ml import kinds
from ml.errors import StageError
from ml.files import md5, read_json, replacing, write_json
from ml.kinds.table import collect, require_both_classes, scan
from ml.stages.job import job_of
from ml.stages.run import parser, run

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from numpy.typing import NDArray

    from ml.kinds import Job
    from ml.stages.run import Place


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Write predictions.parquet, evaluation.json and metrics.json."""
    from ml import quality  # noqa: PLC0415 - scikit-learn takes seconds, and `rescore` has no use for it

    job = job_of(arguments, place)
    folder = place.mode(arguments.mode)
    model, source = folder / "model.onnx", folder / "test.parquet"
    data, task = job.params.data, job.params.head.task
    columns = dict.fromkeys((data.id, data.label, *data.keep))
    rows = collect(scan(source, columns), source)
    if task == "binary":
        require_both_classes(rows, data.label, "evaluation", source)
    scores = kinds.load(job.params.head.kind).score(model, rows)
    require_finite(scores, rows.get_column(data.id), model)
    labels = rows.get_column(data.label).to_numpy().astype(np.float64)
    table = predicted(job, rows, scores)
    with replacing(folder / "predictions.parquet") as path:
        table.write_parquet(path)
    check = quality.beats_base_rate(task, labels, scores, job.params.checks.base_rate_margin)
    write_json(
        folder / "evaluation.json",
        {
            "schema_version": 1,
            "model": place.model,
            "mode": arguments.mode,
            "task": task,
            "rows": rows.height,
            "training_rows": training_rows(folder, md5(model)),
            "positives": int(labels.sum()) if task == "binary" else None,
            "rows_hash": hash_of_rows(table),
            "model_hash": md5(model),
            "predictions_hash": md5(folder / "predictions.parquet"),
            "checks": [dataclasses.asdict(check)],
        },
    )
    write_json(folder / "metrics.json", quality.measure(task, labels, scores))


def hash_of_rows(predictions: pl.DataFrame) -> str:
    """Hex md5 of the ids and labels: two models with the same can be compared row by row, whatever their features."""
    text = predictions.select("row_id", "label").write_csv()
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def predicted(job: Job, rows: pl.DataFrame, scores: NDArray[np.float64]) -> pl.DataFrame:
    """The table of predictions: row_id, label, score and the columns of `data.keep`, in order of row_id."""
    data = job.params.data
    dtype = pl.Int8 if job.params.head.task == "binary" else pl.Float64
    return rows.select(
        pl.col(data.id).alias("row_id"),
        pl.col(data.label).cast(dtype).alias("label"),
        pl.Series("score", scores),
        *(pl.col(name) for name in data.keep),
    ).sort("row_id")


def require_finite(scores: NDArray[np.float64], ids: pl.Series, model: Path) -> None:
    """Raise StageError when a score, and with it every metric, is NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise StageError(
            f"{model} scores {bad.size:,} of {scores.size:,} rows as NaN or infinite, first the row with id "
            f"{ids[int(bad[0])]}; look at the checks in training.json and train again",
            file=model,
        )


def training_rows(folder: Path, model_hash: str) -> int:
    """The rows the model was trained on. Raises StageError when training.json is not that model's."""
    path = folder / "training.json"
    record: dict[str, Any] = read_json(path)
    if record.get("model_hash") != model_hash:
        raise StageError(f"{path} is not of the model beside it (md5 {model_hash}); run stage train again", file=path)
    return int(record["rows"])


if __name__ == "__main__":
    sys.exit(run("evaluate", body, parser("evaluate").parse_args()))
