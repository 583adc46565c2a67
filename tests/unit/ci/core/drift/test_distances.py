"""Statistics from profiles, held to scipy on the raw rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]
from scipy.spatial import distance as scipy_distance  # type: ignore[import-untyped]

from ci.core.drift import distances
from ci.core.drift.cells import moments, of_columns, pooled
from ci.core.drift.distances import distance
from tests.unit.ci.core.drift.samples import column, common

RNG = np.random.default_rng(5)
NUMBERS: dict[str, tuple[Any, Any]] = {
    "normal": (RNG.normal(size=20_000), RNG.normal(0.2, 1.1, size=9_000)),
    "same": (RNG.normal(size=20_000), RNG.normal(size=9_000)),
    "far from 0": (1e6 + RNG.normal(size=20_000), 1e6 + RNG.normal(0.5, 1, size=9_000)),
    "lognormal": (RNG.lognormal(0, 2, size=20_000), RNG.lognormal(0.3, 2, size=9_000)),
    "across 0": (RNG.standard_t(2, size=20_000), 1.2 * RNG.standard_t(2, size=9_000)),
    "many zeros": (
        RNG.normal(size=9_000) * (RNG.random(9_000) < 0.3),
        RNG.normal(size=9_000) * (RNG.random(9_000) < 0.5),
    ),
    "integers": (RNG.poisson(300, size=20_000), RNG.poisson(310, size=9_000)),
    "few values": (RNG.poisson(3, size=2_000), RNG.poisson(3.3, size=900)),
    "two values": (RNG.random(2_000) < 0.5, RNG.random(900) < 0.6),
    "constant": (np.ones(100), np.ones(90)),
    "one row": (RNG.normal(size=100), [0.5]),
}
EXACT = ("few values", "two values", "constant", "one row")


@pytest.mark.parametrize("name", NUMBERS)
def test_kolmogorov_smirnov_is_scipys(name: str) -> None:
    reference, window = NUMBERS[name]
    found = distance("kolmogorov_smirnov", common(reference, window))
    expected = stats.ks_2samp(reference, window).statistic
    assert found <= expected + 1e-12  # a difference at cells' edges is no greater than the greatest of all
    assert found == pytest.approx(expected, abs=1e-12 if name in EXACT else 0.004)


@pytest.mark.parametrize("name", NUMBERS)
def test_wasserstein_is_scipys_in_deviations_of_the_reference(name: str) -> None:
    reference, window = (np.asarray(values, dtype=float) for values in NUMBERS[name])
    expected = stats.wasserstein_distance(reference, window) / (reference.std() or 0.001)
    found = distance("wasserstein", common(reference, window))
    assert found == pytest.approx(expected, rel=1e-9 if name in EXACT else 0.01, abs=1e-9 if name in EXACT else 0.002)


@pytest.mark.parametrize("name", NUMBERS)
def test_mean_and_deviation_are_numpys(name: str) -> None:
    reference, window = NUMBERS[name]
    mean, deviation = moments(common(reference, window))
    scale = max(float(np.std(reference)), 1e-9)
    assert mean == pytest.approx(float(np.mean(reference)), abs=0.003 * scale)
    assert deviation == pytest.approx(float(np.std(reference)), rel=0.005)


@pytest.mark.parametrize(
    ("p", "q"), [([1, 2, 3], [3, 2, 1]), ([1, 0, 5], [0, 4, 5]), ([1, 0], [0, 1]), ([2, 2], [1, 1])]
)
def test_jensen_shannon_is_scipys(p: list[int], q: list[int]) -> None:
    shares = np.array(p) / sum(p), np.array(q) / sum(q)
    assert distances.jensen_shannon(*shares) == pytest.approx(scipy_distance.jensenshannon(*shares), abs=1e-12)


def test_categories_are_compared_by_name_or_by_hash_alike() -> None:
    many = [f"c{index}" for index in RNG.integers(0, 1500, size=30_000)]
    more = [f"c{index}" for index in RNG.integers(0, 3000, size=20_000)]
    by_hash = common(many, more)
    assert not by_hash.exact
    names = sorted({*many, *more})
    counts = [np.unique([*names, *values], return_counts=True)[1] - 1 for values in (many, more)]
    expected = scipy_distance.jensenshannon(*(one / one.sum() for one in counts))
    found = distance("jensen_shannon", by_hash)
    assert found <= expected  # joining cells loses some of the difference, never adds any
    assert found == pytest.approx(expected, rel=0.3)
    assert common(["a", "b"], ["b", "c"]).names == ("a", "b", "c")


def test_what_is_of_numbers_alone_is_refused_for_categories() -> None:
    for statistic in ("kolmogorov_smirnov", "wasserstein"):
        with pytest.raises(ValueError, match="categories"):
            distance(statistic, common(["a"], ["b"]))


def test_nothing_is_far_from_nothing() -> None:
    nothing = of_columns(column(np.array([], dtype=float)), column(np.array([], dtype=float)))
    for statistic in ("kolmogorov_smirnov", "wasserstein", "jensen_shannon", "psi"):
        assert distance(statistic, nothing) == 0


def test_the_largest_and_the_smallest_numbers_have_cells() -> None:
    wide = np.concatenate([1.7e308 * np.linspace(-1, 1, 3000), [5e-324, -5e-324]])
    assert distance("kolmogorov_smirnov", common(wide, wide)) == 0
    assert distance("wasserstein", common(wide, wide / 2)) == pytest.approx(0.433, abs=0.01)
    assert distance("jensen_shannon", common(wide, wide)) == 0


def test_a_limit_is_beyond_chance_where_categories_are_many() -> None:
    names = np.array([f"c{index}" for index in range(800)])
    values = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        both = common(rng.choice(names, size=20_000), rng.choice(names, size=2_000))
        values.append(distance("jensen_shannon", both))
        assert distances.chance("jensen_shannon", both) == pytest.approx(values[-1] ** 2, rel=0.15)
        assert values[-1] > 0.2  # Evidently's limit is 0.1
        assert values[-1] < distances.limit("jensen_shannon", 0.1, both)
    few = common(RNG.choice(["a", "b"], size=20_000), RNG.choice(["a", "b"], size=20_000))
    assert distances.limit("jensen_shannon", 0.1, few) == pytest.approx(0.1, abs=1e-3)


def test_pooled_cells_hold_enough() -> None:
    rng = np.random.default_rng(1)
    for names in (rng.geometric(0.1, size=3000), np.array([f"c{x}" for x in rng.geometric(0.1, size=3000)])):
        cells = pooled(common(names[:2000], names[2000:]), 5)
        both = cells.reference + cells.window
        assert (both / 3).min() >= 5
        assert both.sum() == 3000


def test_a_statistic_is_chosen_by_kind_and_values() -> None:
    assert distances.default("number", common(*NUMBERS["normal"])) == "kolmogorov_smirnov"
    assert distances.default("number", common(*NUMBERS["few values"])) == "jensen_shannon"
    assert distances.default("category", common(["a"], ["b"])) == "jensen_shannon"
