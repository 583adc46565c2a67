"""Stage profile: what the model was trained on, and what it says of the test rows, as the reference for drift."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ml import kinds, yamlfile
from ml.errors import StageError, did_you_mean
from ml.files import md5
from ml.kinds.table import collect, scan
from ml.profiles.profile import Profile
from ml.profiles.seasons import Scored, Seasons
from ml.profiles.slices import most_frequent
from ml.stages.job import job_of
from ml.stages.run import parser, run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from ml.kinds import Job
    from ml.stages.run import Place

DAYS = 7
"""A window's length, where `drift.days` does not say it."""


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Write profile.json: the features of the training rows; scores, labels and slices of the test rows; seasons."""
    job = job_of(arguments, place)
    folder = place.mode(arguments.mode)
    predictions, source = folder / "predictions.parquet", folder / "train.parquet"
    judged = collect(scan(predictions, ("row_id", "label", "score")), predictions)
    scores, labels = judged.get_column("score").to_numpy(), judged.get_column("label").to_numpy().astype(np.float64)
    beside = sliced(job, folder, judged, declared(job.params.path))
    values = {name: most_frequent(beside.get_column(name)) for name in beside.columns}
    rows = collect(scan(source, ()), source)
    taken = kinds.load(job.params.head.kind).taken(folder / "model.onnx", rows)
    found = rows_profile(job, folder, rows, taken).with_scores(
        scores, labels, binary=job.params.head.task == "binary", beside=beside, values=values
    )
    if time := job.params.data.time:
        test = Scored(sliced(job, folder, judged, (time,)).get_column(time), scores, labels, beside)
        found = replace(found, seasons=seasons(job, folder, found, (rows, taken), test, values))
    found.write(folder / "profile.json")


def rows_profile(job: Job, folder: Path, rows: pl.DataFrame, taken: pl.DataFrame) -> Profile:
    """The profile of the training rows, as the model takes them. Raises StageError where one cannot be made."""
    source, time = folder / "train.parquet", job.params.data.time
    start = Profile(job.model, "train", md5(folder / "model.onnx"))
    try:
        return start.with_rows(
            taken, taken.columns, time=rows.get_column(time) if time else None, now=datetime.max.replace(tzinfo=UTC)
        )
    except TypeError as error:
        raise StageError(f"{source}: {error}; mend features.py", file=source) from error


def seasons(
    job: Job,
    folder: Path,
    profile: Profile,
    trained: tuple[pl.DataFrame, pl.DataFrame],
    test: Scored,
    values: Mapping[str, tuple[str, ...]],
) -> Seasons | None:
    """The training rows by stretch, and what the model takes of them; the model scores them for it."""
    rows, taken = trained
    train = Scored(
        rows.get_column(test.time.name),
        kinds.load(job.params.head.kind).score(folder / "model.onnx", rows),
        rows.get_column(job.params.data.label).cast(pl.Float64).to_numpy(),
        rows,
    )
    binary = job.params.head.task == "binary"
    return Seasons.of(taken, profile.columns, train, test, window_days(job.params.path), values, binary=binary)


def sliced(job: Job, folder: Path, judged: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """The columns of slices, of the rows that were judged, in their order. Raises StageError on an unknown one."""
    source, identity = folder / "test.parquet", job.params.data.id
    tested = scan(source, (identity,))
    known = tested.collect_schema().names()
    for name in names:
        if name not in known:
            line = job.params.lines.get(("drift", "slices"))
            place = f"{job.params.path}:{line}" if line else str(job.params.path)
            words = f"{place}: drift.slices names '{name}', which is no column of {source}; {did_you_mean(name, known)}"
            raise StageError(words, file=job.params.path, line=line)
    order = judged.select("row_id").lazy()
    columns = tested.select(identity, *(name for name in names if name != identity))
    joined = order.join(columns, left_on="row_id", right_on=identity, how="left", maintain_order="left", coalesce=False)
    return collect(joined.select(names), source)


def declared(path: Path) -> tuple[str, ...]:
    """`drift.slices` of a model's params.yaml. Raises StageError where that is no list of names."""
    raw, lines = yamlfile.read(path)
    section: Any = raw.get("drift", {})
    found: Any = section.get("slices", []) if isinstance(section, dict) else section
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        line = lines.get(("drift", "slices"), lines.get(("drift",)))
        words = f"{path}:{line}: 'drift.slices' is {found!r}; expected a list of columns"
        raise StageError(words, file=path, line=line)
    return tuple(dict.fromkeys(found))


def window_days(path: Path) -> int:
    """`drift.days` of a model's params.yaml, 7 where it is not said. Raises StageError where that is no number."""
    raw, lines = yamlfile.read(path)
    section: Any = raw.get("drift", {})
    found: Any = section.get("days", DAYS) if isinstance(section, dict) else DAYS
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        line = lines.get(("drift", "days"))
        raise StageError(
            f"{path}:{line}: 'drift.days' is {found!r}; expected a whole number of days", file=path, line=line
        )
    return found


if __name__ == "__main__":
    sys.exit(run("profile", body, parser("profile").parse_args()))
