"""Whether a second process gets the same rows, losses and model: what one process hides from itself shows there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import ml
from ml.errors import ENVIRONMENT, StageError
from ml.files import read_json
from ml.kinds import LossPoint, checks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ml.kinds import Job, Kind, Rows, Trained
    from ml.kinds.checks import Check

HOME = Path(ml.__file__).resolve().parents[1]  # of the code that runs, wherever the root of data and records is


@dataclass(frozen=True)
class Second:
    """A second run under way."""

    process: subprocess.Popen[str]
    out: Path

    def check(self, kind: Kind, job: Job, rows: Rows, trained: Trained) -> Check:
        """Wait for its end and compare it with the first run's rows and result.

        Raises StageError where the machine stopped it: that says nothing of the model.
        """
        _, said = self.process.communicate()
        if self.process.returncode:
            last = said.strip().splitlines()[-1] if said.strip() else f"exit code {self.process.returncode}"
            if self.process.returncode == ENVIRONMENT:
                words = f"the second run, in {self.out}, stopped: {last}; free disk space or mend permissions"
                raise StageError(words, exit_code=ENVIRONMENT)
            return checks.reproducible([f"the second run stopped: {last}"])
        found = []
        for name, one in (("training", rows.train), ("test", rows.test)):
            two = pl.read_parquet(self.out / f"{'train' if name == 'training' else 'test'}.parquet")
            found += row_differences(name, one, two, job.params.data.id, trained.features)
        loss = [LossPoint(**point) for point in read_json(self.out / "loss.json")["loss"]]
        found += checks.loss_differences(trained.loss, loss)
        found += kind.differences(trained.artifact, (self.out / "model.onnx").read_bytes())
        return checks.reproducible(found)


@contextmanager
def started(model: str, mode: str, root: Path) -> Iterator[Second]:
    """A second run that goes on beside the first; it ends with the block, whatever ends that."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ml.stages.again", model, mode, folder]
        with subprocess.Popen(
            command,
            cwd=root,
            env=surroundings(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Second(process, Path(folder))
            finally:
                process.kill()  # of no effect on one that has ended


def surroundings(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of the second run: the same code, and another hash of every string."""
    path = os.pathsep.join(filter(None, (str(HOME), env.get("PYTHONPATH", ""))))
    return {**env, "PYTHONPATH": path, "PYTHONHASHSEED": "2" if env.get("PYTHONHASHSEED") == "1" else "1"}


def row_differences(
    part: str, one: pl.DataFrame, two: pl.DataFrame, identity: str, features: tuple[str, ...]
) -> list[str]:
    """What differs between two makings of the same rows, column by column, in words; empty when nothing does."""
    if one.columns != two.columns:
        return [f"the {part} rows have columns {one.columns}, then {two.columns}"]
    if one.height != two.height:
        return [f"{one.height:,} {part} rows, then {two.height:,}"]
    if not one[identity].equals(two[identity], null_equal=True):
        count = int(one[identity].ne_missing(two[identity]).sum())
        return [f"other {part} rows were chosen: {identity} differs in {count:,} of {one.height:,}"]
    found = []
    for column in one.columns:
        count = int(one[column].ne_missing(two[column]).sum()) if one[column].dtype == two[column].dtype else one.height
        if count:
            what = "feature" if column in features else "column"
            found.append(f"{what} {column} differs in {count:,} {part} rows")
    return found
