"""What a window showed of a model, as a reader sees it: words and numbers chosen, nothing escaped yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING

from ci.core.records import Outcome
from ci.core.reporting.markdown import clean, clip
from ci.core.reporting.plots import BLOCKS, mermaid
from ci.core.reporting.show import NOTHING, count, interval, number, percent, plural, short
from ci.core.reporting.tables import ICONS, Listing, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.records import Bin, ColumnRow, Drift, EstimateRow, Finding, QualityRow

WORDS = {Outcome.PASS: "nothing drifted", Outcome.FAIL: "alarm", Outcome.INCONCLUSIVE: "not enough to judge"}
FINDINGS = ("", "what", "where", "found", "since", "windows in a row")
COLUMNS = ("column", "statistic", "distance", "found from", "p", "importance", "missing", "unseen", "out of range")
QUALITY = ("metric", "reference", "window", "difference", "its interval", "rows", "verdict")
ESTIMATES = ("metric", "reference", "expected", "its interval", "realised", "rows")
MOST, MOST_SHAPES, MOST_LINES = 30, 8, 5
POINTS = 30
# Okabe and Ito's, without those that a white page swallows; in words for whoever reads the legend.
COLOURS = (
    ("#0072B2", "blue"),
    ("#E69F00", "orange"),
    ("#009E73", "green"),
    ("#D55E00", "vermilion"),
    ("#CC79A7", "pink"),
)
LIMIT = ("#999999", "grey")
CEILING = 5.0  # limits up to which a distance is drawn: beyond, it is beyond doubt

Table = Listing[tuple[str, ...]]


@dataclass(frozen=True)
class Shape:
    """A column's distribution as two rows of blocks, bar beside bar, and what the first and last bar are."""

    column: str
    reference: str
    window: str
    first: str
    last: str


@dataclass(frozen=True)
class View:
    """What a reader sees of a window; every text is plain."""

    model: str
    icon: str
    word: str
    summary: str
    facts: tuple[str, ...]
    notes: tuple[str, ...]
    findings: Table
    columns: Table
    quality: Table
    estimates: Table
    shapes: tuple[Shape, ...]
    mermaid: str | None
    legend: str


def view(drift: Drift, earlier: Sequence[Drift] = ()) -> View:
    """A window; `earlier` are windows before it, the newest last, which a plot over time is drawn from."""
    drifted = sorted((row for row in drift.columns if row.drifted), key=_weight, reverse=True)
    lines = _lines([*(one for one in earlier if _is_alike(one, drift)), drift], drifted[:MOST_LINES])
    named = [f"{clean(name)} {COLOURS[at][1]}" for at, name in enumerate(lines)]
    return View(
        model=drift.model,
        icon=ICONS[drift.outcome],
        word=WORDS[drift.outcome],
        summary=clean(drift.summary),
        facts=_facts(drift),
        notes=tuple(clip(note, 800) for note in drift.notes[:MOST]),
        findings=listing((_finding(one) for one in sorted(drift.findings, key=lambda one: not one.alarm)), MOST),
        columns=listing((_column(row) for row in [*drifted, *(row for row in drift.columns if not row.drifted)]), MOST),
        quality=listing(map(_quality, drift.quality), MOST),
        estimates=listing(map(_estimate, drift.estimate), MOST),
        shapes=tuple(_shape(row) for row in drifted[:MOST_SHAPES] if len(row.bins) > 1),
        mermaid=_chart(lines) if lines else None,
        legend=", ".join([*named, f"found from here on {LIMIT[1]}"]),
    )


def when(moment: str) -> str:
    """`2026-11-27`, or with the time where it is not midnight; in UTC."""
    at = datetime.fromisoformat(moment).astimezone(UTC)
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute) == (0, 0) else f"{at:%Y-%m-%d %H:%M}"


def _facts(drift: Drift) -> tuple[str, ...]:
    window, reference = drift.window, drift.reference
    made = f" at commit {reference.commit[:12]}" if reference.commit else ""
    return (
        f"{when(window.start)} to {when(window.end)} UTC",
        f"{plural(window.rows, 'row')}, {count(window.labelled)} with a label",
        f"held to the {count(reference.rows)} rows that model {short(reference.model_hash)} was trained on{made}",
    )


