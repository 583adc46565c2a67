"""`trunkline explain`: from a request's id to the model that answered, what it was made of, and why it scored so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import git, history, inference_log
from ci.commands import kept, trace
from ci.commands.console import console
from ci.core import explaining
from ci.core.addresses import masked
from ci.core.errors import ConfigurationError, TrunklineError
from ci.core.explaining import Explanation
from ci.core.loglines import quiet

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ci.core.explaining import Contribution, Logged
    from ci.core.tracing import Chain

MOST_OTHERS = 3  # answers of the same id that are told
BAR = 20  # characters of the longest bar


class _Another(TrunklineError):
    """The model by its hash does not give the logged score (exit code 3)."""

    exit_code = 3


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("request_id", metavar="REQUEST_ID", help="the id that the answer carried")
    parser.add_argument("--log", metavar="URL", help="the servers' inference log (default: SERVE_LOG, as they have it)")
    parser.add_argument("--model", metavar="MODEL", help="of which model, where the answers of several have this id")
    parser.add_argument("--since", metavar="TIME", help="open no hour of the log before this one, as 2026-11-27T14")
    parser.add_argument("--row", type=int, default=0, metavar="N", help="which row of the request (default: 0)")
    parser.add_argument("--track", metavar="TRACK", help="whose answer, where several have this id: stable or canary")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the explanation; 3 where the model by its hash gives another score than the one that was logged."""
    root = Path.cwd()
    git.require_repository(root)
    rows = _rows(args.log or os.environ.get("SERVE_LOG", ""), args.request_id, args.model, args.since)
    answer, others = _answer(rows, args.track)
    found = explain(root, _row(answer, args.row), others)
    if args.json:
        print(found.model_dump_json(indent=2))
    else:
        _print(root, found, len(answer))
    return 0


def explain(root: Path, logged: Logged, others: tuple[Logged, ...] = ()) -> Explanation:
    """All that is known of a logged row.

    Raises ConfigurationError where nothing pins its model, EnvironmentFault where its files are nowhere, and a
    failure with exit code 3 where they give another score.
    """
    from ci.commands.explaining import Explained  # noqa: PLC0415 - numpy and polars, once there is something to score

    chain = _chain(root, logged)
    lineage = chain.lineage if chain else None
    pinned = kept.pinned(root, logged.model, logged.model_hash, lineage)
    made = Explained(logged, *kept.fetch(root, pinned, lineage))
    again = made.score()
    if again is not None and not explaining.is_same(again, logged.score):
        raise _Another(
            f"the model {logged.version} gives {again:.6g} for what was logged, but its server answered "
            f"{logged.score:.6g}: the log was changed, or the server ran something else; nothing is explained."
        )
    base, contributions, rest = made.contributions(logged)
    return Explanation(
        logged=logged,
        others=others,
        chain=chain,
        ran=explaining.ran(chain.steps, logged) if chain else (),
        base=base,
        references=made.references,
        contributions=contributions,
        hidden=made.hidden,
        hidden_contribution=rest,
    )


def _rows(url: str, request_id: str, model: str | None, since: str | None) -> tuple[Logged, ...]:
    if not url:
        raise ConfigurationError("which log? Name it with --log, or set SERVE_LOG as the servers have it.")
    start = explaining.since(since) if since else None
    if since and start is None:
        raise ConfigurationError(f"--since is {since[:40]!r}; give a day or an hour, as 2026-11-27 or 2026-11-27T14.")
    if found := inference_log.find(url, request_id, model=model, since=start):
        return found
    hint = f" since {since}" if since else ""
    raise ConfigurationError(
        f"no request {request_id[:80]!r} is in the log at {masked(url)}{hint}: it was refused, was not in the "
        "sample, was dropped, or is not stored yet."
    )


