"""The churn model: gradient boosting by scikit-learn on numbers and one-hot categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.kinds import sklearn_boosting

if TYPE_CHECKING:
    from ml.kinds import Session
    from ml.kinds.checks import Check
    from ml.kinds.fitting import Table
    from ml.params import Checks

Hyperparameters = sklearn_boosting.Settings


def fit(
    table: Table, params: sklearn_boosting.Settings, seed: int, session: Session
) -> sklearn_boosting.FittedPipeline:
    """Train the pipeline."""
    return sklearn_boosting.fit(table, params, seed, session)


def smoke_checks(*_: Table | sklearn_boosting.Settings | int | Checks) -> tuple[Check, ...]:
    """None beyond those of every kind: trees take no gradient steps and see no batches."""
    return ()
