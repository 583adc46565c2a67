"""What metrics will be once labels arrive: confidence-based performance estimation, from cells of scores alone.

On the reference, where labels are known, each score has a share of positives; taken for the probability of every row
of the window, it gives the expected metric without a label (CBPE: Bialek, Kuberski, Perrakis and Bifet 2024,
arXiv 2401.08348; NannyML). It holds while labels follow from scores as they did: it sees what drift of the data does to
quality, and is blind to concept drift, which `concept` looks for once labels are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift.cells import Floats, aligned
from ci.core.drift.records import EstimateRow
from ci.core.drift.seasons import Covered
from ci.core.records import Interval
from ci.core.statistics.metrics import KINDS, THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.core.drift.profiles import Profile
    from ci.core.drift.rules import Rules
    from ci.core.drift.seasons import Season

DRAWS = 200
SEED = 5
CONFIDENCE, DEVIATIONS = 0.99, 2.576
"""Of the intervals, which are normal: a window a day is looked at, and four metrics of each."""
TINY = np.finfo(np.float64).eps


def estimate(reference: Profile, window: Profile, rules: Rules) -> tuple[EstimateRow, ...]:
    """Accuracy, ROC AUC, average precision and log loss as they are expected of the window's rows.

    None where the task is not binary, where reference or window have no scores, or fewer labels or rows than
    `rules.least_rows`. `realised` is the metric itself, of the rows whose label is known, where those are enough.
    A row is `worse` when its whole interval is beyond the reference's value by more than `rules.quality.margin`, and by
    more than what is expected to be lost in the worst of the reference's seasons besides.
    """
    if reference.joint is None or window.score is None or reference.labelled < rules.least_rows:
        return ()
    if window.score.cells.total < rules.least_rows or not all(cells.total for cells in reference.joint):
        return ()
    known = window.joint if window.joint and window.labelled >= rules.least_rows else None
    lower, upper, counts = aligned([*reference.joint, window.score.cells, *(known or ())])
    score = np.clip(lower + (upper - lower) / 2, 0.0, 1.0)
    negative, positive, rows = counts[:3]
    block = isotonic(positive, negative + positive)
    labels = _expected(block, positive, negative)
    draws = _drawn(block, positive, negative, rows)
    season = Covered.by(reference, rules).score
    found = []
    for name, measure in METRICS.items():
        own = float(measure(score, positive[None], negative[None])[0])
        value = float(measure(score, (rows * labels)[None], (rows * (1 - labels))[None])[0])
        samples = measure(score, draws, rows - draws)
        realised = float(measure(score, counts[4][None], counts[3][None])[0]) if known else np.nan
        margin = rules.quality.margin + _lapse(name, season, score, labels)
        found.append(_row(name, int(rows.sum()), own, value, samples, realised, margin))
    return tuple(found)


def _lapse(name: str, season: Season, score: Floats, labels: Floats) -> float:
    """What is expected to be lost in the worst stretch, beside the test rows or beside all stretches together.

    The latter, since scores of training rows are surer than others. `labels` (k,) are the chances at each `score` (k,).
    """
    if season.lower is None or season.upper is None or not len(season.stretches):
        return 0.0
    middle = np.clip((season.lower + season.upper) / 2, 0.0, 1.0)
    chance = np.interp(middle, score, labels)
    counts = np.stack([season.whole, season.stretches.sum(axis=0), *season.stretches])
    values = METRICS[name](middle, counts * chance, counts * (1 - chance))
    sign = 1.0 if KINDS[name].higher_is_better else -1.0
    return max(0.0, float(np.nanmax(sign * (values[:2, None] - values[2:]))))


def _row(
    name: str, n: int, reference: float, value: float, samples: Floats, realised: float, margin: float
) -> EstimateRow:
    there = samples[np.isfinite(samples)]
    around = None
    if len(there) > DRAWS / 2 and np.isfinite(value):
        off = DEVIATIONS * float(there.std())
        around = Interval(low=value - off, high=value + off, confidence=CONFIDENCE)
    up = KINDS[name].higher_is_better
    worse = around is not None and bool(around.high < reference - margin if up else around.low > reference + margin)
    return EstimateRow(
        metric=name,
        higher_is_better=up,
        n=n,
        reference=_finite(reference),
        value=_finite(value),
        interval=around,
        realised=_finite(realised),
        margin=margin,
        worse=worse,
    )


def isotonic(positive: Floats, rows: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The block (k,) of each cell, such that shares of positives rise from block to block.

    Pool-adjacent-violators (Ayer and others 1955), as in sklearn.isotonic; cells without rows are of the block below.
    """
    blocks: list[list[float]] = []  # positives, rows, cells
    for own, of in zip(positive, rows, strict=True):
        blocks.append([float(own), float(of), 1.0])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [one + two for one, two in zip(blocks[-1], last, strict=True)]
    return np.repeat(np.arange(len(blocks)), [int(size) for _, _, size in blocks])


def accuracy(score: Floats, positive: Floats, negative: Floats) -> Floats:
    """The share of right decisions, a score from 0.5 on being a positive one; counts (b, k) to (b,)."""
    decided = score >= THRESHOLD
    right = positive[:, decided].sum(axis=1) + negative[:, ~decided].sum(axis=1)
    return np.asarray(right / (positive + negative).sum(axis=1))


def roc_auc(score: Floats, positive: Floats, negative: Floats) -> Floats:
    """The share of positive-negative pairs in order, those of one cell counting half; NaN where a class is empty."""
    _ = score
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    found: Floats = np.divide((positive * below).sum(axis=1), pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return found


def average_precision(score: Floats, positive: Floats, negative: Floats) -> Floats:
    """Precision averaged over recall, without interpolation, each cell being one threshold."""
    _ = score
    hits = np.cumsum(positive[:, ::-1], axis=1)
    seen = hits + np.cumsum(negative[:, ::-1], axis=1)
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    total = positive.sum(axis=1)
    summed = (positive[:, ::-1] * precision).sum(axis=1)
    found: Floats = np.divide(summed, total, out=np.full(len(total), np.nan), where=total > 0)
    return found


def log_loss(score: Floats, positive: Floats, negative: Floats) -> Floats:
    """Mean of -log of the probability given to what happened, nats a row."""
    sure = np.clip(score, TINY, 1 - TINY)
    return np.asarray(-(positive @ np.log(sure) + negative @ np.log1p(-sure)) / (positive + negative).sum(axis=1))


METRICS: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "accuracy": accuracy,
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "log_loss": log_loss,
}


def _expected(block: np.ndarray[tuple[int], np.dtype[np.int64]], positive: Floats, negative: Floats) -> Floats:
    """The calibrated probability (k,) of each cell."""
    hits, misses = np.bincount(block, positive), np.bincount(block, negative)
    return np.asarray((hits / np.maximum(hits + misses, 1))[block])


def _drawn(
    block: np.ndarray[tuple[int], np.dtype[np.int64]], positive: Floats, negative: Floats, rows: Floats
) -> Floats:
    """How many rows of each cell may turn out positive (DRAWS, k).

    Each block's probability is drawn from what the reference says of it (Beta, Jeffreys' prior), the labels from it.
    """
    rng = np.random.default_rng(SEED)
    hits, misses = np.bincount(block, positive), np.bincount(block, negative)
    probability = rng.beta(hits + 0.5, misses + 0.5, size=(DRAWS, len(hits)))
    return rng.binomial(rows.astype(np.int64), probability[:, block]).astype(np.float64)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
