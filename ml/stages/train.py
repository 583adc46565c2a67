"""Stage train: fit, export to ONNX, and ask of the training whether anything was learned."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

from ml import kinds
from ml.files import md5, write_bytes, write_json
from ml.kinds import Rows
from ml.kinds.table import collect, scan
from ml.stages.job import job_of
from ml.stages.progress import progress
from ml.stages.run import parser, run
from ml.stages.second import started

if TYPE_CHECKING:
    import argparse

    from ml.kinds import Job, Trained
    from ml.stages.run import Place


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Write model.onnx and training.json. A check that fails is recorded for the gates, and does not stop the stage."""
    job = job_of(arguments, place)
    folder = place.mode(arguments.mode)
    parts = [
        collect(scan(path, (job.params.data.id,)), path) for path in (folder / "train.parquet", folder / "test.parquet")
    ]
    rows = Rows(*parts)
    trained = train(job, rows, place)
    artifact = folder / "model.onnx"
    write_bytes(artifact, trained.artifact)
    write_json(
        folder / "training.json",
        {
            "schema_version": 1,
            "model": place.model,
            "mode": arguments.mode,
            "seed": job.seed,
            "rows": rows.train.height,
            "features": trained.features,
            "loss": [dataclasses.asdict(point) for point in trained.loss],
            "checks": [dataclasses.asdict(check) for check in trained.checks],
            "model_hash": md5(artifact),
            "size_bytes": len(trained.artifact),
        },
    )


def train(job: Job, rows: Rows, place: Place) -> Trained:
    """Train, in smoke mode beside a second process that must come to the same result."""
    kind, mode = kinds.load(job.params.head.kind), job.params.mode
    title = f"train {place.model} {mode}"
    if mode != "smoke":
        with progress(title, rows.train.height) as tick:
            return kind.train(job, rows, tick)
    with started(place.model, mode, place.root) as second, progress(title, rows.train.height) as tick:
        trained = kind.train(job, rows, tick)
        again = second.check(kind, job, rows, trained)
    return dataclasses.replace(trained, checks=(*trained.checks, again))


if __name__ == "__main__":
    sys.exit(run("train", body, parser("train").parse_args()))
