"""`trunkline verdict`: the last job of a workflow, and the check to require: sums up what was planned and judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import files, git
from ci.commands import collect
from ci.commands.table import print_verdicts
from ci.core.errors import ConfigurationError
from ci.core.gating.verdict import exit_code
from ci.core.params import NAME

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ci.core.records import Verdict

RESULTS = ("success", "failure", "cancelled", "skipped")


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: what the workflow itself knows, and the folder that the jobs' artifacts are in."""
    parser.add_argument("--plan-result", choices=RESULTS, required=True, help="how the plan ended (needs.plan.result)")
    parser.add_argument("--models", metavar="JSON", required=True, help="what was planned (needs.plan.outputs.models)")
    parser.add_argument("--check-result", choices=RESULTS, required=True, help="how the checks ended, all together")
    parser.add_argument(
        "--records", type=Path, metavar="DIR", required=True, help="where the artifacts check-<model> lie"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table and return the worst verdict's exit code; what was not judged is never a pass.

    Each verdict that is accepted is written to artifacts/<model>/smoke/verdict.json, for the report. Raises
    ConfigurationError for a plan or jobs that did not end well, and for a planned model without a verdict of its own.
    """
    root = Path.cwd()
    git.require_repository(root)
    git.require_untracked(root)
    if args.plan_result != "success":
        raise ConfigurationError(f"The plan ended with {args.plan_result}, so nothing was judged; its log says why.")
    models = _planned(args.models)
    if not models:
        if args.check_result != "skipped":
            raise ConfigurationError(
                f"No model is planned, but the check jobs ended with {args.check_result}; see why."
            )
        print("pass: the plan says that no model is touched, so there is nothing to judge")
        return 0
    verdicts, refused = _accepted(root, args.records, models, git.head(root))
    print_verdicts(verdicts)
    ended = f"the check jobs ended with {args.check_result}"
    if refused:
        raise ConfigurationError(f"{len(refused)} of {len(models)} models have no verdict ({ended}): {refused[0]}")
    code = exit_code(verdicts)
    if code == 0 and args.check_result != "success":
        raise ConfigurationError(f"Every verdict passes, but something else went wrong ({ended}); see the jobs' logs.")
    return code


def _planned(text: str) -> list[str]:
    """The models of a plan's output. Raises ConfigurationError for anything but a JSON list of names, each once."""
    try:
        models = json.loads(text)
    except ValueError:
        models = None
    named = isinstance(models, list) and all(isinstance(one, str) and NAME.fullmatch(one) for one in models)
    if not named or len({*models}) != len(models):
        raise ConfigurationError(f"--models is {text[:80]!r}, but has to be a JSON list of models; see the plan's log.")
    return list(models)


def _accepted(root: Path, records: Path, models: Sequence[str], commit: str | None) -> tuple[list[Verdict], list[str]]:
    """The verdicts of the planned models' own jobs, put where the report looks, and why others have none."""
    verdicts, refused = [], []
    for model in models:
        try:
            verdict = collect.of_leg(records, model, commit)
        except ConfigurationError as refusal:
            refused.append(refusal.message)
            continue
        files.write_record(root / "artifacts" / model / verdict.mode / "verdict.json", verdict)
        verdicts.append(verdict)
    return verdicts, refused
