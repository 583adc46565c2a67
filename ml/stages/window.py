"""A window of recent rows: `python -m ml.stages.window MODEL --reference PROFILE --out FOLDER --start ISO --end ISO`.

No stage of dvc.yaml: it is run on a schedule, on the log that servers write or on raw rows.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml import params
from ml.errors import StageError
from ml.kinds import Job
from ml.profiles.profile import Profile
from ml.stages.processes import end_with_launcher
from ml.stages.profile import declared
from ml.stages.run import Place, failure
from ml.windows import labels, log, raw, window, workers
from ml.windows.store import masked
from ml.windows.task import Task


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Write the window's files to `arguments.out`. Raises StageError where there is nothing to read them from."""
    if (arguments.log is None) == (arguments.rows is None):
        raise StageError("a window is read from --log URL or from --rows URL; give one of the two")
    if arguments.rows is not None and arguments.onnx is None:
        raise StageError("raw rows are scored by a model: give it with --onnx MODEL")
    if not arguments.start < arguments.end:
        raise StageError(f"--start {arguments.start} is not before --end {arguments.end}")
    job = Job(place.model, params.load(place.code / "params.yaml", "full"), params.seed(place.root / "params.yaml"))
    task = task_of(arguments, job)
    known = labels.read(arguments.labels, binary=task.binary) if arguments.labels else None
    if arguments.log is not None:
        part = workers.read(task, arguments.log, known, workers=arguments.workers, ray=arguments.ray)
        elsewhere = log.ids(task, arguments.log)
    else:
        raw.require_model(task, arguments.onnx)
        part = raw.read(task, job, arguments.rows, arguments.onnx, known)
        elsewhere = raw.ids(job, arguments.rows)
    window.write(arguments.out, task, part, masked(arguments.log or arguments.rows), known, elsewhere)


def task_of(arguments: argparse.Namespace, job: Job) -> Task:
    """What is asked for. Raises StageError where the reference is of another model."""
    reference = Profile.read(arguments.reference)
    if reference.model != job.model:
        words = f"{arguments.reference} is a profile of {reference.model}, not of {job.model}; give the model's own"
        raise StageError(words, file=arguments.reference)
    split = job.params.split
    late = timedelta(days=split.delay_days) if isinstance(split, params.TimeSplit) else timedelta(0)
    return Task(
        model=job.model,
        reference=reference,
        start=arguments.start,
        end=arguments.end,
        now=datetime.now(UTC),
        binary=job.params.head.task == "binary",
        slices=declared(job.params.path),
        keep=job.params.data.keep,
        reach=max(late, arguments.end - arguments.start),
    )


def moment(text: str) -> datetime:
    """A time of ISO 8601; without a zone it is UTC. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    result = argparse.ArgumentParser(prog="python -m ml.stages.window")
    result.add_argument("model", metavar="MODEL", help="a folder under ml/models")
    result.add_argument("--reference", type=Path, required=True, metavar="PROFILE", help="profile.json of its training")
    result.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where its files are written")
    result.add_argument("--start", type=moment, required=True, metavar="ISO", help="its first moment")
    result.add_argument("--end", type=moment, required=True, metavar="ISO", help="the first moment after it")
    result.add_argument("--log", metavar="URL", help="the inference log: a folder, or what fsspec reaches")
    result.add_argument("--rows", metavar="URL", help="or raw rows: a Parquet file, or a folder of them")
    result.add_argument("--onnx", type=Path, metavar="MODEL", help="the model that scores raw rows")
    result.add_argument("--labels", metavar="URL", help="labels that came later: id, label, perhaps row and time")
    result.add_argument("--workers", type=int, default=1, metavar="N", help="processes that read the log")
    result.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster that reads it instead; `local` starts one")
    return result


def main() -> int:
    """Run on the arguments of the command line, from the repository's root."""
    arguments = parser().parse_args()
    place = Place(arguments.model)
    try:
        body(arguments, place)
    except Exception as error:  # noqa: BLE001 - a model's own code may raise anything
        problem = failure(error, place.root)
        sys.stderr.write(f"window {arguments.model}: {problem.message}\n")
        return problem.exit_code
    return 0


if __name__ == "__main__":
    end_with_launcher()  # else it would write into the folder of the next look
    sys.exit(main())
