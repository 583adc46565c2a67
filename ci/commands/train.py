"""`trunkline train`: from the working tree to a fully trained version that was judged, kept and registered."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import dvc, git, locks
from ci.commands import stages
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.gating.verdict import exit_code
from ci.core.lineage import all_stages_of
from ci.core.retraining import telling

if TYPE_CHECKING:
    from ci.core.lineage import Lineage
    from ci.core.records import Verdict

PROCESSES = "TRUNKLINE_PROCESSES"  # what the training stage goes by


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument(
        "--processes", type=_count, metavar="N", help=f"train in N processes of this machine ({PROCESSES})"
    )
    parser.add_argument(
        "--branch", help="what is trained: on the model's retrain/MODEL an inconclusive verdict is refused, too"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train what dvc.lock lacks, judge it, push it, register it; the exit code is the verdict's.

    Whatever ends it, the next run goes on from there: each step finds what is done already. A version that the gates
    refuse is neither pushed nor registered.
    """
    from ci.commands import full, gate, lasting, lineage, report  # noqa: PLC0415 - jinja2 and numpy only where something is trained
    from ci.commands.table import print_verdicts  # noqa: PLC0415 - as above

    root = Path.cwd()
    git.require_repository(root)
    git.require_untracked(root)
    (model,) = gate.configured(root, [args.model])
    lasting.require(root)
    with locks.check(root):
        stale = _up_to_date(root, model, {PROCESSES: str(args.processes)} if args.processes else {})
        verdict = full.judged(root, model, stale)
        written = report.write_full(root, verdict)
        print_verdicts([verdict])
        if (code := exit_code([verdict], decided=telling.is_of(args.branch, model))) != 0:
            return code
        dvc.push(root, all_stages_of(model, full.MODE))
        known = lineage.of_worktree(root, model)
    if known is None:
        raise ConfigurationError("there is no commit yet, so nothing can say what was trained; commit, and run again.")
    _register(root, verdict, known, written)
    return 0


def _up_to_date(root: Path, model: str, env: dict[str, str]) -> dict[str, Any]:
    """Bring data and full stages of the model up to date and return what was not, as DVC told it beforehand.

    What was trained elsewhere is fetched, not trained again; in CI the lock's word for it does not count.
    """
    from ci.commands import data, full  # noqa: PLC0415 - as above

    stale = dvc.stale(root)
    if data.behind(root, stale, (model,)):
        stale = data.ensure(root, (model,))
    mine = [stage for stage in all_stages_of(model, full.MODE) if stage in stale]
    if mine and os.environ.get("CI") != "true" and not full.behind(root, model, stale):
        try:
            dvc.pull_outs(root, all_stages_of(model, full.MODE))
            stale = {stage: why for stage, why in stale.items() if stage not in mine}
        except EnvironmentFault as fault:
            print(f"{fault.message} It is trained again.", file=sys.stderr)
    stages.bring_up(root, model, full.MODE, stale, env)
    return stale


def _register(root: Path, verdict: Verdict, known: Lineage, report: Path) -> None:
    from ci.commands import registering  # noqa: PLC0415 - MLflow is imported where something is registered

    version = registering.register(root, known.model, verdict, known, report)
    print(f"{known.model}: version {version} is registered; commit dvc.lock, which pins it ({known.lock_hash[:12]})")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; give 1 or more")
    return int(text)
