"""The exact e-value of one minute: counts per bucket, canary against stable, whatever the base rates are.

Given how many requests each arm had and how many fell into each bucket over both, the canary's counts are multivariate
hypergeometric if it is no different: each request is as likely to be either arm's. Weighing bucket b by w_b gives

    e = prod_b w_b^x_b / E0[prod_b w_b^X_b],      E0[...] = [z^n] prod_b (1 + w_b z)^m_b / C(N, n)

with x_b the canary's count, m_b both arms', n and N their sums: the likelihood ratio of Fisher's noncentral
hypergeometric law to the central one (Fisher 1935; Harkness 1965, Ann. Math. Stat. 36; for many buckets, McCullagh and
Nelder 1989, section 7.3). Its expectation is 1 if the arms are alike.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEGLIGIBLE = 45.0  # e^-45 of a sum is below a double's last digit


def log_e(canary: Ints, pooled: Ints, log_weights: Floats) -> Floats:
    """The logarithm of the e-value under each of j alternatives: (b,) and (b,) counts, (j, b) log w -> (j,).

    Zeros where either arm has no requests, or all requests are in one bucket: nothing can be told from such a minute.
    """
    seen = pooled > 0
    x, m, weights = canary[seen], pooled[seen], log_weights[:, seen]
    n, total = int(x.sum()), int(m.sum())
    if len(m) < 2 or not 0 < n < total:
        return np.zeros(len(log_weights))
    return weights @ x - (_log_coefficient(m.astype(float), n, total, weights) - _log_binomial(total, n))


def law(n: int, total: int, bad: int) -> tuple[int, Floats]:
    """The law of how many of `bad` are among `n` out of `total`: the least number, and each number's log chance."""
    least, most = max(0, n - (total - bad)), min(n, bad)
    x = np.arange(least, most, dtype=float)
    ratios = np.log((bad - x) * (n - x) / ((x + 1) * (total - bad - n + x + 1)))
    logs = np.concatenate([[0.0], np.cumsum(ratios)])
    return least, logs - np.logaddexp.reduce(logs)


def _log_coefficient(m: Floats, n: int, total: int, weights: Floats) -> Floats:
    """The logarithm of [z^n] prod_b (1 + w_b z)^m_b, for each row of (j, b) log weights.

    Cauchy's integral on a circle through the saddle point, by the trapezoid rule (an inverse DFT of which only one
    coefficient is wanted). There the integrand is the characteristic function of a sum of independent trials around
    its mean: a few dozen points hold all of it, however many requests there are. What other coefficients add
    (aliasing) is below exp(-M^2 / (2 (v + M / 3))) for M points and variance v, by Bernstein's inequality.
    """
    u = _saddle(m, n, total, weights)
    p = 1 / (1 + np.exp(-(weights + u[:, None])))
    spread = (m * p * (1 - p)).sum(axis=1)
    points = min(int(12 * math.sqrt(spread.max()) + 60), total) // 2 * 2 + 1
    # The modulus at angle a is exp(-v (1 - cos a)) at most.
    least = float(spread.min())
    widest = math.acos(1 - NEGLIGIBLE / least) if least > NEGLIGIBLE / 2 else math.pi
    angles = np.arange(1, min(points // 2, math.ceil(widest * points / (2 * math.pi))) + 1) * (2 * math.pi / points)
    far = 1 - np.cos(angles)
    modulus = 0.5 * np.einsum("b,jbk->jk", m, np.log1p(-2 * (p * (1 - p))[:, :, None] * far))
    phase = np.einsum("b,jbk->jk", m, np.arctan2(p[:, :, None] * np.sin(angles), 1 - p[:, :, None] * far)) - n * angles
    mean = (1 + 2 * (np.exp(modulus) * np.cos(phase)).sum(axis=1)) / points
    top = np.logaddexp(0, weights + u[:, None]) @ m - n * u
    result: Floats = top + np.log(mean)
    return result


def _saddle(m: Floats, n: int, total: int, weights: Floats) -> Floats:
    """The u with sum_b m_b / (1 + exp(-log w_b - u)) near n, by Newton's method kept between bounds: (j,).

    The integral is exact on any circle; near the saddle point none of its digits cancel.
    """
    middle = math.log(n / (total - n))
    low, high = middle - weights.max(axis=1), middle - weights.min(axis=1)
    u: Floats = middle - weights @ m / total
    for _ in range(60):
        p = 1 / (1 + np.exp(-(weights + u[:, None])))
        off = p @ m - n
        if np.all(np.abs(off) < 1e-3):
            break
        low, high = np.where(off < 0, u, low), np.where(off > 0, u, high)
        newton = u - off / ((p * (1 - p)) @ m)
        u = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
    return u


def _log_binomial(total: int, n: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(n + 1) - math.lgamma(total - n + 1)
