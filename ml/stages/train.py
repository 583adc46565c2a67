"""Stage train: fit, export to ONNX, and ask of the training whether anything was learned."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

from ml import kinds
from ml.files import md5, write_bytes, write_json
from ml.kinds import Rows, Session
from ml.kinds.table import collect, scan
from ml.stages import checkpoints, processes
from ml.stages.code import require_named
from ml.stages.job import job_of
from ml.stages.progress import progress
from ml.stages.run import Place, failure, parser, run
from ml.stages.second import started

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from ml.kinds import Job, Trained


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Write model.onnx and training.json. A check that fails is recorded for the gates, and does not stop the stage."""
    job = job_of(arguments, place)
    rows = read(job, place)
    count = processes.wanted(os.environ)
    if count > 1 and shared(job):
        processes.launch(place.model, job.params.mode, count)  # the first of them writes
    else:
        write(job, place, rows, train(job, rows, place))


def join(arguments: argparse.Namespace, place: Place) -> int:
    """Be one of the processes that torchrun started: all fit, the first one writes. Returns the exit code."""
    processes.end_with_launcher()
    first = processes.is_first(os.environ)
    try:
        job = job_of(arguments, place)
        rows = read(job, place)
        trained = None
        if shared(job):
            from ml.kinds import torch_world  # noqa: PLC0415 - heavy, and of no use to one process

            with torch_world.joined():
                if first:
                    trained = train(job, rows, place)
                else:
                    kinds.load(job.params.head.kind).assist(job, rows, whole(job, place))
        elif first:
            trained = train(job, rows, place)
        require_named("train", place.model, place.root)
        if trained is not None:
            write(job, place, rows, trained)
    except Exception as error:  # noqa: BLE001 - a model's own code may raise anything
        problem = failure(error, place.root)
        processes.tell(problem, os.environ)
        return problem.exit_code
    return 0


def shared(job: Job) -> bool:
    """Whether several processes can train this together: in full mode, where the model's library can."""
    return job.params.mode == "full" and kinds.load(job.params.head.kind).distributed(job)


def train(job: Job, rows: Rows, place: Place) -> Trained:
    """Train: in smoke mode beside a second process that must come to the same result, in full mode with checkpoints."""
    kind, mode = kinds.load(job.params.head.kind), job.params.mode
    title = f"train {place.model} {mode}"
    if mode != "smoke":
        with progress(title, rows.train.height) as tick:
            return kind.train(job, rows, replace(whole(job, place), tick=tick, tell=partial(tell, title)))
    with started(place.model, mode, place.root) as second, progress(title, rows.train.height) as tick:
        trained = kind.train(job, rows, Session(tick))
        again = second.check(kind, job, rows, trained)
    return replace(trained, checks=(*trained.checks, again))


def tell(title: str, words: str) -> None:
    """What a person should know while it runs."""
    sys.stderr.write(f"{title}: {words}\n")


def whole(job: Job, place: Place) -> Session:
    """A session with all that this machine has, to be gone on with after a kill."""
    return Session(checkpoints=checkpoints.folder(job, place, files(job, place)), accelerate=True)


def read(job: Job, place: Place) -> Rows:
    """The prepared rows. Raises StageError when they are not there."""
    return Rows(*(collect(scan(path, (job.params.data.id,)), path) for path in files(job, place)))


def files(job: Job, place: Place) -> tuple[Path, Path]:
    """Where the prepared rows are: those to fit on, those to judge on."""
    folder = place.mode(job.params.mode)
    return folder / "train.parquet", folder / "test.parquet"


def write(job: Job, place: Place, rows: Rows, trained: Trained) -> None:
    """Leave the model, and what was seen of its training; its checkpoints have done their work."""
    folder = place.mode(job.params.mode)
    artifact = folder / "model.onnx"
    write_bytes(artifact, trained.artifact)
    write_json(
        folder / "training.json",
        {
            "schema_version": 1,
            "model": place.model,
            "mode": job.params.mode,
            "seed": job.seed,
            "rows": rows.train.height,
            "features": trained.features,
            "loss": [asdict(point) for point in trained.loss],
            "checks": [asdict(check) for check in trained.checks],
            "model_hash": md5(artifact),
            "size_bytes": len(trained.artifact),
        },
    )
    checkpoints.clear(place, job.params.mode)


def main() -> int:
    """Run the stage on the arguments of the command line, alone or as one of torchrun's processes."""
    arguments = parser("train").parse_args()
    if processes.is_member(os.environ):
        return join(arguments, Place(arguments.model))
    return run("train", body, arguments)


if __name__ == "__main__":
    sys.exit(main())
