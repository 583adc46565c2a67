"""`trunkline comment`: one comment per workflow and model on the pull request, from records and our own templates.

It runs with write permission on what an unprivileged run left behind, so nothing of that is posted as it is: records
are read strictly and rendered here, the pull request is found by its head commit, not by what a record says, and
which commit was checked and how that ended is what the event says.
"""

from __future__ import annotations

import os
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.files import read_yaml
from ci.adapters.github import Locked
from ci.adapters.github.client import Client
from ci.adapters.github.comments import BOT, Thread
from ci.adapters.github.pulls import Checked, numbers
from ci.adapters.templates import render_markdown
from ci.commands import untrusted
from ci.commands.posting import post
from ci.core.errors import ConfigurationError
from ci.core.loglines import quiet
from ci.core.params import parse_root
from ci.core.reporting.markdown import COMMENT_LIMIT, ROOM, length
from ci.core.reporting.notes import CheckRun

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from ci.commands.untrusted import Found
    from ci.core.records import Verdict

API = "https://api.github.com"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--repo", metavar="OWNER/NAME", help="the repository (GITHUB_REPOSITORY)")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--pr", type=int, metavar="N", help="the pull request's number")
    which.add_argument("--sha", help="the commit that was checked: the open pull request whose head it is")
    parser.add_argument("--head", metavar="OWNER:BRANCH", help="with --sha: where that commit was pushed")
    parser.add_argument(
        "--base",
        metavar="BRANCH",
        help="with --sha: the branch it was checked for; several, apart by blanks, or none are not known",
    )
    parser.add_argument("--verdicts", type=Path, metavar="DIR", required=True, help="where verdict.json files lie")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="plan.json, to speak of models without a verdict too")
    parser.add_argument("--conclusion", metavar="WORD", help="how the run that checked ended (success, failure, …)")
    parser.add_argument("--run-url", metavar="URL", help="that run's address, which each comment links to")
    parser.add_argument("--workflow", metavar="NAME", default="check", help="whose comments these are (check)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Render, find the pull request, and make each model's comment say what its verdict says.

    Records that are refused are told at the end, when all others are posted; the last of them is raised.
    """
    client = Client(os.environ.get("GITHUB_TOKEN"), os.environ.get("GITHUB_API_URL") or API)
    repo = _checked("--repo", args.repo or os.environ.get("GITHUB_REPOSITORY"), r"[\w.-]+/[\w.-]+", "OWNER/NAME")
    if args.sha is not None:
        _checked("--sha", args.sha, r"[0-9a-f]{40}|[0-9a-f]{64}", "a whole commit hash")
    check = CheckRun(args.sha, args.conclusion or None, args.run_url or None)
    listed = parse_root(*read_yaml(Path("params.yaml"))).models
    found = untrusted.read(args.verdicts, args.plan)
    bodies = _rendered(found, check)
    others = _others(found, check) if args.plan is not None else None
    for number in [args.pr] if args.pr is not None else _pulls(client, repo, args):
        thread = Thread(client, repo, number, os.environ.get("TRUNKLINE_BOT") or BOT)
        try:
            post(thread, bodies, workflow=args.workflow, listed=listed, others=others)
        except Locked as fault:
            print(f"#{number}: {fault.message}")
    if not found.verdicts:
        print(f"No readable verdict.json under {args.verdicts}: there is no report to post.")
    for refused in found.refused[:-1]:
        print(refused.message, file=sys.stderr)
    if found.refused:
        raise found.refused[-1]
    return 0


def _rendered(found: Found, check: CheckRun) -> dict[str, str]:
    """The comment of each model that has a verdict or should have one, without its marker."""
    bodies = {
        model: _report(tuple(group), check)
        for model, group in groupby(found.verdicts, key=lambda verdict: verdict.model)
    }
    for model in found.plan.models if found.plan else ():
        bodies.setdefault(model, check.no_verdict(model))
    return bodies


def _report(verdicts: Sequence[Verdict], check: CheckRun) -> str:
    model = verdicts[0].model
    try:
        text = render_markdown(verdicts, limit=COMMENT_LIMIT - ROOM - length(check.head()))
    except Exception as fault:  # noqa: BLE001 - whatever a stranger's record breaks, the other models are posted
        print(
            f"{model}: the record cannot be shown ({quiet(f'{type(fault).__name__}: {fault}')[:200]})", file=sys.stderr
        )
        return check.not_shown(model)
    return check.head() + text


def _others(found: Found, check: CheckRun) -> Callable[[str], str]:
    """What to say of a model with a comment that this run says nothing of; "not touched" only if it ended well."""
    if found.plan is None:
        return check.ended_early
    return check.untouched if check.succeeded else check.not_judged


def _pulls(client: Client, repo: str, args: argparse.Namespace) -> tuple[int, ...]:
    # A fork that was deleted has no owner any more, and the event's head is ":branch".
    head = args.head if args.head is not None and not args.head.startswith(":") else None
    if head is not None:
        _checked("--head", head, r"[^:\s]+:\S+", "OWNER:BRANCH")
    bases = (args.base or "").split()  # an event that tells of several does not tell which
    found, why_none = numbers(client, repo, Checked(args.sha, head, bases[0] if len(bases) == 1 else None))
    if not found:
        print(f"{why_none}: nothing to post.")
    return found


def _checked(option: str, value: str | None, pattern: str, wanted: str) -> str:
    if value is None or not re.fullmatch(pattern, value):
        raise ConfigurationError(f"{option} is {value!r}, but has to be {wanted}; give it as an option.")
    return value
