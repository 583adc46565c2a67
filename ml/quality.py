"""How good a model's scores are at point value, in scikit-learn's definitions, and its skill over the base rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn import metrics

from ml.kinds import checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml.kinds.checks import Check

THRESHOLD = 0.5


def measure(
    task: Literal["binary", "regression"], labels: NDArray[np.float64], scores: NDArray[np.float64]
) -> dict[str, float]:
    """The task's metrics of labels and scores, both [n] and finite; a binary label holds both classes."""
    if task == "regression":
        found = {
            "rmse": metrics.root_mean_squared_error(labels, scores),
            "mae": metrics.mean_absolute_error(labels, scores),
        }
    else:
        decided = scores >= THRESHOLD
        found = {
            "average_precision": metrics.average_precision_score(labels, scores),
            "roc_auc": metrics.roc_auc_score(labels, scores),
            "log_loss": metrics.log_loss(labels, scores, labels=[0, 1]),
            "brier": metrics.brier_score_loss(labels, scores),
            "accuracy": metrics.accuracy_score(labels, decided),
            "f1": metrics.f1_score(labels, decided, zero_division=0.0),
        }
    return {name: round(float(value), 9) for name, value in found.items()}


def beats_base_rate(
    task: Literal["binary", "regression"], labels: NDArray[np.float64], scores: NDArray[np.float64], margin: float
) -> Check:
    """Skill over always predicting the base rate.

    Binary: (AP - rate) / (1 - rate), for a constant score's average precision is the rate. Regression: R².
    """
    if task == "regression":
        skill = float(metrics.r2_score(labels, scores))
        return checks.beats_base_rate(skill, margin, f"R² {skill:.4f} over predicting the mean {labels.mean():.4g}")
    rate = float(labels.mean())
    reached = float(metrics.average_precision_score(labels, scores))
    skill = (reached - rate) / (1 - rate)
    words = f"average precision {reached:.4f}, {skill:.1%} of the way from the base rate {rate:.4f} to 1"
    return checks.beats_base_rate(skill, margin, words)
