"""Metrics that are expected before labels arrive, held to those that came true."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score, average_precision_score, log_loss, roc_auc_score

from ci.core.drift import estimate as estimating
from ci.core.drift.estimate import estimate, isotonic
from ci.core.drift.rules import Rules
from tests.unit.ci.core.drift.samples import profile

DATA = Path(__file__).parents[6] / "shared" / "data"
PUBLISHED = (0.970962, 0.970248, 0.976282, 0.967721, 0.969886, 0.960050, 0.958530, 0.959041)
"""ROC AUC of each 5,000 rows, in NannyML's documentation."""


def score_profile(score: Any, label: Any = None, reference: Any = None) -> Any:
    return profile({"x": np.zeros(len(score))}, score=score, label=label, reference=reference)


def drawn(rows: int, seed: int, low: float = 1.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    score = rng.beta(low, 3, size=rows)
    return score, (rng.random(rows) < score**1.5).astype(float)  # scores that are not calibrated


def test_expected_metrics_are_those_that_come_true_where_data_drifted() -> None:
    reference = score_profile(*drawn(50_000, 1))
    score, label = drawn(20_000, 2, low=3.0)
    rows = {row.metric: row for row in estimate(reference, score_profile(score, reference=reference), Rules())}
    real = {
        "accuracy": accuracy_score(label, score >= 0.5),
        "roc_auc": roc_auc_score(label, score),
        "average_precision": average_precision_score(label, score),
        "log_loss": log_loss(label, score),
    }
    assert set(rows) == set(real)
    for name, row in rows.items():
        assert row.value is not None
        assert row.interval is not None
        assert abs(row.value - (row.reference or 0)) > 0.02  # it moved
        assert row.value == pytest.approx(real[name], abs=0.03)
        assert row.interval.low <= real[name] <= row.interval.high
        assert row.realised is None
    assert rows["accuracy"].worse
    assert not rows["average_precision"].worse  # there are more positives


def test_metrics_of_cells_are_scikit_learns() -> None:
    score, label = drawn(20_000, 3)
    reference = score_profile(score, label)
    rows = {row.metric: row for row in estimate(reference, score_profile(score, label, reference), Rules())}
    assert rows["accuracy"].reference == pytest.approx(accuracy_score(label, score >= 0.5), abs=1e-3)
    assert rows["roc_auc"].reference == pytest.approx(roc_auc_score(label, score), abs=1e-4)
    assert rows["average_precision"].reference == pytest.approx(average_precision_score(label, score), abs=2e-3)
    assert rows["log_loss"].realised == pytest.approx(log_loss(label, score), abs=1e-3)


def test_intervals_hold_what_comes_true_as_often_as_they_say() -> None:
    reference = score_profile(*drawn(5_000, 1))
    held = []
    for seed in range(20):
        score, label = drawn(1_000, 10 + seed)
        rows = {row.metric: row for row in estimate(reference, score_profile(score, reference=reference), Rules())}
        around = rows["roc_auc"].interval
        assert around is not None
        held.append(around.low <= roc_auc_score(label, score) <= around.high)
        assert not rows["roc_auc"].worse
    assert np.mean(held) >= 0.9


def test_calibration_is_isotonic_regression() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(1, 30, size=300).astype(float)
    positive = rng.binomial(rows.astype(int), np.linspace(0.1, 0.6, 300)).astype(float)
    block = isotonic(positive, rows)
    found = (np.bincount(block, positive) / np.bincount(block, rows))[block]
    expected = IsotonicRegression().fit(np.arange(300), positive / rows, rows).predict(np.arange(300))
    assert found == pytest.approx(expected)


def test_nothing_is_expected_of_nothing() -> None:
    reference = score_profile(*drawn(5_000, 1))
    assert estimate(score_profile(drawn(5_000, 1)[0]), reference, Rules()) == ()
    assert estimate(reference, profile({"x": np.zeros(900)}, reference=reference), Rules()) == ()
    assert estimate(reference, score_profile(drawn(400, 2)[0], reference=reference), Rules()) == ()
    one = score_profile(drawn(5_000, 1)[0], np.zeros(5_000))
    assert estimate(one, reference, Rules()) == ()
    assert np.isnan(estimating.roc_auc(np.zeros(2), np.zeros((1, 2)), np.ones((1, 2))))
    assert np.isnan(estimating.average_precision(np.zeros(2), np.zeros((1, 2)), np.ones((1, 2))))


@pytest.mark.skipif(
    not DATA.is_dir() and not os.environ.get("CI"), reason="needs car_loan_*.parquet in ../shared/data, which lacks"
)
def test_on_nannymls_car_loans_the_error_is_small_and_the_drift_is_seen() -> None:
    reference, analysis, target = (
        pl.read_parquet(DATA / f"car_loan_{part}.parquet") for part in ("reference", "analysis", "analysis_target")
    )
    known = score_profile(reference["y_pred_proba"].to_numpy(), reference["repaid"].to_numpy())
    errors: dict[str, list[float]] = {"roc_auc": [], "accuracy": []}
    worse = []
    for index, published in enumerate((*PUBLISHED, None, None)):
        part = slice(5_000 * index, 5_000 * (index + 1))
        score, label = analysis["y_pred_proba"].to_numpy()[part], target["repaid"].to_numpy()[part]
        rows = {row.metric: row for row in estimate(known, score_profile(score, reference=known), Rules())}
        auc = roc_auc_score(label, score)
        if published is not None:
            assert auc == pytest.approx(published, abs=1e-6)
        errors["roc_auc"].append(abs((rows["roc_auc"].value or 0) - auc))
        errors["accuracy"].append(abs((rows["accuracy"].value or 0) - accuracy_score(label, score >= 0.5)))
        worse.append(rows["accuracy"].worse)
    assert np.mean(errors["roc_auc"]) < 0.0025
    assert max(errors["roc_auc"]) < 0.006
    assert np.mean(errors["accuracy"]) < 0.0035
    assert max(errors["accuracy"]) < 0.0075
    assert worse[:5] == [False] * 5  # drift begins with the sixth part; accuracy falls by .03 there
    estimated = [estimate(known, score_profile(analysis["y_pred_proba"].to_numpy()[25_000:], reference=known), Rules())]
    assert next(row for row in estimated[0] if row.metric == "accuracy").worse
