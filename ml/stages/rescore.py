"""The exported model scores the test rows once more: anyone can write hashes that agree, but not scores."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from ml import kinds
from ml.errors import REFUSED, StageError
from ml.kinds.table import collect, scan
from ml.stages.evaluate import predicted
from ml.stages.job import job_of
from ml.stages.run import parser, run

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    import polars as pl

    from ml.stages.run import Place

ABSOLUTE, RELATIVE = 1e-6, 1e-5  # processors round differently


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Raise StageError unless predictions.parquet is what model.onnx says of the rows of test.parquet."""
    job = job_of(arguments, place)
    folder = place.mode(arguments.mode)
    model, source, kept = folder / "model.onnx", folder / "test.parquet", folder / "predictions.parquet"
    data = job.params.data
    rows = collect(scan(source, dict.fromkeys((data.id, data.label, *data.keep))), source)
    made = predicted(job, rows, kinds.load(job.params.head.kind).score(model, rows))
    require_same(collect(scan(kept, ()), kept), made, model, kept)


def require_same(kept: pl.DataFrame, made: pl.DataFrame, model: Path, path: Path) -> None:
    """Raise StageError where the predictions in `path` are of other rows than `made`, or have other scores."""
    if kept.schema != made.schema or not kept.drop("score").equals(made.drop("score")):
        raise StageError(
            f"{path} is not of the rows of test.parquet beside it; train again, and see who wrote dvc.lock",
            exit_code=REFUSED,
            file=path,
        )
    said, scores = kept.get_column("score").to_numpy(), made.get_column("score").to_numpy()
    apart = np.abs(scores - said)
    beyond = ~(apart <= np.maximum(ABSOLUTE, RELATIVE * np.abs(said)))  # so that NaN is beyond
    if beyond.any():
        worst = int(np.argmax(np.where(beyond, apart, -1.0)))
        raise StageError(
            f"{model} is not the model that {path.name} was made with: {int(beyond.sum()):,} of {made.height:,} scores "
            f"differ by up to {apart[worst]:.3g}, most that of row {made['row_id'][worst]}: {scores[worst]:.6g}, not "
            f"{said[worst]:.6g}; train again, and see who wrote dvc.lock",
            exit_code=REFUSED,
            file=model,
        )


if __name__ == "__main__":
    sys.exit(run("rescore", body, parser("rescore").parse_args()))
