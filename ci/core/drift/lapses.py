"""How much worse a metric is in a stretch of the reference's held-out rows than on all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift.seasons import LEAST
from ci.core.statistics.measure import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.core.drift.rules import Rules
    from ci.core.statistics.measure import Measured, Resampling
    from ci.core.statistics.metrics import Metric
    from ci.core.statistics.rows import Rows

DRAWS = 50
"""Resamples of each stretch: enough for a variance that is one of many."""


def lapse(metric: Metric, rows: Rows, whole: Measured, time: str | None, rules: Rules, how: Resampling) -> float:
    """What the worst stretch of `rules.days` loses beside `whole`, all `rows`; 0 where fewer than 4 have rows enough.

    Few rows make any stretch look bad or good, and the worst of many the most. So each difference is shrunk by what
    chance makes of all of them, as Efron and Morris (1975) do: times t2 / (t2 + e2), where e2 is the stretch's own
    variance (by resampling), and t2 is by how much the stretches' values vary more than chance lets them.
    """
    if time is None or time not in rows.days:
        return 0.0
    few = replace(how, resamples=min(how.resamples, DRAWS))
    found = [measure(one, None, (metric,), few, "season")[metric] for one in _stretches(rows, rows.days[time], rules)]
    known = [one for one in found if one.why_not is None and np.isfinite(one.value)]
    if len(known) < LEAST:
        return 0.0
    values = np.array([one.value for one in known])
    chance = np.array([np.nanvar(one.samples) for one in known])
    beyond = max(0.0, float(values.var(ddof=1) - chance.mean()))
    worse = (whole.value - values) * (1 if metric.higher_is_better else -1)
    return max(0.0, float((worse * beyond / (beyond + chance)).max())) if beyond else 0.0


def _stretches(rows: Rows, day: np.ndarray[tuple[int], np.dtype[np.int64]], rules: Rules) -> Iterator[Rows]:
    """Whole stretches with rows enough, from the first row's day on."""
    first = int(day.min())
    place = (day - first) // rules.days
    for index in range((int(day.max()) + 1 - first) // rules.days):
        within = np.flatnonzero(place == index)
        if len(within) >= rules.least_rows:
            yield rows.take(within)
