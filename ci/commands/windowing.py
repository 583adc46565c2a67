"""Runs `ml.stages.window`, which reads a window's rows, and takes in what it leaves behind."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.adapters import dvc, files, git, shell
from ci.commands.reference import ONNX, PREDICTIONS, PROFILE
from ci.core.drift.profiles import Profile, parse_profile
from ci.core.drift.reading import Reading
from ci.core.errors import ConfigurationError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from ci.commands.reference import Reference
    from ci.core.drift.rules import Rules

STAGE = "ml.stages.window"


@dataclass(frozen=True)
class Readers:
    """How many processes read a log, or the address of the Ray cluster that does."""

    workers: int = 1
    ray: str | None = None


@dataclass(frozen=True)
class Windowed:
    """What was read: a profile, what is odd, and the labelled rows with their scores, where there are any."""

    profile: Profile
    read: Reading
    predictions: Path | None


def read(reference: Reference, rules: Rules, span: tuple[datetime, datetime], out: Path, readers: Readers) -> Windowed:
    """The rows from `span`'s start to before its end, in files under `out`.

    Raises ConfigurationError for a log, rows or labels that are of no use, EnvironmentFault where their store does not
    answer.
    """
    given = out / "reference"
    names = (PROFILE, *(() if rules.log else (ONNX,)))
    for name, content in reference.fetch(*names).items():
        files.write_bytes(given / name, content)
    start, end = (moment.isoformat() for moment in span)
    args = [sys.executable, "-m", STAGE, reference.model, "--start", start, "--end", end]
    args += ["--reference", str(given / PROFILE), "--out", str(out), "--workers", str(readers.workers)]
    rows, labels = (_placed(reference, rules, url) for url in (rules.rows or "", rules.labels or ""))
    args += ["--log", rules.log] if rules.log else ["--rows", rows, "--onnx", str(given / ONNX)]
    args += ["--ray", readers.ray] if readers.ray else []
    args += ["--labels", labels] if labels else []
    with _code(reference, rules) as tree:
        done = shell.run(args, cwd=tree, check=False, without=dvc.TOKENS)
    if done.code != 0:
        raise _failed(done, reference.model)
    sys.stderr.write(done.err)
    profile = out / PROFILE
    predictions = out / PREDICTIONS
    return Windowed(
        parse_profile(json.loads(profile.read_bytes()), str(profile)),
        files.read_record(out / "window.json", Reading),
        predictions if predictions.is_file() else None,
    )


def _placed(reference: Reference, rules: Rules, url: str) -> str:
    """A folder of this checkout is named from its root on, for code that may run elsewhere."""
    return url if rules.log or not url or "://" in url else str(reference.root / url)


@contextmanager
def _code(reference: Reference, rules: Rules) -> Iterator[Path]:
    """Where the code is that reads the rows.

    The log holds features as its servers took them. Of raw rows they are made as the model's own commit does it.
    """
    if rules.log or reference.commit is None:
        yield reference.root
        return
    tree = reference.root / ".trunkline" / "drift" / reference.model
    git.add_worktree(reference.root, tree, reference.commit)
    try:
        yield tree
    finally:
        git.remove_worktree(reference.root, tree)


def _failed(done: shell.Completed, model: str) -> ConfigurationError | EnvironmentFault:
    """What it said last; all before that is for whoever wrote the model."""
    *before, last = done.err.rstrip().splitlines() or ["it ended without a word"]
    sys.stderr.writelines(f"{line}\n" for line in before)
    told = last.removeprefix(f"window {model}: ").rstrip(".")
    words = f"{model}: {told}{'' if told.endswith('?') else '.'}"
    return (
        EnvironmentFault(words)
        if done.code == EnvironmentFault.exit_code or done.code < 0
        else ConfigurationError(words)
    )