def _answer(rows: Sequence[Logged], track: str | None) -> tuple[tuple[Logged, ...], tuple[Logged, ...]]:
    """The rows of the answer that is meant, and the first row of each other one."""
    answers = explaining.answers(rows)
    meant = next((one for one in answers if track in {None, one[0].track}), None)
    if meant is None:
        there = ", ".join(sorted({one[0].track or "none" for one in answers}))
        raise ConfigurationError(f"--track is {track!r}; what the log has of this request is of: {there}.")
    return meant, tuple(one[0] for one in answers if one is not meant)


def _row(rows: Sequence[Logged], number: int) -> Logged:
    for each in rows:
        if each.row == number:
            return each
    there = [each.row for each in rows]
    raise ConfigurationError(f"--row is {number}; the log has the rows {min(there)} to {max(there)} of this request.")


def _chain(root: Path, logged: Logged) -> Chain | None:
    try:
        return explaining.chosen(trace.chains(root, logged.model_hash), logged)
    except ConfigurationError:  # trained, and never merged
        return None


def _print(root: Path, found: Explanation, rows: int) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where something is printed
    from rich.text import Text  # noqa: PLC0415 - as above

    out = console()
    for line in (*_head(found, rows), *_made_of(root, found)):
        out.print(Text(quiet(line)))
    table = Table("feature", "value")
    for name in ("contribution", "±"):
        table.add_column(name, justify="right")
    table.add_column("")
    most = max((abs(one.contribution) for one in found.contributions), default=0.0) or 1.0
    for one in found.contributions:
        style = "red" if one.contribution < 0 else "green"
        numbers = (f"{one.contribution:+.4g}", f"{one.error:.2g}")
        table.add_row(Text(quiet(one.feature)), Text(quiet(_value(one))), *numbers, Text(_bar(one, most), style=style))
    out.print(table)
    for line in _foot(found):
        out.print(Text(quiet(line)))


def _head(found: Explanation, rows: int) -> list[str]:
    logged = found.logged
    track = f", {logged.track}" if logged.track else ""
    return [
        f"request {logged.request_id}, row {logged.row} of {rows}, {logged.time:%Y-%m-%d %H:%M:%S} UTC{track}",
        f"score {logged.score:.6g} by {logged.model} {logged.version}",
        *(
            f"another answer has this id: {one.score:.6g} by {one.model} {one.version}, {one.time:%H:%M:%S} UTC"
            + (f" (--track {one.track})" if one.model == logged.model and one.track not in {"", logged.track} else "")
            + (f" (--model {one.model})" if one.model != logged.model else "")
            for one in found.others[:MOST_OTHERS]
        ),
    ]


def _made_of(root: Path, found: Explanation) -> list[str]:
    chain, logged = found.chain, found.logged
    if chain is None or chain.lineage is None:
        return [f"missing: commit: no fully trained version up to HEAD has the model {logged.model_hash}"]
    made = chain.lineage
    words = history.described(root, [made.commit]).get(made.commit, "is not in this clone")
    number = f"{chain.model}/{chain.version}, " if chain.version else ""
    lines = [
        f"made of commit {made.commit[:12]} {words}",
        f"{number}lock {made.lock_hash[:12]}, data {made.data_hash}, model {made.model_hash}",
    ]
    lines += [
        f"ran in {step.environment} as {step.arm} with {step.weight} % since {step.when}, by release.yaml in "
        f"{step.commit[:12]}: {step.subject}"
        for step in found.ran
    ]
    return lines if found.ran else [*lines, "missing: release: no release.yaml gave it traffic at that time"]


def _foot(found: Explanation) -> list[str]:
    words = f"{found.base:.6g} is the mean score of {found.references} rows that it was trained on"
    lines = [f"{words}; the contributions are how it comes from there to {found.logged.score:.6g}"]
    if found.hidden:
        lines.append(
            f"{', '.join(found.hidden)}: hashed or dropped in the log, so not known here; together "
            f"{found.hidden_contribution:+.4g}, and the score could not be computed again"
        )
    return lines


def _value(one: Contribution) -> str:
    return f"{one.value:.6g}" if isinstance(one.value, float) else str(one.value)


def _bar(one: Contribution, most: float) -> str:
    return "█" * round(BAR * abs(one.contribution) / most)
