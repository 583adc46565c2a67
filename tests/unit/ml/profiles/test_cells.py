"""Cells: the same for any parts in any order, exact where there are few values, bounded where there are many."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.profiles import keys
from ml.profiles.cells import CELLS, Cells, merged

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def brute(values: NDArray[np.float64], limit: int) -> tuple[int, dict[int, int]]:
    """The least shift and its cells, one shift after the other."""
    whole = [int(key) for key in keys.of_numbers(values)]
    for shift in range(64):
        found: dict[int, int] = {}
        for key in whole:
            found[key >> shift] = found.get(key >> shift, 0) + 1
        if len(found) <= limit:
            return shift, found
    raise AssertionError


@given(st.lists(FINITE, min_size=2))
def test_keys_are_in_the_order_of_their_numbers(values: list[float]) -> None:
    found = keys.of_numbers(np.array(values)).tolist()
    for x, y, one, two in zip(values, values[1:], found, found[1:], strict=False):
        assert (x < y) == (one < two)
        assert (x == y) == (one == two)


@pytest.mark.parametrize("values", [[-0.0, 0.0], [5e-324, -5e-324, 1.7e308, -1.7e308]])
def test_the_ends_of_the_numbers_are_in_order(values: list[float]) -> None:
    assert np.argsort(keys.of_numbers(np.array(values)), kind="stable").tolist() == np.argsort(values).tolist()


@settings(deadline=None)
@given(st.lists(FINITE | st.integers(-40, 40).map(float), max_size=120), st.integers(2, 30), st.data())
def test_any_parts_in_any_order_are_the_whole(values: list[float], limit: int, data: st.DataObject) -> None:
    array = np.array(values, dtype=np.float64)
    shift, counts = brute(array, limit)
    whole = Cells.of_numbers(array, limit)
    assert (whole.shift, dict(zip(whole.keys.tolist(), whole.counts.tolist(), strict=True))) == (shift, counts)
    owner = np.array(data.draw(st.lists(st.integers(0, 4), min_size=len(values), max_size=len(values))), dtype=int)
    parts = [Cells.of_numbers(array[owner == part], limit) for part in data.draw(st.permutations(range(5)))]
    while len(parts) > 1:  # any tree of merges
        one = parts.pop(data.draw(st.integers(0, len(parts) - 1)))
        place = data.draw(st.integers(0, len(parts) - 1))
        parts[place] = merged(one, parts[place])
    assert parts[0].record() == whole.record()


@settings(deadline=None)
@given(st.lists(st.text(max_size=3), max_size=60), st.integers(2, 20), st.integers(0, 60))
def test_categories_merge_alike(texts: list[str], limit: int, cut: int) -> None:
    def of(part: list[str]) -> Cells:
        names = sorted(set(part))
        return Cells.of_categories(names, np.array([part.count(name) for name in names], dtype=np.int64), limit)

    whole = of(texts)
    assert merged(of(texts[:cut]), of(texts[cut:])).record() == whole.record()
    assert merged(of(texts[cut:]), of(texts[:cut])).record() == whole.record()
    assert whole.total == len(texts)
    if len(set(texts)) <= limit:
        assert whole.names is not None
        assert dict(zip(whole.names, whole.counts.tolist(), strict=True)) == {t: texts.count(t) for t in texts}


def test_large_parts_are_the_whole() -> None:
    """Beyond the rows that are looked at first, with zeros, of both signs and over many orders of magnitude."""
    random = np.random.default_rng(5)
    values = random.lognormal(0, 8, 150_000) * random.choice([-1.0, 0.0, 1.0], 150_000)
    whole = Cells.of_numbers(values)
    assert merged(Cells.of_numbers(values[:20_000]), Cells.of_numbers(values[20_000:])).record() == whole.record()
    assert CELLS / 2 < whole.keys.size <= CELLS
    found, counts = np.unique(keys.of_numbers(values) >> whole.shift, return_counts=True)
    assert (found.tolist(), counts.tolist()) == (whole.keys.tolist(), whole.counts.tolist())


def test_few_distinct_numbers_are_exact() -> None:
    values = np.random.default_rng(1).integers(-100, 100, 300_000) / 7
    found = Cells.of_numbers(values)
    assert found.shift == 0
    assert found.keys.tolist() == keys.of_numbers(np.unique(values)).tolist()


def test_a_category_is_known_by_the_first_bytes_of_its_blake2b() -> None:
    found = Cells.of_categories(["Zürich", ""], np.array([3, 1]))
    expected = {name: int.from_bytes(hashlib.blake2b(name.encode()).digest()[:8], "big") for name in ("Zürich", "")}
    assert found.record() == {
        "shift": 0,
        "keys": [],
        "counts": [count for _, count in sorted(((expected["Zürich"], 3), (expected[""], 1)))],
        "names": sorted(expected, key=expected.__getitem__),
    }


def test_an_explosion_of_categories_is_bounded() -> None:
    names = [f"user-{i}" for i in range(60_000)]
    whole = Cells.of_categories(names, np.ones(60_000, np.int64))
    assert whole.names is None
    assert CELLS / 2 < whole.keys.size <= CELLS
    assert whole.total == 60_000
    assert whole.known(keys.of_texts(names)).all()


@settings(deadline=None)
@given(st.lists(FINITE, max_size=50), st.integers(2, 60))
def test_what_is_written_is_read(values: list[float], limit: int) -> None:
    record = Cells.of_numbers(np.array(values, dtype=np.float64), limit).record()
    assert Cells.parsed(json.loads(json.dumps(record)), categories=False).record() == record
    texts = sorted({str(value) for value in values})
    record = Cells.of_categories(texts, np.ones(len(texts), np.int64), limit).record()
    assert Cells.parsed(json.loads(json.dumps(record)), categories=True).record() == record
