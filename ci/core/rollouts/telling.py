"""What a rollout's decision says of itself: in a commit's message as plain text, in a pull request as a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.core.reporting.markdown import clean
from ci.core.reporting.plots import BLOCKS, mermaid
from ci.core.reporting.show import NOTHING, count, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.canary.records import Evidence, Rollout
    from ci.core.release import Release, Version
    from ci.core.rollouts.ways_back import Back

COLUMNS = ("metric", "counted", "canary", "stable", "e-value", "certain from", "ratio of odds", "tolerated")
# Okabe and Ito's colours but yellow, which a white page swallows; in words for whoever reads the legend.
COLOURS = (
    ("#0072B2", "blue"),
    ("#E69F00", "orange"),
    ("#009E73", "green"),
    ("#D55E00", "vermilion"),
    ("#CC79A7", "pink"),
    ("#56B4E9", "light blue"),
)
CERTAIN = ("#999999", "grey")
FLOOR, CEILING = -4.0, 4.0  # powers of ten between which evidence is drawn: beyond, it is beyond doubt
POINTS = 30
LABEL = "rollback"
"""The label of an issue about a rollback, which it is found by."""
ASKED = "Requested-by"
"""The trailer of a commit that goes back since a person asked for it."""


@dataclass(frozen=True)
class View:
    """What a reader sees of a rollout; every text is plain. `marks` is one line of blocks for each metric."""

    model: str
    environment: str
    words: str
    seen: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    mermaid: str | None
    legend: str
    marks: tuple[tuple[str, str], ...]


def view(rollout: Rollout) -> View:
    """The decision and its evidence."""
    lines = _lines(rollout)
    legend = [*(f"{name} {COLOURS[at % len(COLOURS)][1]}" for at, name in enumerate(lines)), f"certain {CERTAIN[1]}"]
    return View(
        model=rollout.model,
        environment=rollout.environment,
        words=clean(rollout.decision.words),
        seen=seen(rollout),
        columns=COLUMNS,
        rows=tuple(row for one in rollout.evidence for row in _rows(one)),
        mermaid=_chart(rollout, lines) if lines else None,
        legend=", ".join(legend),
        marks=tuple((name, _marks(values)) for name, values in lines.items()),
    )


def seen(rollout: Rollout) -> str:
    """How much there was to see."""
    step, share = rollout.step, f"{rollout.step.weight} %" if rollout.step.weight else "copies alone"
    return (
        f"{count(rollout.requests)} requests to the canary in {(rollout.seen_until - rollout.started) / 60:g} minutes, "
        f"{count(step.requests)} of them in {step.minutes:g} minutes at {share}"
    )


def title(rollout: Rollout, current: Release) -> str:
    """The first line of the commit, and the pull request's title. `current` is what the base has."""
    spec = current.spec
    name = f"{rollout.model} {(spec.canary or spec.stable).version}"
    match rollout.decision.action:
        case "step":
            return f"Give {name} {rollout.decision.weight} % of the traffic in {rollout.environment}"
        case "promote":
            return f"Promote {name} in {rollout.environment}"
        case "rollback":
            return f"Roll {name} back in {rollout.environment}"
        case _:
            return f"Hold {name} in {rollout.environment}"


def message(title: str, rollout: Rollout, runs: Version, reverts: Sequence[str] = ()) -> str:
    """A commit's message with the whole evidence; `runs` is what the decision leaves as the newest version."""
    told = view(rollout)
    return "\n\n".join([title, told.words, *_evidence(told), *_undoing(reverts), _identity(runs)]) + "\n"


def by_hand(back: Back, reason: str, who: str) -> tuple[tuple[str, str], ...]:
    """What there is to say of a rollback that a person asked for."""
    lineage = back.version.lineage
    facts = {"reason": clean(reason), "requested by": clean(who), "image": back.version.image}
    facts |= {"model": lineage.model_hash, "lock": lineage.lock_hash, "reverts": " ".join(back.reverts)}
    return tuple((name, value) for name, value in facts.items() if value)


def going_back(title: str, back: Back, reason: str, who: str, rollout: Rollout | None) -> str:
    """A commit's message for that, with the evidence so far where a canary is taken back."""
    evidence = _evidence(view(rollout)) if rollout is not None else []
    asked = f"{ASKED}: {clean(who)}\n{_identity(back.version)}"
    parts = [title, *([clean(reason)] if reason else []), *evidence, *_undoing(back.reverts), asked]
    return "\n\n".join(parts) + "\n"


