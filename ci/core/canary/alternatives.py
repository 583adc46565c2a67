"""What a difference may look like: weights per bucket that evidence bets on, and how the bet is spread over them.

A bet need not be right to be fair: each alternative's e-value has expectation 1 if the arms are alike, and so has any
mixture of them. It only decides how soon a difference of a given shape is found.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ci.core.canary.hypergeometric import Floats, Ints
    from ci.core.canary.records import Kind

BAD = 1  # of two buckets, the one that counts what is bad

# Odds ratios and their shares of the bet: most on a doubling, some on what is plain after a minute.
ODDS = {"errors": ((1.2, 0.05), (1.5, 0.08), (2.0, 0.66), (3.0, 0.08), (6.0, 0.08), (20.0, 0.05))}
OTHER_ODDS = ((1.2, 0.1), (1.5, 0.15), (2.0, 0.35), (4.0, 0.2), (20.0, 0.2))

# A shift of everything, in standard deviations of normal scores; and a tail alone, by odds of being beyond a quantile.
SHIFTS = ((0.2, 0.2), (0.4, 0.3), (0.8, 0.1))
TAILS = (((0.95, 2.0), 0.1), ((0.95, 4.0), 0.1), ((0.99, 3.0), 0.1), ((0.99, 10.0), 0.1))

# Scores may go either way, and may move apart or together: the coefficients of normal scores z and of z^2.
MOVES = (
    *(((shift, 0.0), share) for shift, share in ((0.15, 0.1), (0.4, 0.15), (1.0, 0.1))),
    *(((-shift, 0.0), share) for shift, share in ((0.15, 0.1), (0.4, 0.15), (1.0, 0.1))),
    ((0.0, 0.15), 0.15),
    ((0.0, -0.5), 0.15),
)


def prior(kind: Kind) -> Floats:
    """The shares of the bet on each alternative, which add up to 1: (j,)."""
    if kind == "slow":
        shares = [share for _, share in (*SHIFTS, *TAILS)]
    elif kind == "scores":
        shares = [share for _, share in MOVES]
    else:
        shares = [share for _, share in ODDS.get(kind, OTHER_ODDS)]
    return np.array(shares) / math.fsum(shares)


def clustered(kind: Kind) -> NDArray[np.bool_]:
    """Which alternatives a cluster of requests looks like, though nothing else changed: (j,).

    Errors are none, since even a burst is to be found at once; nor is it that all requests take longer.
    """
    if kind == "slow":
        return np.array([False] * len(SHIFTS) + [True] * len(TAILS))
    return np.full(len(prior(kind)), kind != "errors")


def log_weights(kind: Kind, pooled: Ints) -> Floats:
    """The logarithm of each bucket's weight under each alternative, given both arms' counts: (b,) -> (j, b).

    It may depend on them, since the e-value is conditional on them: a bucket weighs by its rank among this minute's
    requests, which needs no idea of how fast the model is (normal scores: van der Waerden 1952).
    """
    if kind not in {"slow", "scores"}:
        logs = np.log([odds for odds, _ in ODDS.get(kind, OTHER_ODDS)])
        return np.stack([np.zeros(len(logs)), logs], axis=1)
    total = max(int(pooled.sum()), 1)
    upper = np.cumsum(pooled) / total
    lower = upper - pooled / total
    normal = NormalDist()
    scores = np.array([normal.inv_cdf(u) for u in np.clip((lower + upper) / 2, 1e-9, 1 - 1e-9).tolist()])
    if kind == "scores":
        return np.array([shift * scores + spread * scores**2 for (shift, spread), _ in MOVES])
    share = np.maximum(pooled, 1) / total
    tails = [np.log1p((odds - 1) * np.clip((upper - quantile) / share, 0.0, 1.0)) for (quantile, odds), _ in TAILS]
    return np.array([shift * scores for shift, _ in SHIFTS] + tails)
