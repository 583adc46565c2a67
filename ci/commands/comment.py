"""`trunkline comment`: one comment per workflow and model on the pull request, from records and our own templates.

It runs with write permission on what an unprivileged run left behind, so nothing of that is posted as it is: records
are read strictly and rendered here, and the pull request is found by its head commit, not by what a record says.
"""

from __future__ import annotations

import os
import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from ci.adapters.github.client import Client
    from ci.adapters.github.comments import Thread
    from ci.core.records import Plan, Verdict

API = "https://api.github.com"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--repo", metavar="OWNER/NAME", help="the repository (GITHUB_REPOSITORY)")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--pr", type=int, metavar="N", help="the pull request's number")
    which.add_argument("--sha", help="the commit that was checked: the open pull requests whose head it is")
    parser.add_argument("--head", metavar="OWNER:BRANCH", help="with --sha: where that commit was pushed")
    parser.add_argument("--verdicts", type=Path, metavar="DIR", required=True, help="where verdict.json files lie")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="plan.json, to speak of models without a verdict too")
    parser.add_argument("--workflow", metavar="NAME", default="check", help="whose comments these are (check)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Render, find the pull request, and make each model's comment say what its verdict says."""
    from ci.adapters.github.client import Client  # noqa: PLC0415 - requests stays out of `--help`
    from ci.adapters.github.comments import BOT, Thread  # noqa: PLC0415 - likewise
    from ci.commands import collect  # noqa: PLC0415 - likewise pydantic

    client = Client(os.environ.get("GITHUB_TOKEN"), os.environ.get("GITHUB_API_URL") or API)
    repo = _checked("--repo", args.repo or os.environ.get("GITHUB_REPOSITORY"), r"[\w.-]+/[\w.-]+", "OWNER/NAME")
    verdicts = collect.verdicts(args.verdicts)
    plan = collect.plan(args.plan) if args.plan and args.plan.exists() else None
    bodies = _rendered(verdicts, plan, args.workflow)
    numbers = [args.pr] if args.pr is not None else _pulls(client, repo, args.sha, args.head)
    for number in numbers:
        thread = Thread(client, repo, number, os.environ.get("TRUNKLINE_BOT") or BOT)
        for model, body in bodies.items():
            print(f"#{number} {model}: comment {thread.upsert(_marker(args.workflow, model), body)}")
        if plan is not None:
            _take_back(thread, bodies, args.workflow)
    if not bodies:
        print(f"No verdict.json under {args.verdicts}: there is no report to post.")
    return 0


def _rendered(verdicts: Sequence[Verdict], plan: Plan | None, workflow: str) -> dict[str, str]:
    """The comment of each model that has a verdict or should have one."""
    from ci.adapters.templates import render_markdown  # noqa: PLC0415 - jinja2 stays out of `--help`

    bodies = {
        model: render_markdown(tuple(group), marker=_marker(workflow, model))
        for model, group in groupby(verdicts, key=lambda verdict: verdict.model)
    }
    for model in plan.models if plan else ():
        bodies.setdefault(
            model,
            f"{_marker(workflow, model)}\n🔴 **{model}** has no verdict: its check ended before it could judge. "
            "The job's log says why.\n",
        )
    return bodies


def _take_back(thread: Thread, bodies: Mapping[str, str], workflow: str) -> None:
    """Where an earlier push left a comment on a model that this push does not touch, say so in it."""
    for comment in thread.own():
        model = _model_of(comment.body, workflow)
        if model is None or model in bodies:
            continue
        marker = _marker(workflow, model)
        body = f"{marker}\n⚪ **{model}** is not touched by this pull request any more: there is nothing to judge.\n"
        print(f"#{thread.number} {model}: comment {thread.upsert(marker, body, create=False)}, no longer touched")


def _marker(workflow: str, model: str) -> str:
    from ci.core.reporting.report import marker  # noqa: PLC0415 - pydantic stays out of `--help`

    return marker(workflow, model)


def _model_of(body: str, workflow: str) -> str | None:
    """The model that one of this workflow's comments is about."""
    found = re.match(r"<!-- trunkline:\S+:([a-z0-9_]+) -->", body)
    return found[1] if found and body.startswith(_marker(workflow, found[1])) else None


def _pulls(client: Client, repo: str, sha: str, head: str | None) -> list[int]:
    """The open pull requests whose newest commit is `sha`: a run that was overtaken by a push finds none."""
    _checked("--sha", sha, r"[0-9a-f]{40}|[0-9a-f]{64}", "a whole commit hash")
    query: dict[str, str | int] = {"state": "open"}
    if head is not None:
        query["head"] = _checked("--head", head, r"[^:\s]+:\S+", "OWNER:BRANCH")
    found = [pull["number"] for pull in client.every(f"/repos/{repo}/pulls", query) if pull["head"]["sha"] == sha]
    if not found:
        print(
            f"No open pull request of {repo} has {sha[:8]} as its head (closed, or pushed to since): nothing to post."
        )
    return found


def _checked(option: str, value: str | None, pattern: str, wanted: str) -> str:
    if value is None or not re.fullmatch(pattern, value):
        raise ConfigurationError(f"{option} is {value!r}, but has to be {wanted}; give it as an option.")
    return value
