"""Metrics that are functions of sums over rows, so that one matrix product measures all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ci.core.statistics.metrics import BINS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.core.statistics.metrics import Metric
    from ci.core.statistics.rows import Floats, Ints, Rows


@dataclass(frozen=True)
class Sums:
    """What to sum, `terms` (n, k), and how the sums (b, k) and the number of rows n make the metric (b,)."""

    terms: Floats
    combine: Callable[[Floats, int], Floats]


def sums(metric: Metric, rows: Rows, score: Floats) -> Sums:
    """The sums behind a metric of `score` (n,) on `rows`."""
    return _BUILDERS[metric.name](metric, rows, score)


def log_loss(_: Metric, rows: Rows, score: Floats) -> Sums:
    """Mean of -log of the probability given to what happened, clipped to the smallest double step from 0 and 1.

    Nats per row; sklearn.metrics.log_loss (Good 1952).
    """
    tiny = np.finfo(np.float64).eps
    sure = np.clip(score, tiny, 1 - tiny)
    return _mean(-np.where(rows.label == 1, np.log(sure), np.log1p(-sure)))


def brier(_: Metric, rows: Rows, score: Floats) -> Sums:
    """Mean squared distance of probability and label; sklearn.metrics.brier_score_loss (Brier 1950)."""
    return _mean((score - rows.label) ** 2)


def accuracy(metric: Metric, rows: Rows, score: Floats) -> Sums:
    """Share of rows whose decision (score >= threshold) is their label; sklearn.metrics.accuracy_score."""
    return _mean(_decided(metric, score) == rows.label)


def f1(metric: Metric, rows: Rows, score: Floats) -> Sums:
    """2 TP / (2 TP + FP + FN), 0 when nothing is positive or decided so; sklearn.metrics.f1_score."""
    decided = _decided(metric, score)
    terms = np.stack([decided * rows.label, decided + rows.label], axis=1)
    return Sums(terms, lambda total, _: 2 * total[:, 0] / np.maximum(total[:, 1], 1))


def rmse(_: Metric, rows: Rows, score: Floats) -> Sums:
    """Root of the mean squared error, in units of the label; sklearn.metrics.root_mean_squared_error."""
    terms = ((score - rows.label) ** 2)[:, None]
    return Sums(terms, lambda total, n: np.sqrt(total[:, 0] / n))


def mae(_: Metric, rows: Rows, score: Floats) -> Sums:
    """Mean absolute error, in units of the label; sklearn.metrics.mean_absolute_error."""
    return _mean(np.abs(score - rows.label))


def expected_calibration_error(_: Metric, rows: Rows, score: Floats) -> Sums:
    """Mean over rows of |mean score - share of positives| of the row's bin; ten bins of equal mass.

    Naeini, Cooper and Hauskrecht 2015, with the equal-mass bins of Nguyen and O'Connor 2015 (those of
    sklearn.calibration.calibration_curve, strategy="quantile"). Bins stay those of the rows as they are when rows
    are resampled; the measure is biased upwards in small samples, and its interval with it.
    """
    bins = calibration_bins(score)
    terms = np.where(bins[:, None] == np.arange(BINS), (score - rows.label)[:, None], 0.0)
    return Sums(terms, lambda total, n: np.abs(total).sum(axis=1) / n)


def demographic_parity_difference(metric: Metric, rows: Rows, score: Floats) -> Sums:
    """Highest minus lowest share of positive decisions over the groups with at least `min_rows` rows.

    As fairlearn.metrics.demographic_parity_difference; Dwork and others 2012.
    """
    return _rate_difference(_decided(metric, score), np.ones(len(rows)), metric, rows)


def equal_opportunity_difference(metric: Metric, rows: Rows, score: Floats) -> Sums:
    """Highest minus lowest recall over the groups with at least `min_rows` rows, one of them positive.

    Hardt, Price and Srebro 2016; fairlearn.metrics.equal_opportunity_difference.
    """
    return _rate_difference(_decided(metric, score) * rows.label, rows.label, metric, rows)


def calibration_bins(score: Floats) -> Ints:
    """The bin 0..9 of each row: edges are deciles of the scores, a score on an edge is in the lower bin."""
    edges = np.percentile(score, np.linspace(0, 100, BINS + 1))
    return np.searchsorted(edges[1:-1], score)


def groups(metric: Metric, rows: Rows) -> list[int]:
    """The codes of the groups that a fairness difference compares."""
    codes = rows.columns[metric.group or ""].codes
    counts = np.bincount(codes)
    needed = counts >= (metric.min_rows or 1)
    if metric.name == "equal_opportunity_difference":
        needed &= np.bincount(codes, weights=rows.label) > 0
    return [int(code) for code in np.flatnonzero(needed)]


def _rate_difference(above: Floats, below: Floats, metric: Metric, rows: Rows) -> Sums:
    """Spread over groups of sum(above) / sum(below); NaN where a resample left a group nothing to divide by."""
    codes, chosen = rows.columns[metric.group or ""].codes, groups(metric, rows)
    member = (codes[:, None] == np.array(chosen, dtype=np.int64)).astype(np.float64)

    def spread(total: Floats, _: int) -> Floats:
        if len(chosen) < 2:
            return np.full(len(total), np.nan)
        top, bottom = total[:, : len(chosen)], total[:, len(chosen) :]
        rates = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
        return np.asarray(rates.max(axis=1) - rates.min(axis=1))

    return Sums(np.concatenate([member * above[:, None], member * below[:, None]], axis=1), spread)


def _decided(metric: Metric, score: Floats) -> Floats:
    return (score >= (metric.threshold or 0.0)).astype(np.float64)


def _mean(term: Floats) -> Sums:
    return Sums(np.asarray(term, dtype=np.float64)[:, None], lambda total, n: total[:, 0] / n)


_BUILDERS: dict[str, Callable[[Metric, Rows, Floats], Sums]] = {
    builder.__name__: builder
    for builder in (
        log_loss,
        brier,
        accuracy,
        f1,
        rmse,
        mae,
        expected_calibration_error,
        demographic_parity_difference,
        equal_opportunity_difference,
    )
}
