"""Labels that are numbers, beside their scores."""

from __future__ import annotations

import numpy as np
import pytest

from ci.core.drift.residuals import Residuals, residuals
from ci.core.drift.rules import Rules
from ci.core.statistics.rows import Floats, Rows
from tests.unit.ci.core import cases

RULES = Rules()


def sample(rows: int, seed: int, *, low: float = 0.0, off: float = 0.0) -> Rows:
    """Scores from `low` to 10, and labels around them; above 5 they are `off` more."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(low, 10, size=rows)
    label: Floats = score + rng.normal(size=rows) + off * (score > 5)
    return cases.rows(label, score)


def found(window: Rows, reference: Rows) -> Residuals:
    shift = residuals(window, reference, RULES)
    assert shift is not None
    return shift


def test_labels_that_follow_as_they_did_are_as_rarely_certain_as_is_said() -> None:
    reference = sample(20_000, 0)
    seen = [found(sample(500, seed), reference) for seed in range(1, 201)]
    assert sum(one.p_value <= 0.05 for one in seen) in range(4, 19)
    assert max(one.value for one in seen) < RULES.limits.effect


def test_how_far_they_moved_is_told_in_deviations_of_the_label() -> None:
    reference = sample(20_000, 0)
    shift = found(sample(5_000, 1, off=1.0), reference)
    assert shift.p_value < 1e-9
    assert shift.value == pytest.approx(np.sqrt(0.5) / reference.label.std(), rel=0.05)
    assert shift.before == pytest.approx(0, abs=0.1)
    assert shift.after == pytest.approx(1, abs=0.1)


def test_scores_that_moved_alone_are_no_other_concept() -> None:
    shift = found(sample(5_000, 1, low=4.0), sample(20_000, 0))
    assert shift.p_value > 0.01
    assert shift.value < 0.02


def test_residuals_that_are_the_same_throughout_a_group_keep_no_other_group_unjudged() -> None:
    reference, window = sample(20_000, 0), sample(5_000, 1, off=1.0)
    for rows in (reference, window):
        low = rows.score < 3
        rows.label[low] = rows.score[low] + 0.1
    shift = found(window, reference)
    assert shift.p_value < 1e-9
    assert shift.value == pytest.approx(np.sqrt(0.5) / reference.label.std(), rel=0.05)
    score = np.arange(600.0) / 7
    same = cases.rows(score + 0.1, score)
    assert found(same, same).p_value == 1
    moved = found(cases.rows(score + 5.1, score), same)
    assert moved.p_value == 0
    assert moved.after == pytest.approx(5.1)


def test_too_few_rows_and_labels_that_do_not_vary_are_not_judged() -> None:
    assert residuals(sample(499, 1), sample(500, 2), RULES) is None
    assert residuals(sample(500, 1), sample(499, 2), RULES) is None
    alike = cases.rows(np.full(600, 3.0), np.arange(600.0))
    assert residuals(alike, alike, RULES) is None
    assert residuals(cases.rows(np.full(600, np.nan), np.arange(600.0)), sample(600, 1), RULES) is None
