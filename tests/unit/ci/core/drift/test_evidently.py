"""Statistics from profiles, held to Evidently's own values on the raw rows: within 0.005, or 2 % where larger."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import numpy as np
import pytest

from ci.core.drift.distances import distance
from tests.unit.ci.core.drift.samples import common

if importlib.util.find_spec("evidently") is None and not os.environ.get("CI"):
    pytest.skip("Evidently is not installed: make setup", allow_module_level=True)

RNG = np.random.default_rng(11)
NUMBERS: dict[str, tuple[Any, Any]] = {
    "normal": (RNG.normal(size=20_000), RNG.normal(0.3, 1.2, size=9_000)),
    "same": (RNG.normal(size=20_000), RNG.normal(size=9_000)),
    "lognormal": (RNG.lognormal(0, 1, size=20_000), RNG.lognormal(0.3, 1.1, size=9_000)),
    "far from 0": (1e6 + RNG.normal(size=20_000), 1e6 + RNG.normal(0.5, 1, size=9_000)),
    "many zeros": (
        RNG.normal(size=9_000) * (RNG.random(9_000) < 0.3),
        RNG.normal(size=9_000) * (RNG.random(9_000) < 0.5),
    ),
    "integers": (RNG.poisson(300, size=20_000), RNG.poisson(310, size=9_000)),
    "narrow integers": (RNG.integers(0, 25, size=20_000), RNG.integers(2, 27, size=9_000)),
    "few values": (RNG.poisson(3, size=2_000), RNG.poisson(3.3, size=900)),
    "small": (RNG.normal(size=300), RNG.normal(0.3, size=200)),
}
CATEGORIES: dict[str, tuple[Any, Any]] = {
    "few names": (RNG.choice(list("abcde"), size=9_000), RNG.choice(list("abcdf"), size=4_000)),
    "many names": (np.char.mod("c%d", RNG.geometric(0.01, 20_000)), np.char.mod("c%d", RNG.geometric(0.012, 9_000))),
}
EVIDENTLYS = {"jensen_shannon": "jensenshannon", "psi": "psi", "wasserstein": "wasserstein"}


def theirs(statistic: str, reference: Any, window: Any, numbers: bool) -> float:
    import pandas as pd  # type: ignore[import-untyped, unused-ignore]
    from evidently.legacy.calculations import stattests  # type: ignore[import-not-found, import-untyped, unused-ignore]
    from evidently.legacy.core import ColumnType  # type: ignore[import-not-found, import-untyped, unused-ignore]

    test = getattr(stattests, f"{EVIDENTLYS[statistic]}_stat_test")
    kind = ColumnType.Numerical if numbers else ColumnType.Categorical
    return float(test(pd.Series(reference), pd.Series(window), kind, None).drift_score)


@pytest.mark.parametrize("statistic", ["jensen_shannon", "psi", "wasserstein"])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_have_evidentlys_values(name: str, statistic: Any) -> None:
    reference, window = NUMBERS[name]
    whole = np.asarray(reference).dtype.kind == "i"
    found = distance(statistic, common(reference, window), whole=whole)
    assert found == pytest.approx(theirs(statistic, reference, window, True), abs=0.005, rel=0.02)


@pytest.mark.parametrize("statistic", ["jensen_shannon", "psi"])
@pytest.mark.parametrize("name", CATEGORIES)
def test_categories_have_evidentlys_values(name: str, statistic: Any) -> None:
    reference, window = CATEGORIES[name]
    found = distance(statistic, common(reference, window))
    assert found == pytest.approx(theirs(statistic, reference, window, False), abs=1e-9)
