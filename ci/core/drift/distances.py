"""How far a window's distribution is from the reference's, worked out of cells.

Each statistic has the definition, and on exact cells the value, that scipy and Evidently 0.7 give it, so that a number
here may be held beside one there.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift.cells import Common, Floats, binned, ends, middles, moments

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.core.drift.rules import Statistic

FEW_VALUES = 20
"""Numbers of which the reference has no more different ones are compared value by value, as in Evidently."""
FULL = 30
"""Rows expected in a cell from which on its part by chance is as of any full one."""
HUGE = 1e100
"""Numbers whose squares or differences no float64 may hold."""
CONSTANT = 0.001
"""What a distance is divided by where the reference is constant, as in Evidently."""


def distance(statistic: Statistic, common: Common, *, whole: bool = False) -> float:
    """One statistic; 0 where both are alike. `whole` says that numbers are integers.

    Raises ValueError where it is of numbers and the column is of categories.
    """
    if statistic in ("jensen_shannon", "psi"):
        return _OF_SHARES[statistic](*by_value(common, whole=whole).shares)
    return _OF_NUMBERS[statistic](common)


def jensen_shannon(reference: Floats, window: Floats) -> float:
    """The Jensen-Shannon distance of shares (k,): the root of the divergence in nats, 0 to 0.833.

    scipy.spatial.distance.jensenshannon (Lin 1991; Endres and Schindelin 2003 on why the root).
    """
    middle = (reference + window) / 2
    divergence = _relative(reference, middle) / 2 + _relative(window, middle) / 2
    return math.sqrt(max(divergence, 0.0))


def psi(reference: Floats, window: Floats) -> float:
    """The population stability index of shares (k,), 0 without end: sum of (r - w) log(r / w).

    Jeffreys' divergence (1946), in credit scoring since Siddiqi 2006. An empty cell is filled as Evidently does: with
    0.0001, or a millionth of the least share where that is no more than 0.0001.
    """
    r, w = _filled(reference), _filled(window)
    return float(np.sum((r - w) * np.log(r / w)))


def kolmogorov_smirnov(common: Common) -> float:
    """The greatest difference of the shares below any number, 0 to 1; scipy.stats.ks_2samp's statistic."""
    ends(common)
    reference, window = common.shares
    return float(np.abs(np.cumsum(reference - window)).max(initial=0.0))


def wasserstein(common: Common) -> float:
    """The first Wasserstein distance in standard deviations of the reference: the area between both distributions.

    scipy.stats.wasserstein_distance over numpy.std, Evidently's `wasserstein` (Ramdas, Garcia Trillos and Cuturi 2017).
    Evidently divides by 0.001 where that deviation is less; here only where it is 0.
    """
    lower, upper = ends(common)
    greatest = max(float(np.abs(lower).max(initial=0.0)), float(np.abs(upper).max(initial=0.0)))
    if greatest > HUGE:
        return wasserstein(replace(common, lower=lower / greatest, upper=upper / greatest))
    reference, window = common.shares
    after = np.cumsum(reference - window)
    before = np.concatenate([[0.0], after[:-1]])
    between = np.abs(after[:-1]) @ (lower[1:] - upper[:-1]) if len(after) > 1 else 0.0
    within = _area(before, after) @ (upper - lower)
    deviation = moments(common)[1]
    return float(between + within) / (deviation or CONSTANT)


def by_value(common: Common, *, whole: bool = False) -> Common:
    """The cells that shares are taken over: categories and few numbers as they are, other numbers in bins.

    Bins are Evidently's: of equal width over the range of both, as many as Sturges (1926) takes for all rows of both
    (numpy.histogram_bin_edges), no narrower than 1 for integers.
    """
    if common.lower is None or (common.exact and np.count_nonzero(common.reference) <= FEW_VALUES):
        return common
    lower, upper = ends(common)
    low, high = float(lower.min()), float(upper.max())
    rows = float(common.reference.sum() + common.window.sum())
    width = (high - low) / (math.log2(rows) + 1)
    if whole and width < 1:
        width = 1.0
    if not (width > 0 and math.isfinite(width)):
        return common
    return binned(common, np.linspace(low, high, math.ceil((high - low) / width) + 1))


