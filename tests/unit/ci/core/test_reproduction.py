from __future__ import annotations

import pytest

from ci.core.reproduction import compare
from tests.unit.ci.core.test_registered import LINEAGE

BEFORE = {"roc_auc": 0.9, "rmse": 200.0}


def test_the_same_bytes_need_no_metrics() -> None:
    found = compare(LINEAGE, LINEAGE.model_hash, {}, {})
    assert found.how == "bytes"
    assert found.words.startswith("fraud of commit cccccccccccc is reproduced byte for byte")


@pytest.mark.parametrize(
    ("after", "how"),
    [
        ({"roc_auc": 0.9009, "rmse": 200.19}, "metrics"),  # a metric above 1 by its size
        ({"roc_auc": 0.9011, "rmse": 200.0}, "not"),
        ({"roc_auc": 0.9, "rmse": 199.7}, "not"),
        ({"roc_auc": 0.9}, "not"),
        ({"roc_auc": float("nan"), "rmse": 200.0}, "not"),
    ],
)
def test_other_bytes_are_held_to_the_metrics(after: dict[str, float], how: str) -> None:
    found = compare(LINEAGE, "other", BEFORE, after, tolerance=1e-3)
    assert found.how == how
    assert "model other instead of" in found.words
    assert [row.metric for row in found.metrics] == ["rmse", "roc_auc"]


def test_metrics_that_are_near_enough_are_told_with_what_near_is() -> None:
    found = compare(LINEAGE, "other", BEFORE, {"roc_auc": 0.5, "rmse": 250.0}, tolerance=0.9)
    assert "is reproduced in its metrics, each within 0.9, but not in its bytes" in found.words


def test_what_is_beyond_is_named() -> None:
    found = compare(LINEAGE, "other", BEFORE, {"roc_auc": 0.8, "rmse": 200.0})
    assert "beyond 0.001: roc_auc." in found.words


def test_other_bytes_and_no_metrics_are_no_reproduction() -> None:
    found = compare(LINEAGE, "other", {}, {"roc_auc": 0.9})
    assert found.how == "not"
    assert "kept nowhere" in found.words