def _finding(one: Finding) -> tuple[str, ...]:
    sign = "❌" if one.alarm else "👀"
    return sign, one.kind, clip(one.subject, 80), clip(one.words, 300), when(one.since), count(one.windows)


def _column(row: ColumnRow) -> tuple[str, ...]:
    p = NOTHING if row.p_value is None else f"{row.p_value:.2g}"
    shares = (percent(round(share, 4)) for share in (row.missing, row.unseen, row.out_of_range))
    statistic = (row.statistic or NOTHING).replace("_", " ")
    importance = NOTHING if row.importance is None else percent(round(row.importance, 3))
    name = f"{clip(row.column, 80)} (drifted)" if row.drifted else clip(row.column, 80)
    return name, statistic, number(row.value), number(row.limit), p, importance, *shares


def _quality(row: QualityRow) -> tuple[str, ...]:
    name = f"{row.metric}, {row.slice}" if row.slice else row.metric
    apart = None if row.difference is None else round(row.difference, 12)  # what is left of a sum is no difference
    numbers = (number(row.reference), number(row.value), number(apart, sign=True))
    return (
        clip(name, 80),
        *numbers,
        interval(row.interval, sign=True),
        count(row.n),
        f"{ICONS[row.verdict]} {row.verdict if row.value is not None else clip(row.reason, 160)}",
    )


def _estimate(row: EstimateRow) -> tuple[str, ...]:
    name = f"{row.metric} (worse)" if row.worse else row.metric
    numbers = (number(row.reference), number(row.value))
    return clip(name, 80), *numbers, interval(row.interval), number(row.realised), count(row.n)


def _shape(row: ColumnRow) -> Shape:
    highest = max(max(one.reference, one.window) for one in row.bins)
    reference, window = (_blocks(row.bins, side, highest) for side in ("reference", "window"))
    return Shape(row.column, reference, window, clip(row.bins[0].name, 40), clip(row.bins[-1].name, 40))


def _blocks(bins: Sequence[Bin], side: str, highest: float) -> str:
    """Shares as blocks on a scale that starts at 0; nothing is a blank."""
    step = (highest or 1.0) / len(BLOCKS)
    heights = [min(ceil(getattr(one, side) / step), len(BLOCKS)) for one in bins]
    return "".join(f"\N{NO-BREAK SPACE}{BLOCKS}"[height] for height in heights)


def _weight(row: ColumnRow) -> float:
    """How much a drifted column matters: its distance in limits, by how much the model looks at it."""
    return (row.value or 0.0) / (row.limit or 1.0) * (1.0 if row.importance is None else row.importance)


def _is_alike(one: Drift, other: Drift) -> bool:
    return one.reference.model_hash == other.reference.model_hash


def _lines(windows: Sequence[Drift], rows: Sequence[ColumnRow]) -> dict[str, list[tuple[float, float]]]:
    """The distance of columns over windows, in limits: points of days before the last window's end and value."""
    if len(windows) < 2:
        return {}
    last = datetime.fromisoformat(windows[-1].window.end)
    found: dict[str, list[tuple[float, float]]] = {row.column: [] for row in rows}
    for one in windows:
        days = (datetime.fromisoformat(one.window.end) - last).total_seconds() / 86_400
        for row in one.columns:
            if row.column in found and row.value is not None and row.limit:
                found[row.column].append((days, min(row.value / row.limit, CEILING)))
    return {name: points for name, points in found.items() if len({days for days, _ in points}) > 1}


def _chart(lines: dict[str, list[tuple[float, float]]]) -> str:
    import numpy as np  # noqa: PLC0415 - only where something is drawn

    first = min(days for points in lines.values() for days, _ in points)
    grid = np.linspace(first, 0.0, POINTS)
    drawn: dict[str, list[float]] = {}
    for name, points in lines.items():
        days, heights = zip(*sorted(points), strict=True)
        drawn[clean(name)] = np.interp(grid, np.array(days), np.array(heights)).tolist()
    top = max(*(max(values) for values in drawn.values()), 1.5)
    colours = {name: COLOURS[at][0] for at, name in enumerate(drawn)}
    return mermaid(
        ("days before the end of this window", first, 0.0),
        ("distance, in limits", 0.0, top),
        {**drawn, "limit": [1.0] * POINTS},
        {**colours, "limit": LIMIT[0]},
    )
