"""Evidently's page, drawn from two profiles."""

from __future__ import annotations

import math
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ci.adapters import evidently
from ci.core.drift import cells
from ci.core.drift.profiles import Cells, Column, Profile, Sample
from ci.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from pathlib import Path


def numbers(values: list[float], **more: Any) -> Column:
    keys, counts = np.unique(np.array(values, np.float64).view(np.int64), return_counts=True)
    found = [int(keys[0]), *np.diff(keys).tolist()]
    held = Cells(shift=0, keys=tuple(found), counts=tuple(counts.tolist()))
    return Column(kind="number", dtype="Float64", min=min(values), max=max(values), cells=held, **more)


def texts(**counts: int) -> Column:
    held = Cells(shift=0, keys=(), counts=tuple(counts.values()), names=tuple(counts))
    return Column(kind="category", dtype="String", cells=held)


def profile(**columns: Column) -> Profile:
    rows = max((column.rows for column in columns.values()), default=0)
    empty = Sample(shift=0, keys=(), counts=())
    return Profile(model="churn", made_of="window", rows=rows, duplicates=empty, columns=columns)


def drawn(column: Column) -> list[Any]:
    common = cells.of_columns(column, column)
    return evidently._drawn(common, common.reference, column)


def test_what_is_drawn_is_distributed_as_the_profile() -> None:
    values = np.abs(np.random.default_rng(1).normal(10, 3, 5_000)).tolist()
    found = np.array(drawn(numbers(values)))
    assert len(found) == evidently.ROWS
    for share in (0.01, 0.25, 0.5, 0.75, 0.99):
        assert np.quantile(found, share) == pytest.approx(np.quantile(values, share), rel=0.02)
    assert min(values) <= found.min()
    assert found.max() <= max(values)


def test_missing_values_stay_missing() -> None:
    found = drawn(numbers([1.0, 2.0, 3.0], missing=1))
    assert sum(math.isnan(value) for value in found) == evidently.ROWS // 4
    assert set(drawn(texts(a=3, b=1))) == {"a", "b"}
    assert drawn(texts(a=3, b=1)).count("b") == evidently.ROWS // 4


def test_many_categories_are_drawn_as_few() -> None:
    many = drawn(texts(**{f"c{index:03}": 200 - index for index in range(100)}))
    assert len(set(many)) == evidently.CATEGORIES + 1
    assert evidently.OTHERS in many


def test_columns_that_only_one_side_has_are_left_out() -> None:
    before = profile(a=numbers([1.0]), b=numbers([1.0]), c=texts(x=1))
    after = profile(a=numbers([2.0]), c=numbers([1.0]))
    assert list(evidently._pairs(before, after)) == ["a"]


def test_the_page_is_evidentlys(tmp_path: Path) -> None:
    if find_spec("evidently") is None:
        words = "evidently is missing: `make setup` installs it"
        pytest.fail(words) if os.environ.get("CI") == "true" else pytest.skip(words)
    rng = np.random.default_rng(2)
    before = profile(age=numbers(np.abs(rng.normal(40, 9, 900)).tolist()), plan=texts(basic=500, gold=400))
    after = profile(age=numbers(np.abs(rng.normal(60, 9, 900)).tolist()), plan=texts(basic=520, gold=380))
    evidently.write_page(tmp_path / "drift.html", before, after)
    page = (tmp_path / "drift.html").read_text()
    assert "Drift is detected for 50.0% of columns (1 out of 2)" in page


def test_what_cannot_be_drawn_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise ZeroDivisionError("division by\nzero")

    monkeypatch.setattr(evidently, "_page", fails)
    some = profile(a=numbers([1.0]))
    with pytest.raises(EnvironmentFault, match=r"Evidently's page was not made: division by zero\."):
        evidently.write_page(tmp_path / "drift.html", some, some)
    with pytest.raises(EnvironmentFault, match="not made: no column has values in reference and window"):
        evidently.write_page(tmp_path / "drift.html", some, profile())
    assert not list(tmp_path.iterdir())
