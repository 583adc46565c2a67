"""Features that tell the label too well alone: the mark of a column filled in after the fact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml.kinds.checks import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def no_leakage(
    frame: pl.DataFrame, numeric: Sequence[str], categorical: Sequence[str], label: str, limit: float
) -> Check:
    """Whether no single feature ranks the binary label of the training rows with an AUC above `limit`.

    The AUC is taken in whichever direction is larger. A category is ranked by the label's mean within it.
    """
    labels = frame.get_column(label).to_numpy()
    strengths = {name: separation(frame.get_column(name).cast(pl.Float64).to_numpy(), labels) for name in numeric}
    for name in categorical:
        means = frame.select(pl.col(label).cast(pl.Float64).mean().over(name)).to_series().to_numpy()
        strengths[name] = separation(means, labels)
    strongest = max(strengths, key=lambda name: strengths[name])
    leaky = [f"{name} ({value:.4f})" for name, value in strengths.items() if value > limit]
    detail = (
        f"too predictive alone: {', '.join(leaky)}; is it known before the label is?"
        if leaky
        else f"strongest feature alone: {strongest}, AUC {strengths[strongest]:.4f}"
    )
    return Check("no_leakage", passed=not leaky, value=round(strengths[strongest], 6), limit=limit, detail=detail)


def separation(values: NDArray[np.float64], labels: NDArray[np.int8]) -> float:
    """AUC of `values` for `labels` (both [n]) or of their negative, whichever is larger: 0.5 to 1.

    The Mann-Whitney statistic on mid-ranks: AUC = (sum of the positives' ranks - p(p+1)/2) / (p q).
    """
    positives = int(labels.sum())
    negatives = labels.size - positives
    if positives == 0 or negatives == 0:
        return 0.5
    ranks = pl.Series(values).rank("average").to_numpy()
    auc = (ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(auc, 1 - auc))
