"""What `trunkline comment` writes on one pull request: the reports, and what became of comments that are there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ci.core.reporting.report import marker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ci.adapters.github.comments import Thread

UNLISTED = 5  # comments on one pull request of models that params.yaml does not list: new ones, or invented


def post(
    thread: Thread,
    bodies: Mapping[str, str],
    *,
    workflow: str,
    listed: Collection[str],
    others: Callable[[str], str] | None,
) -> None:
    """Make the comments of a workflow say what `bodies` has for each model.

    `listed` are the models of the default branch. `others` is what a comment of another model is changed to; without
    it those stay as they are. Raises GitHubError.
    """
    own = thread.own()
    there = {model for one in own if (model := _model(one.body, workflow)) is not None}
    wanted, left_out = _allowed(bodies, listed, there)
    if left_out:
        more = f" and {len(left_out) - UNLISTED} more" if len(left_out) > UNLISTED else ""
        print(
            f"#{thread.number}: no comment for {', '.join(left_out[:UNLISTED])}{more}: "
            f"params.yaml of the default branch does not list them, and {UNLISTED} comments of such models are enough."
        )
    texts = {marker(workflow, model): f"{marker(workflow, model)}\n{bodies[model]}" for model in wanted}
    done = thread.upsert_all(texts, known=own)
    for model in wanted:
        print(f"#{thread.number} {model}: comment {done[marker(workflow, model)]}")
    if others is None:
        return
    rest = sorted(there - set(bodies))
    done = thread.upsert_all({marker(workflow, model): others(model) for model in rest}, create=False, known=own)
    for model in rest:
        print(f"#{thread.number} {model}: comment {done[marker(workflow, model)]}, not judged by this run")


def _allowed(models: Iterable[str], listed: Collection[str], there: Collection[str]) -> tuple[list[str], list[str]]:
    """The models to post for, and those that would be comments beyond what a stranger may cause."""
    wanted, left_out = [], []
    room = UNLISTED - sum(model not in listed for model in there)
    for model in models:
        new = model not in listed and model not in there
        if new and room <= 0:
            left_out.append(model)
            continue
        room -= new
        wanted.append(model)
    return wanted, left_out


def _model(body: str, workflow: str) -> str | None:
    """The model that one of this workflow's comments is about."""
    found = re.match(r"<!-- trunkline:\S+:([a-z0-9_]+) -->", body)
    return found[1] if found and body.startswith(marker(workflow, found[1])) else None
