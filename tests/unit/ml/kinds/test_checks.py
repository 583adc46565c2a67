"""Each check of smoke training can fail, and says with which number."""

from __future__ import annotations

import numpy as np
import pytest

from ml import quality
from ml.kinds import LossPoint, checks


def test_loss_must_fall_on_both_kinds_of_rows() -> None:
    points = [LossPoint(0, 0.6, 0.6), LossPoint(1, 0.3, 0.599)]
    check = checks.loss_falls(points, 0.05)
    assert not check.passed
    assert check.value == pytest.approx(1 - 0.599 / 0.6, abs=1e-6)
    assert checks.loss_falls([LossPoint(0, 0.6, 0.6), LossPoint(1, 0.3, 0.5)], 0.05).passed
    assert checks.loss_falls([LossPoint(0, 0.6, None), LossPoint(1, 0.3, None)], 0.05).passed


def test_a_training_that_ended_at_once_did_not_learn() -> None:
    assert not checks.loss_falls([LossPoint(0, 0.6, 0.6)], 0.05).passed
    assert not checks.loss_falls([], 0.05).passed


def test_the_step_at_which_two_trainings_part_is_named() -> None:
    one = [LossPoint(0, 0.6, 0.6), LossPoint(1, 0.5, 0.5)]
    assert checks.loss_differences(one, one) == []
    two = [one[0], LossPoint(1, 0.5, 0.51)]
    assert checks.loss_differences(one, two) == ["validation loss parts at step 1: 0.5 and 0.51"]
    assert checks.loss_differences(one, one[:1]) == ["the first training took 1 steps, the second 0"]
    assert not checks.reproducible(["something"]).passed


@pytest.mark.parametrize("wrong", [0.5, float("nan"), float("inf")])
def test_an_export_that_disagrees_is_told_with_its_row(wrong: float) -> None:
    trained = np.array([0.1, 0.2, 0.3])
    check = checks.onnx_agrees(trained, np.array([0.1, wrong, 0.3]), 1e-4)
    assert not check.passed
    assert "row 1: trained 0.2" in check.detail
    assert check.value is None or np.isfinite(check.value)
    assert checks.onnx_agrees(trained, trained + 1e-5, 1e-4).passed
    assert not checks.onnx_agrees(trained, trained[:2], 1e-4).passed


def test_a_constant_score_has_no_skill() -> None:
    labels = np.array([0.0] * 90 + [1.0] * 10)
    assert quality.beats_base_rate("binary", labels, np.full(100, 0.1), 0.05).value == 0
    assert quality.beats_base_rate("binary", labels, labels, 0.05).value == 1
    values = np.arange(100.0)
    assert quality.beats_base_rate("regression", values, np.full(100, values.mean()), 0.05).value == 0
    assert quality.beats_base_rate("regression", values, values, 0.05).passed


def test_metrics_of_each_task() -> None:
    labels, scores = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.2, 0.8, 0.4, 0.4])
    found = quality.measure("binary", labels, scores)
    assert found["accuracy"] == 0.75
    assert found["roc_auc"] == 0.875
    assert set(found) == {"average_precision", "roc_auc", "log_loss", "brier", "accuracy", "f1"}
    assert quality.measure("regression", labels, 1 - labels) == {"rmse": 1.0, "mae": 1.0}
