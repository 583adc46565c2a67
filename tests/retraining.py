"""A model whose recent rows drifted, in a repository of git and DVC made by hand, at a time that a test names."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from ci import cli
from ci.adapters.forge.local import FOLDER, Issue, Local, Record
from ci.commands.retraining import FILE, ref_of
from ci.core.drift.records import Bin, ColumnRow, Drift, Finding, QualityRow, Reference, Window
from ci.core.records import Interval, Outcome
from ci.core.retraining.records import Retraining
from tests.project import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ci.core.drift.records import Kind

MODEL, BRANCH = "churn", "retrain/churn"
START = datetime(2026, 11, 20, 6, tzinfo=UTC)
ROWS = 3000
PARAMS = """\
models: [churn, other]
defaults:
  seed: 1
  gates: {confidence: 0.95, resamples: 200, min_rows: 10, on_inconclusive: warn}
"""
OWN = """\
kind: tabular
task: binary
data: {{file: rows.parquet, id: key, label: left{time}}}
split: {split}
drift:
  rows: {rows}
  retrain: {{cooldown_days: 7, least_labelled: 500, per_week: 2, snooze_days: 30}}
  alerts: {alerts}
"""


@dataclass(frozen=True)
class Yard:
    """A checkout; `rows` is where new rows lie, `bare` the folder of its forge."""

    root: Path
    rows: Path
    surroundings: Mapping[str, str] = field(default_factory=dict)
    bare: str = FOLDER

    def run(self, *args: str, code: int = 0, at: float = 0, **env: str) -> str:
        """What `trunkline` says, `at` days after the start."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
            for name, value in {**IDENTITY, **self.surroundings, **env}.items():
                patch.setenv(name, value)
            patch.setattr("ci.commands.retraining.now", (START + timedelta(days=at)).timestamp)
            patch.chdir(self.root)
            done = cli.main(args)
        assert done == code, f"{args} ended with {done}:\n{said.getvalue()}"
        return said.getvalue()

    def retrain(self, *args: str, at: float = 0, code: int = 0) -> str:
        """Run `trunkline retrain churn`."""
        return self.run("retrain", MODEL, *args, at=at, code=code)

    def git(self, *args: str, who: Mapping[str, str] = IDENTITY) -> str:
        """What git prints, in the checkout."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT")} | dict(who)
        done = subprocess.run(["git", *args], cwd=self.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def dvc(self, *args: str) -> None:
        """Run DVC in the checkout."""
        env = {**os.environ, "DVC_NO_ANALYTICS": "1"}
        words = [sys.executable, "-m", "dvc", *args]
        done = subprocess.run(words, cwd=self.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def drift(self, drift: Drift) -> None:
        """What `trunkline drift` would have left."""
        path = self.root / "artifacts" / MODEL / "drift" / "drift.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(drift.model_dump_json())

    def arrive(self, name: str, frame: pl.DataFrame) -> None:
        """Let rows arrive."""
        self.rows.mkdir(exist_ok=True)
        frame.write_parquet(self.rows / f"{name}.parquet")

    def at(self, ref: str, path: str) -> str:
        """A file at the forge."""
        return self.git("--git-dir", self.bare, "show", f"{ref}:{path}")

    def record(self) -> Retraining:
        """What is kept of the retraining."""
        return Retraining.model_validate_json(self.at(ref_of(MODEL), FILE))

    def pulls(self, state: str = "") -> list[Record]:
        """The local forge's pull requests, or those in a state."""
        return [one for one in Local(self.root)._records() if state in {one.state, ""}]

    def issues(self) -> list[Issue]:
        """The local forge's issues."""
        paths = sorted((self.root / FOLDER / "issues").glob("*.json"))
        return [Issue.model_validate_json(path.read_bytes()) for path in paths]

    def merge(self) -> None:
        """Merge the open pull request as a person does, and take it in."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in IDENTITY.items():
                patch.setenv(name, value)
            pull = Local(self.root).find(BRANCH)
            assert pull is not None
            Local(self.root).merge(pull)
        self.git("pull", "--quiet", "--ff-only", self.bare, "main")

    def close(self, words: str) -> None:
        """Close the open pull request as a person does, and say why."""
        (record,) = self.pulls("open")
        said = {**record.comments, "dana": words}
        Local(self.root)._write(record.model_copy(update={"state": "closed", "comments": said}))

    def data(self, ref: str) -> pl.DataFrame:
        """The data that a branch of the forge pins, by way of DVC's remote alone."""
        there = self.root.parent / "elsewhere"
        shutil.rmtree(there, ignore_errors=True)
        self.git("clone", "--quiet", "--branch", ref, str(self.root / self.bare), str(there))
        other = replace(self, root=there)
        other.dvc("pull", "--quiet", f"data/{MODEL}")
        return pl.read_parquet(there / "data" / MODEL / "rows.parquet")

    def copy(self, where: Path) -> Yard:
        """The same, elsewhere."""
        shutil.copytree(self.root.parent, where, symlinks=True, dirs_exist_ok=True)
        return replace(self, root=where / "project", rows=where / "rows")


