"""Metrics of a set of rows with all that the bootstrap says of them: everything is computed once, and shared."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ci.core.statistics.bootstrap import resample
from ci.core.statistics.cards import CardPrecision
from ci.core.statistics.ranking import Ranking
from ci.core.statistics.sums import Sums, groups, sums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.core.statistics.metrics import Metric
    from ci.core.statistics.rows import Floats, Ints, Rows


@dataclass(frozen=True)
class Measured:
    """A metric on `n` rows: `value` and its resampled (r,) `samples`; `why_not` tells why there is no value.

    With a baseline: its value on the same rows, and the paired samples of candidate minus baseline.
    """

    n: int
    value: float
    samples: Floats
    baseline: float | None = None
    differences: Floats | None = None
    why_not: str | None = None


@dataclass(frozen=True)
class Resampling:
    """How many resamples, and the seed that makes them."""

    resamples: int
    seed: int


@np.errstate(over="ignore", invalid="ignore")  # the gate that looks at the value tells it in words
def measure(
    rows: Rows, baseline: Floats | None, metrics: Sequence[Metric], how: Resampling, name: str
) -> dict[Metric, Measured]:
    """Measure the scores of `rows`, and those of a baseline (n,) on the same rows, pairwise.

    Rows are resampled; for card precision customers are, with all their rows (a cluster bootstrap: Davison and
    Hinkley 1997, section 3.8). `name` is that of the set of rows: it seeds its draws apart from those of other sets.
    """
    scores = [rows.score] if baseline is None else [rows.score, baseline]
    result: dict[Metric, Measured] = {}
    by_row = [metric for metric in metrics if metric.kind.family in ("ranking", "sums")]
    if by_row:
        scorers = [_scorer(by_row, rows, score) for score in scores]
        result |= _bootstrap(by_row, rows, len(rows), scorers, how, name)
    for metric in metrics:
        if metric.kind.family == "cards":
            cards = [CardPrecision(metric, rows, score) for score in scores]
            columns = [lambda weights, one=one: one.values(weights)[:, None] for one in cards]
            result |= _bootstrap([metric], rows, cards[0].cards, columns, how, f"{name} by {metric.card}")
    return result


def _scorer(metrics: Sequence[Metric], rows: Rows, score: Floats) -> Callable[[Ints], Floats]:
    """A function from counts (b, n) to the metrics of one model (b, k)."""
    ranked = [metric for metric in metrics if metric.kind.family == "ranking"]
    summed = [metric for metric in metrics if metric.kind.family == "sums"]
    places = np.argsort([metrics.index(metric) for metric in [*ranked, *summed]])
    ranking = Ranking(rows.label, score) if ranked else None
    parts = [sums(metric, rows, score) for metric in summed]
    terms = np.concatenate([part.terms for part in parts], axis=1) if parts else None

    def values(weights: Ints) -> Floats:
        found = [ranking.values(ranked, weights)] if ranking else []
        if terms is not None:
            found.append(_combined(parts, weights @ terms, weights.shape[1]))
        return np.concatenate(found, axis=1)[:, places]

    return values


def _combined(parts: Sequence[Sums], totals: Floats, n: int) -> Floats:
    ends = np.cumsum([part.terms.shape[1] for part in parts])
    pieces = np.split(totals, ends[:-1], axis=1)
    return np.stack([part.combine(piece, n) for part, piece in zip(parts, pieces, strict=True)], axis=1)


def _bootstrap(
    metrics: Sequence[Metric],
    rows: Rows,
    units: int,
    scorers: Sequence[Callable[[Ints], Floats]],
    how: Resampling,
    name: str,
) -> dict[Metric, Measured]:
    def both(weights: Ints) -> Floats:
        return np.concatenate([scorer(weights) for scorer in scorers], axis=1)

    points = both(np.ones((1, units), dtype=np.int64))[0]
    samples = resample(units, how.resamples, (how.seed, zlib.crc32(name.encode())), both)
    k, paired = len(metrics), len(scorers) == 2
    return {
        metric: Measured(
            n=len(rows),
            value=float(points[i]),
            samples=samples[:, i],
            baseline=float(points[k + i]) if paired else None,
            differences=samples[:, i] - samples[:, k + i] if paired else None,
            why_not=_why_not(metric, rows, float(points[i])),
        )
        for i, metric in enumerate(metrics)
    }


def _why_not(metric: Metric, rows: Rows, value: float) -> str | None:
    """Why a metric does not exist on these rows; None when it does, even if its value overflowed."""
    if np.isfinite(value):
        return None
    if metric.kind.family == "ranking":
        return f"all {len(rows):,} labels are {rows.label[0]:g}, and ranking needs both classes"
    if metric.group:
        big = f"at least {metric.min_rows} rows" + (" and a positive" if metric.name.startswith("equal") else "")
        return f"{len(groups(metric, rows))} of the groups of {metric.group} have {big}, and two are needed"
    return None
