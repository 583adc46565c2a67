"""What the bets on each alternative are worth, half-minute by half-minute: (j + 1,) logarithms, last of money not bet.

All of it starts as 1 and is expected to stay what it is if the arms are alike, whatever was seen before: a martingale,
as long as nothing depends on how this half-minute's requests fell on the arms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ci.core.canary.alternatives import clustered, log_weights, prior
from ci.core.canary.hypergeometric import law, log_e

if TYPE_CHECKING:
    from ci.core.canary.hypergeometric import Floats, Ints
    from ci.core.canary.records import Kind

KEPT = 0.05  # not bet at first, for a canary that turns bad later
PATIENCE = 60.0  # half-minutes after which half of that has been bet
MOST = 0.6  # of the way to certainty that a bet may go in one half-minute, where requests come in clusters


def opening(kind: Kind) -> Floats:
    """What each alternative is bet on with before anything was seen."""
    held: Floats = np.log(np.append(prior(kind) * (1 - KEPT), KEPT))
    return held


def after(
    kind: Kind, held: Floats, canary: Ints, stable: Ints, *, seen: int, alpha: float, decided: bool, lower: bool
) -> Floats:
    """What the bets are worth after one more half-minute, with counts per bucket of both arms, (b,) and (b,).

    Before it, some of the money kept is bet: after `seen` half-minutes 1 / (seen + PATIENCE) of it. A product of many
    minutes alike is next to nothing, and would find no change for hours; new money finds it (a mixture over the time
    of the change: Herbster and Warmuth 1998). `decided`: 1 / alpha was reached before. `lower`: less is worse.

    Requests of one half-minute need not be independent: a short stall of one pod slows many of them, one client's
    mistakes come together. So bets that such a cluster would win are cut, and take several half-minutes; what is cut
    off a bet only makes it worth less.
    """
    made = _made(kind, held, canary, stable, seen=seen, alpha=alpha, decided=decided, lower=lower)
    cut = np.minimum(made, held - MOST * math.log(alpha))
    return np.where(np.append(clustered(kind), False), cut, made)


def _made(
    kind: Kind, held: Floats, canary: Ints, stable: Ints, *, seen: int, alpha: float, decided: bool, lower: bool
) -> Floats:
    share = 1 / (seen + PATIENCE)
    bet = np.logaddexp(held[:-1], held[-1] + math.log(share) + np.log(prior(kind)))
    kept = held[-1] + math.log1p(-share)
    pooled = canary + stable
    weights = log_weights(kind, pooled) * (-1 if lower else 1)
    if len(pooled) > 2:
        return np.append(bet + log_e(canary, pooled, weights), kept)
    n, total = int(canary.sum()), int(pooled.sum())
    if not 0 < n < total or not pooled.all():
        return np.append(bet, kept)
    first, log_chances = law(n, total, int(pooled[1]))
    counts = np.arange(first, first + len(log_chances))
    ratios = weights[:, 1:] * counts
    ratios -= np.logaddexp.reduce(ratios + log_chances, axis=1)[:, None]
    factor = (
        0.0
        if decided
        else _boost(
            np.append(bet[:, None] + ratios, [np.full(len(counts), kept)], axis=0), log_chances, -math.log(alpha)
        )
    )
    return np.append(bet + ratios[:, int(canary[1]) - first], kept) + factor


def _boost(worth: Floats, log_chances: Floats, goal: float) -> float:
    """The logarithm of the greatest factor b with E0[min(b W, 1 / alpha)] = E0[W], for W of each outcome, (j + 1, c).

    What goes beyond 1 / alpha is of no use: the decision is made there. Giving it to the other outcomes keeps the
    expectation and so Ville's bound, and wastes none of alpha (Wang and Ramdas 2022, J. R. Stat. Soc. B 84, boosting;
    Fischer and Ramdas 2024, arXiv 2410.16076, for sequential tests). Newton's method on a concave function, from below.
    """
    outcomes = np.logaddexp.reduce(worth, axis=0)
    now = float(np.logaddexp.reduce(outcomes + log_chances))
    factor = 0.0
    for _ in range(50):
        beyond = factor + outcomes >= goal
        if not beyond.any() or beyond.all():
            break
        within = np.logaddexp.reduce((outcomes + log_chances)[~beyond])
        left = math.exp(now) - math.exp(goal) * float(np.exp(log_chances[beyond]).sum())
        better = math.log(left) - float(within) if left > 0 else factor
        if better <= factor + 1e-12:
            break
        factor = better
    return factor