def frame(first: int, count: int, *, day: float | None = None) -> pl.DataFrame:
    """Rows with these keys; with `day` each has a time within that many days after START."""
    keys = range(first, first + count)
    made = pl.DataFrame(
        {"key": keys, "x": [(key * 37 % 101) / 7 for key in keys], "left": [int(key % 4 == 0) for key in keys]}
    )
    if day is None:
        return made
    step = timedelta(days=1) / count
    times = [(START + timedelta(days=day)).replace(tzinfo=None) + at * step for at in range(count)]
    return made.with_columns(pl.Series("when", times))


def yard(where: Path, *, timed: bool = False, alerts: str = "[]") -> Yard:
    """A repository whose model was trained on ROWS rows; of those of a time the last is of the day before START."""
    made = Yard(where / "project", where / "rows")
    made.root.mkdir(parents=True)
    made.git("init", "--quiet", "--initial-branch", "main")
    made.dvc("init", "--quiet")
    made.dvc("remote", "add", "--default", "store", "../../remote")
    split = "{by: time, train_days: 21, delay_days: 7, test_days: 14}" if timed else "{by: hash, test_fraction: 0.3}"
    own = OWN.format(time=", time: when" if timed else "", split=split, rows="../rows", alerts=alerts)
    texts = {
        ".gitignore": "/.trunkline/\n/artifacts/\n/data/\n",
        "params.yaml": PARAMS,
        "ml/models/churn/params.yaml": own,
    }
    for name, text in texts.items():
        (made.root / name).parent.mkdir(parents=True, exist_ok=True)
        (made.root / name).write_text(text)
    for model in ("other", MODEL):
        (made.root / "data" / model).mkdir(parents=True)
        rows = frame(0, ROWS if model == MODEL else 10, day=-1 if timed else None)
        rows.write_parquet(made.root / "data" / model / "rows.parquet")
    (made.root / "data.dvc").write_text(f"outs:\n- path: data/{MODEL}\n- path: data/other\n")
    made.dvc("commit", "--quiet", "--force", "data.dvc")
    made.dvc("push", "--quiet")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "a model")
    made.rows.mkdir()
    return made


def finding(kind: Kind, subject: str, words: str, *, alarm: bool = True) -> Finding:
    """A finding of two windows."""
    since, counted = "2026-11-06T00:00:00Z", "2026-11-20T00:00:00Z"
    told = {"statistic": "jensen_shannon", "value": 0.31, "limit": 0.1, "p_value": 1e-9, "importance": 0.6}
    return Finding.model_validate(
        {**told, "kind": kind, "subject": subject, "since": since, "counted": counted, "windows": 2}
        | {"alarm": alarm, "words": words}
    )


def drifted(*more: Finding, worse: bool | None = True) -> Drift:
    """A window in which a column drifted; `worse`: whether quality, as far as it was measured, fell."""
    found = [finding("data", "x", "x is distributed otherwise: Jensen-Shannon distance 0.31, limit 0.1."), *more]
    rows = []
    if worse is not None:
        verdict = Outcome.FAIL if worse else Outcome.PASS
        gap = -0.12 if worse else 0.0
        rows = [
            QualityRow(
                metric="average_precision",
                higher_is_better=True,
                n=900,
                value=0.7 + gap,
                n_reference=3000,
                reference=0.7,
                difference=gap,
                interval=Interval(low=gap - 0.02, high=gap + 0.02, confidence=0.95),
                verdict=verdict,
                reason="measured",
            )
        ]
    if worse:
        found.append(finding("quality", "average_precision", "average_precision fell from 0.7 to 0.58."))
    bins = [("0 to 5", 0.5, 0.2), ("5 to 10", 0.3, 0.2), ("10 to 15", 0.2, 0.6)]
    return Drift(
        model=MODEL,
        window=Window(start="2026-11-13T00:00:00Z", end="2026-11-20T00:00:00Z", rows=7000, labelled=900),
        reference=Reference(rows=3000),
        outcome=Outcome.FAIL,
        summary="x drifted",
        triggers=tuple(dict.fromkeys(one.kind for one in found)),
        findings=tuple(found),
        columns=(
            ColumnRow(
                column="x",
                kind="number",
                value=0.31,
                limit=0.1,
                drifted=True,
                bins=tuple(Bin(name=name, reference=a, window=b) for name, a, b in bins),
            ),
        ),
        quality=tuple(rows),
    )


def calm(outcome: Outcome = Outcome.PASS) -> Drift:
    """A window in which nothing was found; inconclusive: of too few rows."""
    none = {"triggers": (), "findings": (), "columns": (), "quality": ()}
    return drifted().model_copy(update={**none, "outcome": outcome, "summary": "3 rows, of 500 needed"})
