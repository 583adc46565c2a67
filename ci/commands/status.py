"""`trunkline status`: each model in each environment: champion, canary, evidence, decision, open pull requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import forge, git, rollouts
from ci.commands import merged
from ci.commands.console import console
from ci.commands.rollout import chosen
from ci.core import releasing
from ci.core.loglines import quiet
from ci.core.reporting.show import count, number
from ci.core.retraining import telling
from ci.core.rollouts import changing
from ci.core.rollouts.standing import Standing, standing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from ci.adapters.forge import Forge
    from ci.core.forge import Pull
    from ci.core.release import Version


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="which models; all when none is named")
    parser.add_argument("--environment", metavar="NAME", help="which one; all when none is named")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print how each stands on the forge's default branch."""
    root = Path.cwd()
    git.require_repository(root)
    there = forge.of(root)
    base = merged.at_forge(root, there)
    _, places = chosen(base, args.models, args.environment)
    kept = rollouts.read(root, there, places)
    first = dict(reversed(places))
    found = [
        standing(
            model,
            name,
            base.changes(model, name),
            kept[model, name].open,
            list(_pulls(there, model, name, is_first=first[model] == name)),
        )
        for model, name in places
    ]
    if args.json:
        print(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
    else:
        _print(found)
    return 0


def _pulls(there: Forge, model: str, environment: str, *, is_first: bool) -> Iterable[Pull]:
    """Those of the environment, and at a model's first that of its retraining, which is of none."""
    own = (telling.branch(model),) if is_first else ()
    for branch in (*own, releasing.branch(model, environment), changing.branch(model, environment)):
        if (pull := there.find(branch)) is not None:
            yield pull


def _print(found: Sequence[Standing]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where something is printed
    from rich.text import Text  # noqa: PLC0415 - as above

    out = console(240)
    table = Table()
    for name in ("model", "environment", "champion", "since", "canary", "evidence", "last decision", "pull requests"):
        table.add_column(name, overflow="fold")
    for one in found:
        cells = (
            one.model,
            one.environment,
            one.fault or (_version(one.stable) if one.stable else "never released"),
            _minute(one.since),
            _canary(one),
            _evidence(one),
            _decision(one),
            "; ".join(f"#{pull.number} {pull.title}" for pull in one.pulls),
        )
        table.add_row(*(Text(quiet(cell)) for cell in cells))
    out.print(table)


def _version(version: Version) -> str:
    return f"{version.version} ({version.lineage.lock_hash[:12]})"


def _canary(one: Standing) -> str:
    if one.canary is None:
        return ""
    share = "copies of requests" if one.shadow else f"{one.weight} %"
    return f"{_version(one.canary)} at {share} since {_minute(one.canary_since)}"


def _evidence(one: Standing) -> str:
    """How many requests, and what looks worst: its e-value beside that from which it is certain."""
    if one.canary is None:
        return ""
    if one.requests is None:
        return "not looked at yet"
    seen = f"{count(one.requests)} requests"
    worst = max(one.evidence, key=lambda metric: metric.log_now + log(metric.alpha), default=None)
    if worst is None:
        return seen
    return f"{seen}; {worst.metric} is nearest to certainty: e = {number(worst.e)} of {number(worst.needed)}"


def _decision(one: Standing) -> str:
    if one.decision is not None:
        return f"{one.decision.action}: {one.decision.words}; looked at {_minute(one.looked)}"
    return one.change or ""


def _minute(when: str | None) -> str:
    """A time to the minute, in UTC."""
    return f"{datetime.fromisoformat(when).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when else ""
