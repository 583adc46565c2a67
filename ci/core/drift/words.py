"""Findings in sentences, and a record in one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ci.core.drift import distances
from ci.core.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.cells import Common
    from ci.core.drift.records import Finding, Kind, Window

NAMES: dict[str, str] = {
    "jensen_shannon": "Jensen-Shannon distance",
    "psi": "PSI",
    "wasserstein": "Wasserstein distance",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov distance",
}
TITLES: dict[Kind, str] = {
    "data": "data drift",
    "prediction": "prediction drift",
    "quality": "lost quality",
    "estimate": "expected loss of quality",
    "concept": "concept drift",
    "schema": "changed columns",
    "missing": "missing values",
    "unseen": "new categories",
    "range": "numbers out of range",
    "volume": "volume",
    "freshness": "stale data",
    "duplicates": "duplicated rows",
    "service": "service",
    "business": "business metrics",
}
MOST_NAMES = 3


def moved(name: str, statistic: str, value: float, limit: float, common: Common) -> str:
    """What became of a distribution."""
    return (
        f"{name} is distributed otherwise: {NAMES[statistic]} {number(value)}, {number(limit)} are tolerated; "
        f"{_change(common)}"
    )


def _change(common: Common) -> str:
    if common.lower is not None:
        before, after = distances.mean(common)
        return f"its mean went from {number(before)} to {number(after)}"
    reference, window = common.shares
    if common.names is None:
        return f"{len(reference):,} groups of categories were compared"
    most = int(abs(reference - window).argmax())
    return f"most of all '{_short(common.names[most])}', {percent(window[most])} instead of {percent(reference[most])}"


def share(name: str, what: str, value: float, reference: float, limit: float) -> str:
    """A share that grew."""
    beside = f"{percent(value)} of rows, {percent(reference)} in the reference"
    return f"{name} {what} in {beside}; {percent(limit)} more are tolerated"


def summary(model: str, outcome: Outcome, findings: Sequence[Finding], window: Window, least: int) -> str:
    """A record in one sentence."""
    alarms = [finding for finding in findings if finding.alarm]
    rows = f"{window.rows:,} row{'' if window.rows == 1 else 's'}"
    more = len(findings) - len(alarms)
    notices = f" ({more} notice{'s' if more > 1 else ''})" if more else ""
    if outcome is Outcome.FAIL:
        kinds = list(dict.fromkeys(TITLES[finding.kind] for finding in alarms))
        subjects = listed([finding.subject for finding in alarms])
        *first, last = kinds
        told = f"{', '.join(first)} and {last}" if first else last
        return f"{model}: {told} in {rows}: {subjects}{notices}."
    if outcome is Outcome.INCONCLUSIVE:
        return f"{model}: {rows} are too few to judge by, {least:,} are needed{notices}."
    return f"{model}: {f'no alarm in {rows}{notices}' if more else f'nothing in {rows} calls for anything'}."


def number(value: float) -> str:
    """A number for a sentence: three digits that matter."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def percent(value: float) -> str:
    """A share with the digits that matter."""
    return f"{value * 100:.3g} %"


def hours(value: float) -> str:
    """A time span."""
    return f"{value:.0f} hours" if value < 72 else f"{value / 24:.0f} days"


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    names = list(dict.fromkeys(names))
    more = len(names) - MOST_NAMES
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
