"""The fully trained version that dvc.lock pins: its files put in place, and judged as they are. Nothing is trained."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ci.adapters import dvc, files, locks, shell
from ci.commands import candidate
from ci.commands.champion import Champion
from ci.core import training
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.lineage import all_stages_of, entries_of
from ci.core.records import Problem
from ci.core.releasing import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ci.core.records import Mode, Verdict

MODE: Mode = "full"


def behind(root: Path, model: str, stale: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Why dvc.lock does not hold the full training of the working tree, in words; empty where it does.

    `stale` is DVC's status, where it was asked for before.
    """
    now = dvc.stale(root) if stale is None else stale
    return training.behind(model, dvc.lock_of(root), now, dvc.pinned(root))


def pull(root: Path, model: str) -> None:
    """Put what dvc.lock pins of the model's full training in place, each file held to its hash.

    Raises ConfigurationError where the lock pins nothing, EnvironmentFault where a file is missing or has other bytes.
    """
    with locks.check(root):
        _require_pinned(root, model)
        known = dvc.lock_of(root)  # of an older version it may have no profile
        dvc.pull_outs(root, [stage for stage in all_stages_of(model, MODE) if stage in known])


def judge(root: Path, model: str) -> Verdict:
    """The verdict of exactly the files that dvc.lock pins, against the champion on the same rows.

    Raises EnvironmentFault where a file that lies here is another one, and Refused where the pinned model does not
    give the pinned predictions: dvc.lock only says which bytes belong together, and anyone can write that.
    """
    with locks.check(root):
        _require_pinned(root, model)
        # What stopped a stage is of no matter to what was trained before.
        (root / "artifacts" / model / "problem.json").unlink(missing_ok=True)
        with Champion.at_hand(root, model) as champion:
            candidate.require_locked(root, model, champion)
            _rescore(root, model)
            return candidate.judge(root, model, champion, {})


def judged(root: Path, model: str, stale: dict[str, Any]) -> Verdict:
    """As `judge`, for who holds the lock and has just run the stages; one that stopped fails the verdict."""
    with Champion.at_hand(root, model) as champion:
        if not (root / "artifacts" / model / "problem.json").is_file():
            candidate.require_locked(root, model, champion)
        return candidate.judge(root, model, champion, stale)


def _rescore(root: Path, model: str) -> None:
    """Let the pinned model score the pinned rows once more, by the code that is checked out."""
    done = shell.run(
        [sys.executable, "-m", "ml.stages.rescore", model, MODE], cwd=root, capture=False, check=False, loud=True
    )
    if done.code == 0:
        return
    path = root / "artifacts" / model / "problem.json"
    if not path.is_file():
        raise EnvironmentFault(f"scoring {model} once more ended with status {done.code}, without a word; run again.")
    problem = files.read_record(path, Problem)
    path.unlink()  # no stage stopped: the next check is not to tell of it
    if problem.exit_code == EnvironmentFault.exit_code:
        raise EnvironmentFault(problem.message)
    raise Refused(f"{model} is not released: {problem.message}.", file=problem.file)


def _require_pinned(root: Path, model: str) -> None:
    if not entries_of(dvc.lock_of(root), model):
        raise ConfigurationError(
            f"dvc.lock does not pin a fully trained {model}; run `trunkline train {model}` and commit dvc.lock.",
            file="dvc.lock",
        )
