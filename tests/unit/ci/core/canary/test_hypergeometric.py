"""The exact e-value of a minute, held to scipy and to every outcome counted out."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from ci.core.canary.hypergeometric import law, log_e

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.core.canary.hypergeometric import Ints


def outcomes(pooled: list[int], n: int) -> Iterator[tuple[Ints, float]]:
    """Every way in which n requests fall into buckets, with its chance if the arms are alike."""
    for counts in itertools.product(*(range(count + 1) for count in pooled)):
        if sum(counts) == n:
            ways = math.prod(math.comb(count, taken) for count, taken in zip(pooled, counts, strict=True))
            yield np.array(counts), ways / math.comb(sum(pooled), n)


@settings(max_examples=40, deadline=None)
@given(
    pooled=st.lists(st.integers(0, 4), min_size=2, max_size=5),
    data=st.data(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_expectation_is_1_if_the_arms_are_alike(pooled: list[int], data: st.DataObject, seed: int) -> None:
    n = data.draw(st.integers(0, sum(pooled)))
    weights = np.random.default_rng(seed).normal(scale=1.5, size=(3, len(pooled)))
    expected = sum(chance * np.exp(log_e(x, np.array(pooled), weights)) for x, chance in outcomes(pooled, n))
    assert expected == pytest.approx(np.ones(3), rel=1e-9)


@pytest.mark.parametrize(
    ("total", "n", "bad"),
    [
        (2, 1, 1),
        (20, 5, 3),
        (3_000, 300, 40),
        (60_000, 6_000, 700),
        (100_000, 1, 500),
        (100_000, 99_999, 500),
        (200_000, 100_000, 100_000),
    ],
)
@pytest.mark.parametrize("odds", [0.5, 1.0, 2.0, 100.0])
def test_two_buckets_are_fishers_noncentral_law_over_the_central_one(total: int, n: int, bad: int, odds: float) -> None:
    first, central = law(n, total, bad)
    x = np.arange(first, first + len(central))
    tilted = x * math.log(odds)
    expected = tilted - np.logaddexp.reduce(tilted + stats.hypergeom(total, bad, n).logpmf(x))
    for index in {0, len(x) // 2, len(x) - 1}:
        counts = np.array([n - x[index], x[index]])
        found = log_e(counts, np.array([total - bad, bad]), np.array([[0.0, math.log(odds)]]))
        assert found[0] == pytest.approx(expected[index], abs=2e-8)


@pytest.mark.parametrize(("total", "n", "bad"), [(2, 1, 1), (50, 20, 45), (6_000, 600, 60)])
def test_the_law_is_scipys(total: int, n: int, bad: int) -> None:
    first, logs = law(n, total, bad)
    x = np.arange(first, first + len(logs))
    assert logs == pytest.approx(stats.hypergeom(total, bad, n).logpmf(x), abs=1e-9)
    assert np.exp(logs).sum() == pytest.approx(1)


def test_many_requests_in_many_buckets_keep_the_expectation() -> None:
    rng = np.random.default_rng(1)
    pooled = rng.multinomial(20_000, rng.dirichlet(np.ones(60)))
    weights = np.array([np.linspace(-0.05, 0.05, 60), np.linspace(0.05, -0.05, 60) ** 3 * 400])
    drawn = rng.multivariate_hypergeometric(pooled, 2_000, size=1_500)
    values = np.exp([log_e(x, pooled, weights) for x in drawn])
    error = values.std(axis=0) / math.sqrt(len(values))
    assert np.all(np.abs(values.mean(axis=0) - 1) < 4 * error)


@pytest.mark.parametrize(
    ("canary", "pooled"),
    [([0, 0], [90, 10]), ([90, 10], [90, 10]), ([10, 0], [100, 0]), ([0, 0], [0, 0])],
)
def test_a_minute_that_tells_nothing_changes_nothing(canary: list[int], pooled: list[int]) -> None:
    assert log_e(np.array(canary), np.array(pooled), np.array([[0.0, 1.0]])).tolist() == [0.0]
