"""`trunkline experiments`: record the DVC experiments of a model in MLflow, each once, and rank them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import dvc, git, locks
from ci.commands import gate
from ci.commands.console import console
from ci.commands.lineage import LOCK
from ci.core import experiments, registered
from ci.core.errors import ConfigurationError
from ci.core.lineage import entries_of, of_lock
from ci.core.loglines import quiet

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from ci.adapters.mlflow import Runs
    from ci.core.experiments import Experiment
    from ci.core.records import Mode

TAG = "experiment"
"""Holds the commit of an experiment: the key under which MLflow has it once."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--mode", choices=("smoke", "full"), default="full", help="which mode they ran (default: full)")
    parser.add_argument("--by", metavar="METRIC", help="rank by this metric; the first that reports show by default")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Record what is not recorded yet, and print all, the best first, among the commits they started from."""
    root, mode = Path.cwd(), args.mode
    git.require_repository(root)
    (model,) = gate.configured(root, [args.model])
    commits = dvc.experiments(root)
    bases = {base for commit in commits if (base := git.commit_of(root, f"{commit}^"))}
    shown = dvc.show(root, sorted(bases | {git.head(root) or "HEAD"}))
    found = _of_model(root, experiments.parse(shown, model, mode), model, mode)
    if not any(one.name for one in found):
        raise ConfigurationError(
            f"no experiment has run {model} in mode {mode}{_waiting(shown)}: queue some with `dvc exp run --queue "
            f"--set-param ml/models/{model}/params.yaml:KEY=VALUE train@{model}-{mode} evaluate@{model}-{mode}`, and "
            "run them with `dvc exp run --run-all`, with all data there (`trunkline data`)."
        )
    by = experiments.chosen(args.by, found)
    added = _record(root, model, mode, [one for one in found if one.name])
    _print(experiments.ranked(found, by), by)
    print(f"{added} recorded now, all are in MLflow's experiment '{model}'{_waiting(shown)}.")
    return 0


def _of_model(root: Path, found: Sequence[Experiment], model: str, mode: Mode) -> list[Experiment]:
    """Those that ran this model in this mode: what the lock says of it is not what it said where they started."""
    entries = {one.commit: entries_of(_lock(root, one.commit), model, mode) for one in found}
    for base in {one.base for one in found} - entries.keys():
        entries[base] = entries_of(_lock(root, base), model, mode)
    return [one for one in found if one.name is None or entries[one.commit] not in ({}, entries[one.base])]


def _lock(root: Path, commit: str) -> dict[str, Any]:
    return dvc.lock(git.show(root, commit, LOCK))


def _record(root: Path, model: str, mode: Mode, found: Sequence[Experiment]) -> int:
    from ci.adapters.mlflow import Runs  # noqa: PLC0415 - heavy, and not wanted where nothing was run

    runs = Runs(root)
    with locks.exclusive(root / ".trunkline" / f"experiments-{model}.lock", f"another recording of {model}"):
        known = runs.keys(model, TAG)
        new = [one for one in found if one.commit not in known]
        for one in new:
            _log(runs, one, _lock(root, one.commit), model, mode)
    return len(new)


def _log(runs: Runs, one: Experiment, lock: Mapping[str, Any], model: str, mode: Mode) -> None:
    run_id, _ = runs.of(model, TAG, one.commit, name=str(one.name))
    made = of_lock(lock, model, one.base, mode)
    # Not `lock_hash`: that is the key of the run of a version, which has the model itself among its artifacts.
    hashes = made.model_dump(exclude={"model", registered.KEY}) if made else {}
    points = [registered.Point(name=name, value=value) for name, value in one.metrics.items()]
    params = registered.params(entries_of(lock, model, mode))
    runs.log(run_id, params=params, points=points, tags={**hashes, "mode": mode})
    runs.finish(run_id)


def _waiting(shown: Any) -> str:
    states = experiments.others(shown)
    told = ", ".join(f"{n} {state.lower()}" for state, n in states.items())
    return f" ({told}: `dvc queue status` says more)" if told else ""


def _print(found: Sequence[Experiment], by: str) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where something is printed
    from rich.text import Text  # noqa: PLC0415 - as above

    names = [by, *sorted({name for one in found for name in one.metrics} - {by})]
    table = Table("experiment", "changed", "from", *names)
    for one in found:
        changed = ", ".join(f"{each.key} {each.before} → {each.after}" for each in one.changed)
        values = (f"{one.metrics[name]:.4f}" if name in one.metrics else "" for name in names)
        style = "" if one.name else "dim"
        table.add_row(
            Text(quiet(one.name or "(no experiment)")), Text(quiet(changed)), one.base[:8], *values, style=style
        )
    console().print(table)
