"""How many rows come, how old they are, how many of them were there before."""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift import words
from ci.core.drift.findings import Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.profiles import Profile, Sample
    from ci.core.drift.records import Drift, Window
    from ci.core.drift.rules import Limits
    from ci.core.drift.seasons import Covered

DAY = 86_400.0
LEAST_SAMPLE = 100
LAST = 60
"""Earlier windows that say what is usual."""


def volume(
    reference: Profile, window: Window, earlier: Sequence[Drift], limits: Limits, covered: Covered
) -> list[Found]:
    """Far fewer or far more rows a day than usual, and than the reference has in any of its seasons.

    Usual is the median of earlier windows that were in no alarm for it; of the first one, the reference.
    """
    found = per_day(window)
    past = [one for one in earlier if one.window.end < window.end and not _alarmed(one)]
    rates = [rate for one in past[-LAST:] if (rate := per_day(one.window))]
    usual = median(rates) if rates else _of_reference(reference)
    if found is None or not usual:
        return []
    fewest, highest = covered.volume
    least, most = usual * min(1 - limits.volume, fewest), usual * max(1 / (1 - limits.volume), highest)
    if least <= found <= most:
        return []
    than = "than usual" if rates else "than in the reference"
    side = "fewer" if found < least else "more"
    text = (
        f"{words.number(found)} rows a day, {side} {than}, {words.number(usual)}; from {words.number(least)} to "
        f"{words.number(most)} are tolerated"
    )
    return [Found("volume", "rows", text, value=found, limit=least if found < least else most)]


def freshness(window: Profile, limits: Limits, now: datetime) -> list[Found]:
    """Rows that are old, or from the future: an alarm at once, since what is judged is not what happens."""
    if window.time is None:
        return []
    found = []
    if window.time.last is not None:
        age = (now - moment(window.time.last)).total_seconds() / 3600
        if age > limits.stale_hours:
            text = f"the newest row is {words.hours(age)} old, {words.hours(limits.stale_hours)} are tolerated"
            found.append(Found("freshness", "newest row", text, value=age, limit=limits.stale_hours, at_once=True))
    if window.time.future:
        text = (
            f"{window.time.future:,} of {window.rows:,} rows are from the future, the last of {window.time.last}; "
            "see to the clock and the time zone of what writes them"
        )
        found.append(Found("freshness", "future", text, value=float(window.time.future), limit=0.0, at_once=True))
    return found


def duplicates(reference: Profile, window: Profile, limits: Limits) -> list[Found]:
    """More rows that were there before than as many rows of the reference have."""
    sample = window.duplicates
    if sum(sample.counts) < LEAST_SAMPLE or not window.rows:
        return []
    share = repeated(sample, 1.0)
    usual = repeated(reference.duplicates, min(1.0, window.rows / max(reference.rows, 1)))
    if share - usual < limits.duplicates:
        return []
    text = (
        f"{words.percent(share)} of rows are there more than once, {words.percent(usual)} in the reference; "
        f"{words.percent(limits.duplicates)} more are tolerated"
    )
    return [Found("duplicates", "rows", text, value=share, limit=usual + limits.duplicates)]


def repeated(sample: Sample, part: float) -> float:
    """The share of rows that were there before, in a random `part` of the rows (rarefaction: Hurlbert 1971)."""
    counts = np.array(sample.counts, dtype=np.float64)
    rows = part * counts.sum()
    return max(0.0, float(1 - (1 - (1 - part) ** counts).sum() / rows)) if rows else 0.0  # what is left of a sum


def per_day(window: Window) -> float | None:
    """Rows a day, None of a window without length."""
    seconds = (moment(window.end) - moment(window.start)).total_seconds()
    return window.rows * DAY / seconds if seconds > 0 else None


def moment(text: str) -> datetime:
    """A time from a record; one without a zone is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _of_reference(reference: Profile) -> float | None:
    time = reference.time
    if time is None or time.first is None or time.last is None:
        return None
    seconds = (moment(time.last) - moment(time.first)).total_seconds()
    return reference.rows * DAY / seconds if seconds >= DAY else None


def _alarmed(drift: Drift) -> bool:
    return any(one.kind == "volume" for one in drift.alarms)
