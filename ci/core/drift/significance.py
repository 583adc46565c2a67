"""How surely a difference is no chance: p-values of cells and of shares, and their correction for how many were asked.

Rows are taken for independent draws. Where they are not (one customer's rows, one hour's weather), p-values are too
small, which is why no finding rests on one alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift.cells import Common, pooled
from ci.core.drift.distances import by_value, kolmogorov_smirnov

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.rules import Statistic

LEAST_EXPECTED = 5.0
TERMS = 100


def p_value(statistic: Statistic, common: Common, *, whole: bool = False) -> float:
    """The p-value of the test that goes with a statistic; 1 where either side is empty.

    Kolmogorov-Smirnov and Wasserstein compare distribution functions, and Kolmogorov and Smirnov's test says whether
    those differ. Jensen-Shannon and PSI are, to second order, multiples of chi-square over their cells, whose test it
    is (Yurdakul 2018; for counts of one side that are no reference, Agresti 2013, section 3.2).
    """
    if not common.reference.sum() or not common.window.sum():
        return 1.0
    if statistic in ("jensen_shannon", "psi"):
        return chi_square(by_value(common, whole=whole))
    n, m = float(common.reference.sum()), float(common.window.sum())
    return kolmogorov_tail(kolmogorov_smirnov(common) * math.sqrt(n * m / (n + m)))


def kolmogorov_tail(x: float) -> float:
    """The chance that sqrt(nm / (n + m)) times the Kolmogorov-Smirnov statistic is at least x, for many rows.

    scipy.special.kolmogorov (Kolmogorov 1933, Smirnov 1948). With ties, and in cells, it is an upper bound (Noether
    1963): a difference at cells' edges is no greater than the greatest of all.
    """
    if x < 0.2:
        return 1.0  # to 12 digits
    k = np.arange(1, TERMS)
    return float(min(1.0, max(0.0, 2 * np.sum((-1.0) ** (k - 1) * np.exp(-2 * (k * x) ** 2)))))


def chi_square(common: Common) -> float:
    """Pearson's test that both sides are alike, cells with few expected pooled (scipy.stats.chi2_contingency)."""
    cells = pooled(common, LEAST_EXPECTED)
    if len(cells.reference) < 2:
        return 1.0
    both = cells.reference + cells.window
    total = 0.0
    for counts in (cells.reference, cells.window):
        expected = both * counts.sum() / both.sum()
        total += float(((counts - expected) ** 2 / expected).sum())
    return chi_square_tail(total, len(both) - 1)


def chi_square_tail(x: float, freedom: int) -> float:
    """The chance that chi-square with whole degrees of freedom is at least x; scipy.special.chdtrc.

    A finite sum of Poisson terms (Abramowitz and Stegun 1964, 26.4.4 and 26.4.5).
    """
    half = x / 2
    if half <= 0:
        return 1.0
    odd = freedom % 2
    first = math.erfc(math.sqrt(half)) if odd else 0.0
    powers = [k + 0.5 * odd for k in range(freedom // 2)]
    logs = np.array([power * math.log(half) - half - math.lgamma(power + 1) for power in powers])
    return float(min(1.0, first + np.exp(logs).sum()))


def two_shares(count: int, of: int, other: int, of_other: int) -> float:
    """Two-sided p-value that two shares are alike: `count` of `of` against `other` of `of_other`.

    Chi-square with one degree of freedom while at least 5 are expected everywhere; else Fisher's exact test by its
    one tail, doubled (Agresti 2013, section 3.5).
    """
    if not of or not of_other or count + other in (0, of + of_other):
        return 1.0
    pooled_share = (count + other) / (of + of_other)
    least = min(of, of_other) * min(pooled_share, 1 - pooled_share)
    if least >= LEAST_EXPECTED:
        variance = pooled_share * (1 - pooled_share) * (1 / of + 1 / of_other)
        return chi_square_tail((count / of - other / of_other) ** 2 / variance, 1)
    return min(1.0, 2 * _fisher_tail(count, of, other, of_other))


def adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Each p-value as the least share of false discoveries at which it counts as one (Benjamini and Hochberg 1995).

    scipy.stats.false_discovery_control. The share is kept where tests are independent or move together (Benjamini and
    Yekutieli 2001).
    """
    if not p_values:
        return ()
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    found = np.empty(len(p))
    found[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return tuple(float(min(1.0, value)) for value in found)


def _fisher_tail(count: int, of: int, other: int, of_other: int) -> float:
    """The chance of a count as far out, on its side, given how many there are on both sides together."""
    bad, rows = count + other, of + of_other
    low, high = max(0, bad - of_other), min(bad, of)
    above = count * rows >= bad * of
    far = range(count, high + 1) if above else range(low, count + 1)
    whole = _log_choose(rows, bad)
    logs = [_log_choose(of, x) + _log_choose(of_other, bad - x) - whole for x in far]
    return float(min(1.0, np.exp(logs).sum()))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
