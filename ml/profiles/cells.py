"""A mergeable histogram of numbers or of categories: cells that nest, so that parts in any order give the same bytes.

A key's leading bits are its cell; `shift` says how many trailing ones are left off, and is the least with which at most
`limit` cells are occupied. A part of a table never needs a greater shift than the whole, so merging is to bring both to
the greater shift, to add, and to go on until few enough cells are left: exactly associative and commutative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.profiles import keys as keyed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ml.profiles.keys import Keys

CELLS = 2048
"""The most cells of a column."""
FEW = 256
"""The most cells of a slice, of which there are many."""
FIRST = 65_536  # values that show which shift will do, before all of them are looked at
SPAN = 1 << 20  # cells that are cheaper counted in a row than sorted


@dataclass(frozen=True)
class Cells:
    """Occupied cells in ascending order of keys, int64 of numbers and uint64 of categories, with their counts.

    `names` are the categories while `shift` is 0, where every cell is one of them; else None.
    """

    shift: int
    keys: Keys
    counts: NDArray[np.int64]
    names: tuple[str, ...] | None = None
    limit: int = CELLS

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    @classmethod
    def of_numbers(cls, values: NDArray[np.float64], limit: int = CELLS) -> Cells:
        """The cells of finite numbers [n]."""
        keys = keyed.of_numbers(values)
        found = _counted(keys[:FIRST], 0, limit)
        return merged(found, _counted(keys[FIRST:], found.shift, limit)) if keys.size > FIRST else found

    @classmethod
    def of_categories(cls, names: Sequence[str], counts: NDArray[np.int64], limit: int = CELLS) -> Cells:
        """The cells of different texts [n], each with how often it was there."""
        return cls.of_keys(keyed.of_texts(names), names, counts, limit)

    @classmethod
    def of_keys(
        cls, keys: NDArray[np.uint64], names: Sequence[str], counts: NDArray[np.int64], limit: int = CELLS
    ) -> Cells:
        """The same, where the texts' keys are known."""
        order = np.argsort(keys, kind="stable")
        if order.size <= limit:
            return cls(0, keys[order], counts[order], tuple(names[index] for index in order), limit)
        return _settled(keys[order], counts[order], 0, limit)

    @classmethod
    def empty(cls, *, categories: bool = False, limit: int = CELLS) -> Cells:
        """No value at all."""
        none = np.zeros(0, np.int64)
        return cls(0, none.astype(np.uint64), none, (), limit) if categories else cls(0, none, none, None, limit)

    def known(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Whether each key [n] of a category is in an occupied cell."""
        return np.isin(keys >> np.uint64(self.shift), self.keys)

    def record(self) -> dict[str, Any]:
        """As in profile.json: the first key, then differences; of categories with names, the names alone."""
        named = self.names is not None
        first = [int(self.keys[0])] if self.keys.size and not named else []
        steps = [] if named else (self.keys[1:] - self.keys[:-1]).tolist()
        names = None if self.names is None else list(self.names)
        return {"shift": self.shift, "keys": first + steps, "counts": self.counts.tolist(), "names": names}

    @classmethod
    def parsed(cls, record: Mapping[str, Any], *, categories: bool, limit: int = CELLS) -> Cells:
        """The inverse of `record`. Raises KeyError, TypeError, ValueError or OverflowError on what is none."""
        shift, counts, names = int(record["shift"]), np.asarray(record["counts"], np.int64), record["names"]
        steps = [int(step) for step in record["keys"]]
        if names is not None:
            keys: Keys = keyed.of_texts([str(name) for name in names])
        elif categories:
            keys = np.cumsum(np.asarray(steps, np.uint64), dtype=np.uint64)
        else:
            keys = np.cumsum(np.asarray(steps, np.int64), dtype=np.int64)
        if keys.shape != counts.shape or not 0 <= shift < 64:
            raise ValueError(f"{keys.size} keys with {counts.size} counts and shift {shift}")
        return cls(shift, keys, counts, None if names is None else tuple(map(str, names)), limit)


def merged(one: Cells, two: Cells) -> Cells:
    """Both together."""
    limit = min(one.limit, two.limit)
    shift = max(one.shift, two.shift)
    if one.names is not None and two.names is not None:
        return _named(one, two, limit)
    parts = (_coarser(one, shift), _coarser(two, shift))
    keys = np.concatenate([keys for keys, _ in parts])
    counts = np.concatenate([counts for _, counts in parts])
    order = np.argsort(keys, kind="stable")
    return _settled(*_added(keys[order], counts[order]), shift, limit)


def _named(one: Cells, two: Cells, limit: int) -> Cells:
    counts = dict(zip(one.names or (), one.counts.tolist(), strict=True))
    for name, count in zip(two.names or (), two.counts.tolist(), strict=True):
        counts[name] = counts.get(name, 0) + count
    names = sorted(counts)  # so that two texts of one key would stand in one order
    return Cells.of_categories(names, np.asarray([counts[name] for name in names], np.int64), limit)


def _counted(keys: NDArray[np.int64], shift: int, limit: int) -> Cells:
    """The cells of numbers' keys [n] at `shift` or the least greater one that will do."""
    if not keys.size:
        return Cells(shift, keys, np.zeros(0, np.int64), None, limit)
    step = max(shift, keyed.trailing_zeros(keys))  # bits that are 0 in all keys tell nothing apart
    cells = keys >> step
    low, high = int(cells.min()), int(cells.max())
    if high - low < SPAN:
        counts = np.bincount(cells - low, minlength=1)
        occupied = np.flatnonzero(counts)
        found, counts = occupied.astype(np.int64) + low, counts[occupied].astype(np.int64)
    else:
        found, counts = np.unique(cells, return_counts=True)
    return _settled(found << (step - shift), counts.astype(np.int64), shift, limit)


def _settled(keys: Keys, counts: NDArray[np.int64], shift: int, limit: int) -> Cells:
    """Cells of ascending keys, coarsened until there are at most `limit`."""
    more = 0
    if keys.size > limit:
        unlike = keyed.bit_lengths(keys[1:].view(np.uint64) ^ keys[:-1].view(np.uint64))
        more = int(np.partition(unlike, unlike.size - limit)[unlike.size - limit])
    return Cells(shift + more, *_added(_shifted(keys, more), counts), None, limit)


def _coarser(cells: Cells, shift: int) -> tuple[Keys, NDArray[np.int64]]:
    return _added(_shifted(cells.keys, shift - cells.shift), cells.counts)


def _shifted(keys: Keys, bits: int) -> Keys:
    return keys >> keys.dtype.type(bits)


def _added(keys: Keys, counts: NDArray[np.int64]) -> tuple[Keys, NDArray[np.int64]]:
    """Ascending keys without repeats, the counts of equal ones added."""
    if not keys.size:
        return keys, counts
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    return keys[starts], np.add.reduceat(counts, starts)


def joined(cells: Sequence[Cells], others: Sequence[Cells]) -> tuple[Cells, ...]:
    """Cells of two parts, each merged with its counterpart."""
    return tuple(merged(one, two) for one, two in zip(cells, others, strict=True))


def records(cells: Sequence[Cells] | None) -> list[dict[str, Any]] | None:
    """Several, as in profile.json."""
    return None if cells is None else [each.record() for each in cells]


def parsed(found: Sequence[Mapping[str, Any]] | None, limit: int = CELLS) -> tuple[Cells, ...] | None:
    """Cells of numbers, the inverse of `records`."""
    if found is None:
        return None
    return tuple(Cells.parsed(each, categories=False, limit=limit) for each in found)
