"""Features that tell the label too well alone: the mark of a column filled in after the fact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml.kinds.checks import Check

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml.kinds.fitting import Table

BINS = 50


def no_leakage(table: Table, limit: float) -> Check:
    """Whether no single feature ranks the binary label of the training rows with an AUC above `limit`.

    A number is ranked by its value, in whichever direction is better, and by the label's mean among like values, so
    that a copy of the label is seen whatever its shape; a category by the label's mean within it.
    """
    labels = table.labels().astype(np.int8)
    half = table.fold < 0.5
    strengths = {}
    for name in table.numeric:
        values = table.frame.get_column(name).cast(pl.Float64).to_numpy()
        strengths[name] = max(separation(values, labels), by_means(binned(values), labels, half))
    for name in table.categorical:
        codes = table.frame.get_column(name).rank("dense").to_numpy().astype(np.int64)
        strengths[name] = by_means(codes, labels, half)
    strongest = max(strengths, key=lambda name: strengths[name])
    leaky = [f"{name} ({value:.4f})" for name, value in strengths.items() if value > limit]
    detail = (
        f"too predictive alone: {', '.join(leaky)}; is it known before the label is?"
        if leaky
        else f"strongest feature alone: {strongest}, AUC {strengths[strongest]:.4f}"
    )
    return Check("no_leakage", passed=not leaky, value=round(strengths[strongest], 6), limit=limit, detail=detail)


def binned(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each value, [n]: one for each distinct value where they are few, else between and at 50-quantiles.

    A value at a quantile has a bin of its own, so that one that many rows share is not mixed with its neighbours.
    """
    edges = np.unique(values)
    if edges.size > BINS:
        edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1), method="nearest"))
    bins: NDArray[np.int64] = np.searchsorted(edges, values, "left") + np.searchsorted(edges, values, "right")
    return bins


def by_means(bins: NDArray[np.int64], labels: NDArray[np.int8], half: NDArray[np.bool_]) -> float:
    """AUC of the label's mean in a row's bin; all of shape [n]. 0.5 where it tells nothing.

    Each half of the rows is ranked by the means of the other half: a bin of few rows tells its own labels too well.
    A mean counts one row of the base rate along, so that an empty bin has the base rate.
    """
    found = []
    for one in (half, ~half):
        rate = labels[~one].mean() if (~one).any() else 0.0
        counts = np.bincount(bins[~one], minlength=bins.max() + 1)
        sums = np.bincount(bins[~one], weights=labels[~one], minlength=bins.max() + 1)
        found.append(_auc(((sums + rate) / (counts + 1))[bins[one]], labels[one]))
    return float(np.mean(found))


def separation(values: NDArray[np.float64], labels: NDArray[np.int8]) -> float:
    """AUC of `values` for `labels` (both [n]) or of their negative, whichever is larger: 0.5 to 1."""
    auc = _auc(values, labels)
    return max(auc, 1 - auc)


def _auc(values: NDArray[np.float64], labels: NDArray[np.int8]) -> float:
    """The Mann-Whitney statistic on mid-ranks: AUC = (sum of the positives' ranks - p(p+1)/2) / (p q)."""
    positives = int(labels.sum())
    negatives = labels.size - positives
    if positives == 0 or negatives == 0:
        return 0.5
    ranks = pl.Series(values).rank("average").to_numpy()
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))
