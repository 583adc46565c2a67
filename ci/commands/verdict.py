"""`trunkline verdict`: the last job of a workflow, and the check to require: sums up what was planned and judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

RESULTS = ("success", "failure", "cancelled", "skipped")


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--plan", type=Path, metavar="FILE", required=True, help="plan.json of this run")
    parser.add_argument("--verdicts", type=Path, metavar="DIR", required=True, help="where verdict.json files lie")
    parser.add_argument("--check-result", choices=RESULTS, help="how the check jobs ended (needs.check.result)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table and return the worst verdict's exit code; what was not judged is never a pass.

    Raises ConfigurationError for a planned model without a verdict, and for jobs that failed though verdicts pass.
    """
    from ci.commands import collect  # noqa: PLC0415 - pydantic stays out of `--help`

    plan = collect.plan(args.plan)
    if not plan.models:
        if args.check_result in {"failure", "cancelled"}:
            raise ConfigurationError(
                f"No model is planned, but the check jobs ended with {args.check_result}; see why."
            )
        print(f"pass: {plan.words}")
        return 0
    from ci.commands.table import print_verdicts  # noqa: PLC0415 - rich stays out of `--help`
    from ci.core.gating.verdict import exit_code  # noqa: PLC0415 - likewise numpy

    verdicts = [verdict for verdict in collect.verdicts(args.verdicts) if verdict.model in plan.models]
    print_verdicts(verdicts)
    judged = {verdict.model for verdict in verdicts}
    ended = f" (the check jobs ended with {args.check_result})" if args.check_result else ""
    if missing := [model for model in plan.models if model not in judged]:
        raise ConfigurationError(
            f"No verdict.json under {args.verdicts} for {', '.join(missing)}{ended}: "
            "the check stopped before it could judge; its log says why."
        )
    code = exit_code(verdicts)
    if code == 0 and args.check_result not in {None, "success"}:
        raise ConfigurationError(f"Every verdict passes, but something else went wrong{ended}; see the jobs' logs.")
    return code
