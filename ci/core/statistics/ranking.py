"""Metrics of how scores rank the rows: average precision, ROC AUC, recall at a false-positive rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.statistics.metrics import Metric
    from ci.core.statistics.rows import Floats, Ints


class Ranking:
    """n scored rows, sorted once, so that any number of weightings of them can be measured quickly.

    Rows of one score are one threshold, as in scikit-learn. Recall, and with it each metric here, only moves at
    thresholds that hold a positive row, so only those are looked at.
    """

    def __init__(self, label: Floats, score: Floats) -> None:
        order = np.argsort(-score, kind="stable")
        positive = label[order] == 1
        start = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
        end = np.append(start[1:], len(order))
        threshold = np.cumsum(np.bincount(start, minlength=len(order))) - 1
        used, first = np.unique(threshold[positive], return_index=True)
        self._order = None if np.array_equal(order, np.arange(len(order))) else order
        self._last = end[used] - 1
        self._before = start[used] - 1
        self._positives = order[positive]
        self._first = first
        self._tied = bool((end - start)[used].max(initial=0) > 1)
        self._both = 0 < int(positive.sum()) < len(order)

    def values(self, metrics: Sequence[Metric], weights: Ints) -> Floats:
        """Each metric under each weighting: (b, n) counts of rows to (b, len(metrics)), NaN where one class is empty.

        average_precision: sum over thresholds of (R_k - R_k-1) P_k, without interpolation
            (sklearn.metrics.average_precision_score; Davis and Goadrich 2006 on why not interpolated).
        roc_auc: share of positive-negative pairs in the right order, a tie counting half
            (Mann-Whitney; Hanley and McNeil 1982; sklearn.metrics.roc_auc_score).
        recall_at_fpr: the highest recall of any threshold whose false-positive rate is at most `fpr`, without
            interpolation (a point of sklearn.metrics.roc_curve).
        """
        if not self._both:
            return np.full((len(weights), len(metrics)), np.nan)
        sorted_weights = weights if self._order is None else weights.take(self._order, axis=1)
        seen = sorted_weights.cumsum(axis=1)
        hits = weights.take(self._positives, axis=1)
        if len(self._first) < len(self._positives):
            hits = np.add.reduceat(hits, self._first, axis=1)
        through = seen.take(self._last, axis=1)
        before = self._seen_before(seen, through, hits)
        found = hits.cumsum(axis=1)
        positives = found[:, -1].astype(np.float64)
        negatives = seen[:, -1] - positives
        false_through = through - found
        columns = []
        for metric in metrics:
            if metric.name == "average_precision":
                precision = found / np.maximum(through, 1)
                total = np.einsum("bg,bg->b", hits, precision)
            elif metric.name == "roc_auc":
                false_before = before - (found - hits)
                passed = np.einsum("bg,bg->b", hits, false_through + false_before) / 2
                total = positives - passed / np.maximum(negatives, 1)
            else:
                allowed = np.floor((metric.fpr or 0.0) * negatives + 1e-9)
                within = false_through <= allowed[:, None]
                total = np.einsum("bg,bg->b", hits, within)
            columns.append(np.where((positives > 0) & (negatives > 0), total / np.maximum(positives, 1), np.nan))
        return np.stack(columns, axis=1)

    def _seen_before(self, seen: Ints, through: Ints, hits: Ints) -> Ints:
        """Weight of all rows above each threshold."""
        if not self._tied:
            return through - hits
        before: Ints = seen.take(np.maximum(self._before, 0), axis=1)
        before[:, self._before < 0] = 0
        return before


def precision_recall(label: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Recall and precision at each distinct score, from the highest down (sklearn's precision_recall_curve)."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    found = np.cumsum(label[order])[last]
    return found / max(found[-1], 1), found / (last + 1)