def chance(statistic: Statistic, common: Common, *, whole: bool = False) -> float:
    """What the divergence behind `jensen_shannon` and `psi` comes to on average where nothing drifted.

    Both are sums over cells, of which each side's count is Poisson, so the expectation is a sum as well; for full cells
    it is (k - 1) (1/n + 1/m) for a PSI (Yurdakul 2018), and an eighth of that for a Jensen-Shannon divergence. Of many
    categories in few rows it is large, and a limit has to be beyond it.
    """
    if statistic not in ("jensen_shannon", "psi"):
        return 0.0
    cells = by_value(common, whole=whole)
    both = cells.reference + cells.window
    share = both[both > 0] / max(both.sum(), 1.0)
    rows = [float(counts.sum()) for counts in (cells.reference, cells.window)]
    found = sum(_by_chance(statistic, share, one) for one in rows if one)
    return min(found, math.log(2)) if statistic == "jensen_shannon" else found


def limit(statistic: Statistic, effect: float, common: Common, *, whole: bool = False) -> float:
    """`effect` beyond chance: from which value on a column has drifted."""
    by_chance = chance(statistic, common, whole=whole)
    return math.sqrt(effect**2 + by_chance) if statistic == "jensen_shannon" else effect + by_chance


def default(kind: str, common: Common) -> Statistic:
    """The statistic of a column for which none is declared.

    Categories, booleans and numbers of few values: Jensen-Shannon, value by value. Other numbers: Kolmogorov-Smirnov,
    which asks for no bins, takes no notice of units and is not swayed by a few outliers.
    """
    few = np.count_nonzero(common.reference + common.window) <= FEW_VALUES and common.exact
    return "jensen_shannon" if kind != "number" or few else "kolmogorov_smirnov"


def mean(common: Common) -> tuple[float, float]:
    """The mean of the reference's numbers and of the window's."""
    middle = middles(common)
    return tuple(float(share @ middle) for share in common.shares)  # type: ignore[return-value]


def _by_chance(statistic: Statistic, share: Floats, rows: float) -> float:
    """The expected divergence of `rows` draws with shares (k,) from those shares."""
    expected = share * rows
    full = (1 - share[expected > FULL]).sum() / rows * (1 if statistic == "psi" else 1 / 8)
    r = share[expected <= FULL][:, None]
    if not r.size:
        return float(full)
    k = np.arange(3 * FULL)
    logs = k * np.log(r * rows) - r * rows - np.concatenate([[0.0], np.cumsum(np.log(k[1:]))])
    w = k / rows
    if statistic == "psi":
        w[0] = 0.0001 if rows < 10_000 else 1 / rows / 10**6
        each = (r - w) * np.log(r / w)
    else:
        each = (r * np.log(2 * r / (r + w)) + w * np.log(np.where(w > 0, 2 * w / (r + w), 1))) / 2
    return float(full + (np.exp(logs) * each).sum())


def _relative(p: Floats, q: Floats) -> float:
    """Sum of p log(p / q), in nats; q is 0 only where p is."""
    some = p > 0
    return float(np.sum(p[some] * np.log(p[some] / q[some])))


def _filled(share: Floats) -> Floats:
    some = share[share > 0]
    if not some.size:
        return np.full_like(share, 0.0001)
    least = float(some.min())
    return np.where(share > 0, share, least / 10**6 if least <= 0.0001 else 0.0001)


def _area(left: Floats, right: Floats) -> Floats:
    """The area (k,) under |a line| from `left` to `right` over a width of 1, which may cross 0."""
    a, b = np.abs(left), np.abs(right)
    crossing = left * right < 0
    return np.where(crossing, (a**2 + b**2) / np.where(crossing, 2 * (a + b), 1), (a + b) / 2)


_OF_SHARES: dict[str, Callable[[Floats, Floats], float]] = {"jensen_shannon": jensen_shannon, "psi": psi}
_OF_NUMBERS: dict[str, Callable[[Common], float]] = {
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "wasserstein": wasserstein,
}
