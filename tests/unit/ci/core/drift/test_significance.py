"""p-values, held to scipy and to how often they are small where nothing drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import special, stats  # type: ignore[import-untyped]

from ci.core.drift import significance
from tests.unit.ci.core.drift.samples import common

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("x", [0.1, 0.3, 0.7, 1.0, 1.36, 2.0, 4.0, 40.0])
def test_kolmogorovs_tail_is_scipys(x: float) -> None:
    assert significance.kolmogorov_tail(x) == pytest.approx(special.kolmogorov(x), abs=1e-10)


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 29, 500, 2047])
@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0, 1.5, 30.0])
def test_the_tail_of_chi_square_is_scipys(freedom: int, scale: float) -> None:
    x = scale * freedom
    assert significance.chi_square_tail(x, freedom) == pytest.approx(special.chdtrc(freedom, x), rel=1e-8, abs=1e-290)


def test_chi_square_is_scipys_on_full_cells() -> None:
    rng = np.random.default_rng(3)
    reference, window = rng.choice(list("abcdef"), size=900), rng.choice(list("abcdef"), size=500)
    table = [np.unique(values, return_counts=True)[1] for values in (reference, window)]
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert significance.chi_square(common(reference, window)) == pytest.approx(expected)


@pytest.mark.parametrize(("a", "n", "b", "m"), [(60, 1000, 80, 1000), (500, 1000, 20, 50), (7, 1000, 900, 100_000)])
def test_two_shares_are_scipys(a: int, n: int, b: int, m: int) -> None:
    expected = stats.chi2_contingency([[a, n - a], [b, m - b]], correction=False).pvalue
    assert significance.two_shares(a, n, b, m) == pytest.approx(expected)


@pytest.mark.parametrize(("a", "n", "b", "m"), [(3, 1000, 0, 100_000), (0, 10, 3, 1000), (999, 1000, 1000, 1000)])
def test_few_are_tested_exactly(a: int, n: int, b: int, m: int) -> None:
    side = "greater" if a / n > b / m else "less"
    expected = stats.fisher_exact([[a, n - a], [b, m - b]], alternative=side).pvalue
    assert significance.two_shares(a, n, b, m) == pytest.approx(min(1, 2 * expected))
    assert significance.two_shares(0, 0, 3, 1000) == 1
    assert significance.two_shares(0, 10, 0, 1000) == 1


def test_adjusted_is_scipys() -> None:
    p = list(np.random.default_rng(1).random(30) ** 3)
    assert significance.adjusted(p) == pytest.approx(stats.false_discovery_control(p))
    assert significance.adjusted([]) == ()


@pytest.mark.parametrize("statistic", ["kolmogorov_smirnov", "psi", "jensen_shannon"])
@pytest.mark.parametrize("kind", ["numbers", "rounded", "few", "categories", "rare"])
def test_p_values_are_small_no_more_often_than_they_say(statistic: str, kind: str) -> None:
    if statistic == "kolmogorov_smirnov" and kind in ("categories", "rare"):
        return
    rng = np.random.default_rng(7)
    draws: dict[str, Callable[[int], Any]] = {
        "numbers": lambda size: rng.lognormal(size=size),
        "rounded": lambda size: rng.normal(size=size).round(1),
        "few": lambda size: rng.poisson(1, size=size),
        "categories": lambda size: rng.choice(list("abc"), p=[0.7, 0.25, 0.05], size=size),
        "rare": lambda size: np.char.mod("c%d", rng.geometric(0.01, size=size)),
    }
    draw = draws[kind]
    p = np.array([significance.p_value(statistic, common(draw(2000), draw(500))) for _ in range(300)])  # type: ignore[arg-type]
    for level in (0.05, 0.2):
        assert np.mean(p <= level) <= level + 3 * np.sqrt(level * (1 - level) / len(p))


def test_nothing_is_no_evidence() -> None:
    assert significance.p_value("psi", common([1.0, 2.0], np.array([], dtype=float))) == 1
    assert significance.p_value("kolmogorov_smirnov", common(np.array([], dtype=float), [1.0])) == 1
