"""`trunkline reproduce`: train a version again from its lineage, in a clean worktree, and compare."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import dvc, files, git, locks, packages
from ci.commands import data, trace
from ci.commands.lineage import LOCK
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.lineage import ENVIRONMENT, Lineage, of_lock, stages_of
from ci.core.loglines import quiet
from ci.core.records import Problem
from ci.core.reproduction import TOLERANCE, Reproduction, compare

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

REFUSED = 3
NUMBERED = re.compile(r"(?:(?P<model>[a-z][a-z0-9_]{0,63})/)?(?P<version>[0-9]{1,6})")


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("version", metavar="VERSION", help="MODEL/NUMBER, a lock or model hash, a digest, or a commit")
    parser.add_argument("--model", metavar="MODEL", help="which model, where VERSION alone does not say it")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="SHARE",
        help="by how much a metric may differ where the bytes do (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what came of it; exit code 3 when the version is not reproduced."""
    root = Path.cwd()
    git.require_repository(root)
    if not 0 <= args.tolerance < 1:
        raise ConfigurationError(f"--tolerance is {args.tolerance:g}; give a number from 0 to below 1.")
    lineage = resolve(root, args.version.strip(), args.model)
    found = reproduce(root, lineage, args.tolerance)
    _print(found)
    return REFUSED if found.how == "not" else 0


def resolve(root: Path, ref: str, model: str | None) -> Lineage:
    """The lineage that `ref` names: by git, and where git knows no such version, by the registry of models."""
    numbered = NUMBERED.fullmatch(ref)
    if numbered:
        name = numbered["model"] or model
        if name is None:
            raise ConfigurationError(f"version {ref} of which model? Write MODEL/{ref}, or name it with --model.")
        return _of_number(root, name, numbered["version"])
    commit = git.commit_of(root, ref) if ref and not ref.startswith("-") else None
    if commit is not None:
        return _of_commit(root, commit, model)
    return _only([one for one in _of_git(root, ref) if model in {None, one.model}], ref)


def reproduce(root: Path, lineage: Lineage, tolerance: float) -> Reproduction:
    """Run the full stages of a lineage anew, with nothing that was computed before, and compare what they make.

    Raises ConfigurationError where git or DVC has not what is needed, EnvironmentFault where a stage is killed.
    """
    model = lineage.model
    text = git.show(root, lineage.commit, LOCK)
    if text is None or of_lock(dvc.lock(text), model, lineage.commit) != lineage:
        raise ConfigurationError(
            f"{LOCK} of commit {lineage.commit[:12]} does not hold lock {lineage.lock_hash[:12]} of {model}; "
            "fetch all of history (`git fetch --unshallow`), and run again."
        )
    tree, stages = root / ".trunkline" / "reproduce" / model, stages_of(model, "full")
    with locks.exclusive(root / ".trunkline" / f"reproduce-{model}.lock", f"another reproduction of {model}"):
        git.add_worktree(root, tree, lineage.commit)
        try:
            dvc.share_cache(root, tree)
            for words in packages.differing((tree / ENVIRONMENT).read_text()):
                print(f"trunkline: this environment is not the one it was trained in: {words}", file=sys.stderr)
            data.ensure(tree, (model,))
            here = tree / "artifacts" / model
            before = (
                _metrics(here) if dvc.fetch(tree, [f"artifacts/{model}/full/metrics.json"]) else _kept(root, lineage)
            )
            if not dvc.rerun(tree, stages):
                raise _stopped(here / "problem.json", lineage)
            return compare(
                lineage, files.md5(here / "full" / "model.onnx"), before, _metrics(here), tolerance=tolerance
            )
        finally:
            git.remove_worktree(root, tree)


def _of_number(root: Path, model: str, version: str) -> Lineage:
    from ci.adapters.mlflow import Models  # noqa: PLC0415 - heavy, and asked only where git does not know

    ref = f"{model}/{version}"
    try:
        return _only(_of_git(root, ref), ref)
    except ConfigurationError:  # it never reached a release.yaml
        models = Models(root)
        known = models.get(model, version)
    if known is None:
        raise ConfigurationError(f"no release.yaml and no version in MLflow at {models.shown} is called {ref}.")
    return _only([chain.lineage for chain in trace.of_tags(root, known) if chain.lineage], f"the lock of {ref}")


def _of_git(root: Path, ref: str) -> list[Lineage]:
    return [chain.lineage for chain in trace.chains(root, ref) if chain.lineage]


def _of_commit(root: Path, commit: str, model: str | None) -> Lineage:
    lock = dvc.lock(git.show(root, commit, LOCK))
    trained = {name.removeprefix("train@").removesuffix("-full") for name in lock if name.startswith("train@")}
    return _only(
        [made for name in ({model} if model else trained) if (made := of_lock(lock, name, commit))], commit[:12]
    )


def _only(found: Sequence[Lineage], ref: str) -> Lineage:
    """The one lineage that is meant. Raises ConfigurationError where there is none, or more than one."""
    if not found:
        raise ConfigurationError(f"{ref} pins no model that was trained in full; `trunkline trace` says what it is.")
    if len({one.lock_hash for one in found}) > 1:
        models = sorted({one.model for one in found})
        hint = f"name one of {', '.join(models)} with --model" if len(models) > 1 else "give more of its digits"
        raise ConfigurationError(f"{ref} stands for more than one trained version; {hint}.")
    return found[0]


def _metrics(here: Path) -> dict[str, float]:
    found = json.loads((here / "full" / "metrics.json").read_text())
    return {str(name): float(value) for name, value in found.items()}


def _kept(root: Path, lineage: Lineage) -> dict[str, float]:
    """The metrics that MLflow keeps of a version, where DVC has lost them."""
    from ci.adapters.mlflow import Models, Runs  # noqa: PLC0415 - as above

    try:
        known = Models(root).find(lineage.model, lineage.lock_hash)
        return Runs(root).metrics(known.run_id) if known and known.run_id else {}
    except EnvironmentFault as fault:
        print(f"trunkline: {fault.message}", file=sys.stderr)
        return {}


def _stopped(problem: Path, lineage: Lineage) -> ConfigurationError | EnvironmentFault:
    if not problem.is_file():
        return EnvironmentFault("a stage ended without a word; run again.")
    said = files.read_record(problem, Problem)
    return ConfigurationError(f"{lineage.model} of commit {lineage.commit[:12]} cannot be trained: {said.message}")


def _print(found: Reproduction) -> None:
    if found.metrics:
        from rich.console import Console  # noqa: PLC0415 - only where something is printed
        from rich.table import Table  # noqa: PLC0415 - as above

        table = Table("metric", "version", "trained again", "")
        for row in found.metrics:
            after = "" if row.after is None else f"{row.after:.6g}"
            table.add_row(row.metric, f"{row.before:.6g}", after, "" if row.within else "beyond the tolerance")
        Console().print(table)
    print(quiet(found.words))
