"""How large a difference is: shares of both arms, and the ratio of their odds. How certain it is, `evidence` says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ci.core.canary.alternatives import BAD
from ci.core.canary.records import Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.canary.hypergeometric import Floats
    from ci.core.canary.records import Evidence

QUANTILES = (0.5, 0.95, 0.99)
SLOWER = 1.05  # ratio of times from which on slower is worth the word
DECILES = tuple(level / 10 for level in range(1, 10))


def measure(
    evidence: Evidence, canary: Floats, standard: Floats, *, lower: bool
) -> tuple[tuple[Share, ...], float | None]:
    """Shares of the canary's counts beside the standard's, (b,) and (b,), and the worst ratio of their odds.

    Of latencies, what is slower than stable's median, p95 and p99, each as far as the canary's own is later by
    `SLOWER`: where all requests take the same time, a trifle moves many of them. Of scores, what is above each of
    stable's deciles, whichever way it moved.
    """
    if not canary.sum() or not standard.sum():
        return (), None
    if evidence.kind not in ("slow", "scores"):
        share = Share(name=evidence.metric, canary=canary[BAD] / canary.sum(), stable=standard[BAD] / standard.sum())
        effect = float(odds(canary[BAD], canary.sum()) / odds(standard[BAD], standard.sum()))
        return (share,), 1 / effect if lower else effect
    slow = evidence.kind == "slow"
    shares, effects = [], []
    cuts = {_quantile(standard, level): level for level in (QUANTILES if slow else DECILES)}
    for cut, level in cuts.items():
        if cut >= len(evidence.edges):
            continue  # in the last bucket, which has no upper edge: nothing is known to be beyond
        beyond, expected = canary[cut + 1 :].sum(), standard[cut + 1 :].sum()
        edge = f"{evidence.edges[cut]:.3g}"
        name = f"{f'slower than {edge} s' if slow else f'scores above {edge}'} (stable's p{level * 100:.0f})"
        shares.append(Share(name=name, canary=beyond / canary.sum(), stable=expected / standard.sum()))
        ratio = float(odds(beyond, canary.sum()) / odds(expected, standard.sum()))
        if slow and quantile(canary, evidence.edges, level) < SLOWER * quantile(standard, evidence.edges, level):
            ratio = min(ratio, 1.0)
        effects.append(ratio if slow else max(ratio, 1 / ratio))
    return tuple(shares), max(effects, default=None)


def quantile(counts: Sequence[float] | Floats, edges: Sequence[float], level: float) -> float:
    """Within its bucket by straight line, as Prometheus' `histogram_quantile` has it; beyond the last edge, infinite.

    Counts per bucket (b,), of which the last has no upper edge: (b - 1,) edges.
    """
    wanted, below = level * sum(counts), 0.0
    for index, count in enumerate(counts[:-1]):
        if count and below + count >= wanted:
            low = edges[index - 1] if index else 0.0
            return float(low + (edges[index] - low) * (wanted - below) / count)
        below += count
    return math.inf


def _quantile(counts: Floats, level: float) -> int:
    """The bucket that holds the quantile."""
    return int(np.searchsorted(np.cumsum(counts), level * counts.sum() - 1e-9))


def odds(part: float, whole: float) -> float:
    """With half a request more on both sides, so that none is infinite (Haldane 1956, Anscombe 1956)."""
    return (part + 0.5) / (whole - part + 0.5)
