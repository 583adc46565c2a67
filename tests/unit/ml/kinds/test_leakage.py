"""A feature that tells the label too well alone is named."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from ml.kinds.leakage import no_leakage, separation
from tests.unit.ml.kinds.tables import signal


def test_honest_features_pass() -> None:
    check = no_leakage(signal(), ["a", "b", "constant"], ["kind"], "label", 0.95)
    assert check.passed
    assert "strongest feature alone: b, AUC 0." in check.detail


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_filled_in_after_the_fact_is_named(sign: int) -> None:
    frame = signal().with_columns((sign * pl.col("label") + 0.1 * pl.col("b").abs().clip(0, 1)).alias("refund"))
    check = no_leakage(frame, ["a", "b", "refund"], ["kind"], "label", 0.95)
    assert not check.passed
    assert check.detail.startswith("too predictive alone: refund (1.0000)")


def test_a_category_filled_in_after_the_fact_is_named() -> None:
    frame = signal().with_columns(pl.when(pl.col("label") == 1).then(pl.lit("closed")).otherwise("kind").alias("state"))
    check = no_leakage(frame, ["a"], ["kind", "state"], "label", 0.95)
    assert not check.passed
    assert "state" in check.detail
    assert "kind" not in check.detail


def test_the_auc_is_scikit_learn_s_with_ties() -> None:
    rng = np.random.default_rng(1)
    labels, values = rng.integers(0, 2, 500), rng.integers(0, 9, 500).astype(np.float64)
    auc = roc_auc_score(labels, values)
    assert separation(values, labels.astype(np.int8)) == pytest.approx(max(auc, 1 - auc), abs=1e-12)
