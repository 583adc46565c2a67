"""Shapley values against what can be worked out: linear models, all orders of few features, and their axioms."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ci.core.statistics.shapley import Contributions, contributions, plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.core.statistics.rows import Floats

RNG = np.random.default_rng(7)
ROW = RNG.normal(size=4)
REFERENCES = RNG.normal(size=(60, 4))
WEIGHTS = np.array([1.0, -2.0, 0.5, 0.0])


def explained(model: Callable[[Floats], Floats], pairs: int = 8) -> Contributions:
    made = plan(len(REFERENCES), 4, pairs, seed=1)
    return contributions(made, model(np.where(made.replaced, ROW, REFERENCES[made.reference])))


def exact(model: Callable[[Floats], Floats]) -> Floats:
    """The mean over every order and every reference row."""
    found = np.zeros(4)
    for order in permutations(range(4)):
        rows = REFERENCES.copy()
        for feature in order:
            before = model(rows)
            rows[:, feature] = ROW[feature]
            found[feature] += (model(rows) - before).mean()
    return found / 24


def linear(rows: Floats) -> Floats:
    score: Floats = rows @ WEIGHTS
    return score


def curved(rows: Floats) -> Floats:
    """Features that act together, the last not at all."""
    score: Floats = 1 / (1 + np.exp(-(rows @ WEIGHTS + 3 * rows[:, 0] * rows[:, 1])))
    return score


def test_a_linear_models_are_its_weights_times_the_distance() -> None:
    found = explained(linear, pairs=1)
    assert found.values == pytest.approx(WEIGHTS * (ROW - REFERENCES.mean(axis=0)), abs=1e-12)


def test_they_add_up_to_the_score_less_the_base() -> None:
    found = explained(curved)
    assert found.base == pytest.approx(curved(REFERENCES).mean(), rel=1e-12)
    assert found.values.sum() == pytest.approx(curved(ROW[None])[0] - found.base, rel=1e-9)


def test_sampled_orders_come_near_all_orders() -> None:
    found, wanted = explained(curved), exact(curved)
    assert found.values[3] == found.errors[3] == 0.0  # what does nothing gets nothing
    assert np.abs(found.values - wanted).max() < 0.02
    assert (np.abs(found.values - wanted)[:3] < 3 * found.errors[:3]).all()


def test_a_reverse_order_takes_noise_away() -> None:
    wanted = exact(curved)
    misses = {
        pairs: np.mean([np.abs(_of_seed(seed, pairs).values - wanted).sum() for seed in range(30)]) for pairs in (1, 4)
    }
    assert misses[4] < misses[1]


def test_errors_are_those_of_the_reference_rows() -> None:
    found = explained(linear)
    assert found.errors == pytest.approx(np.abs(WEIGHTS) * REFERENCES.std(axis=0, ddof=1) / 60**0.5)


def test_two_features_in_the_same_role_get_the_same() -> None:
    together = plan(1, 2, 1, seed=0)
    rows = np.where(together.replaced, 1.0, 0.0)
    assert contributions(together, rows[:, 0] * rows[:, 1]).values.tolist() == [0.5, 0.5]


def _of_seed(seed: int, pairs: int) -> Contributions:
    made = plan(len(REFERENCES), 4, pairs, seed)
    return contributions(made, curved(np.where(made.replaced, ROW, REFERENCES[made.reference])))