def _evidence(told: View) -> list[str]:
    parts = [_table(told), f"Seen: {told.seen}."]
    if told.marks:
        width = max(len(name) for name, _ in told.marks)
        lines = [f"{name:<{width}}  {blocks}" for name, blocks in told.marks]
        parts.append(f"Evidence over time, certain from {_marks([0.0])} on:\n" + "\n".join(lines))
    return parts


def _undoing(reverts: Sequence[str]) -> list[str]:
    """What is undone, in git's own words."""
    return ["\n".join(f"This reverts commit {commit}." for commit in reverts)] if reverts else []


def _identity(runs: Version) -> str:
    """What `git log` alone can answer with, as in a release's message."""
    lineage = runs.lineage
    return f"Image: {runs.image}\nModel: {lineage.model_hash}\nLock: {lineage.lock_hash}"


def marker(rollout: Rollout) -> str:
    """The first line of the issue about this canary; one that is released anew, later, gets another."""
    at = f"{rollout.canary[:12]}:{rollout.started:.0f}"
    return f"<!-- trunkline:rollback:{rollout.model}:{rollout.environment}:{at} -->"


def _rows(one: Evidence) -> list[tuple[str, ...]]:
    """One row for each share of a metric, of scores' many the one farthest apart; the metric's own in the first."""
    counted = f"{count(sum(one.canary))} : {count(sum(one.stable))}"
    effect = NOTHING if one.effect is None else f"{one.effect:.2f}"
    told = (f"{one.e:.3g}", f"{one.needed:.0f}", effect, f"{one.tolerated:g}")
    shares = sorted(one.shares, key=lambda share: -abs(share.canary - share.stable))[:1]
    shares = shares if one.kind == "scores" else list(one.shares)
    if not shares:
        return [(clean(one.metric), counted, NOTHING, NOTHING, *told)]
    rows = [(clean(share.name), counted, percent(share.canary), percent(share.stable), *told) for share in shares]
    return [rows[0], *((name, "", canary, stable, "", "", "", "") for name, _, canary, stable, *_ in rows[1:])]


def _marks(values: Sequence[float]) -> str:
    """Powers of ten as blocks, on the same scale for every metric."""
    return "".join(
        BLOCKS[min(int((value - FLOOR) / (CEILING - FLOOR) * len(BLOCKS)), len(BLOCKS) - 1)] for value in values
    )


def _table(told: View) -> str:
    """Columns of plain text, the numbers to the right."""
    if not told.rows:
        return "Nothing was counted."
    lines = [told.columns, *told.rows]
    first, *widths = (max(len(line[at]) for line in lines) for at in range(len(told.columns)))
    rows = []
    for name, *cells in lines:
        right = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        rows.append("  ".join([name.ljust(first), *right]).rstrip())
    return "\n".join(rows)


def _lines(rollout: Rollout) -> dict[str, list[float]]:
    """Each metric's evidence over time, evenly spaced: powers of ten, 0 where a difference is certain."""
    import numpy as np  # noqa: PLC0415 - only where something is drawn

    points = rollout.points
    if len(points) < 2 or points[-1].at <= points[0].at:
        return {}
    grid = np.linspace(points[0].at, points[-1].at, POINTS)
    names = dict.fromkeys(name for point in points for name in point.log10)
    lines = {}
    for name in names:
        known = [(point.at, point.log10[name]) for point in points if name in point.log10]
        values = np.interp(grid, [at for at, _ in known], [height for _, height in known])
        lines[clean(name)] = [float(value) for value in np.clip(values, FLOOR, CEILING)]
    return lines


def _chart(rollout: Rollout, lines: dict[str, list[float]]) -> str:
    first, last = (rollout.points[at].at for at in (0, -1))
    across = ("minutes of the rollout", (first - rollout.started) / 60, (last - rollout.started) / 60)
    values = [value for line in lines.values() for value in line]
    up = ("evidence, powers of ten", min(*values, -1.0), max(*values, 1.0))
    colours = {name: COLOURS[at % len(COLOURS)][0] for at, name in enumerate(lines)}
    return mermaid(across, up, {**lines, "certain": [0.0] * POINTS}, {**colours, "certain": CERTAIN[0]})
