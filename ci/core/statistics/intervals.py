"""What resamples say: percentile intervals, p-values that agree with them, and Holm's correction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ci.core.records import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.statistics.rows import Floats


def interval(samples: Floats, confidence: float) -> Interval | None:
    """The percentile interval of (r,) samples, from its order statistics (Davison and Hinkley 1997, section 5.2.1).

    A sample that is NaN (the metric does not exist on that resample) counts as one beyond either end; None when so
    many are that an end is among them. With too few samples for `confidence`, the interval of all of them is given,
    and the confidence it has.
    """
    tail = max(1, _whole((len(samples) + 1) * (1 - confidence) / 2))
    reached = min(confidence, 1 - 2 / (len(samples) + 1))
    low = np.sort(np.where(np.isnan(samples), -np.inf, samples))[tail - 1]
    high = np.sort(np.where(np.isnan(samples), np.inf, samples))[-tail]
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    return Interval(low=float(low), high=float(high), confidence=round(reached, 6))


def p_value(samples: Floats, limit: float) -> float:
    """Two-sided: the least 1 - confidence at which `interval` lies wholly at or above `limit`, or wholly below it.

    2 min(1 + below, 1 + not below) / (r + 1); a NaN sample counts against both sides.
    """
    below = np.count_nonzero(~(samples >= limit))
    above = np.count_nonzero(~(samples < limit))
    return float(min(1.0, 2 * (1 + min(below, above)) / (len(samples) + 1)))


def holm(p_values: Sequence[float], alpha: float) -> tuple[float, ...]:
    """The level each of a family is tested at, in the order given (Holm 1979): compare each p-value with its own.

    Sorted upwards, the i-th of k has alpha / (k - i + 1); after the first that exceeds its level, all are tested at
    that one's level, which they exceed too. The chance of any false rejection in the family is at most alpha.
    """
    levels = [alpha] * len(p_values)
    level = None
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        step = alpha / (len(p_values) - rank)
        if level is None and p_values[index] > step + 1e-12:
            level = step
        levels[index] = level or step
    return tuple(levels)


def _whole(x: float) -> int:
    """Floor, forgiving the last digits of a double: 2001 x 0.05 / 2 and the like."""
    return int(np.floor(x + 1e-9))
