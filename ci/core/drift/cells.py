"""Two histograms brought to the same cells, and what is worked out of cells: edges, sums below a number, bins."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.profiles import Cells, Column

Floats = NDArray[np.float64]
Keys = NDArray[np.int64] | NDArray[np.uint64]

LARGEST = int(np.array(np.finfo(np.float64).max).view(np.int64))
"""The key of the largest number."""


@dataclass(frozen=True)
class Common:
    """k cells, ascending, with the counts (k,) of reference and window.

    A cell of numbers lies between `lower` and `upper` (k,), which are alike where it is one number. `exact` says that
    every cell is one number, or one category; `names` are the categories then.
    """

    reference: Floats
    window: Floats
    exact: bool
    lower: Floats | None = None
    upper: Floats | None = None
    names: tuple[str, ...] | None = None

    @property
    def shares(self) -> tuple[Floats, Floats]:
        """The counts of either as shares of its own (all 0 where there is none)."""
        return self.reference / max(self.reference.sum(), 1.0), self.window / max(self.window.sum(), 1.0)


def of_columns(reference: Column, window: Column) -> Common:
    """The values of one column in both. A boolean is the number 0 or 1."""
    if reference.kind == "category":
        return of_categories(reference.cells, window.cells)
    ends = [x for x in (reference.min, window.min, reference.max, window.max) if x is not None]
    return of_numbers(reference.cells, window.cells, (min(ends), max(ends)) if ends else None)


def of_numbers(reference: Cells, window: Cells, within: tuple[float, float] | None = None) -> Common:
    """Numbers, in the cells of the coarser of both; no number lies outside `within`."""
    shift = max(reference.shift, window.shift)
    keys, counts = _added(*(_coarser(_signed(cells), cells, shift) for cells in (reference, window)))
    lower, upper = edges(keys, shift)
    if within is not None:
        lower, upper = np.clip(lower, *within), np.clip(upper, *within)
    return Common(*counts, exact=shift == 0, lower=lower, upper=upper)


def aligned(cells: Sequence[Cells]) -> tuple[Floats, Floats, Floats]:
    """Lower and upper edges (k,) of cells that n histograms of numbers share, and their counts (n, k)."""
    shift = max(one.shift for one in cells)
    parts = [_coarser(_signed(one), one, shift) for one in cells]
    keys = np.unique(np.concatenate([keys for keys, _ in parts]))
    counts = [_sums(np.searchsorted(keys, own), weights, len(keys)) for own, weights in parts]
    return *edges(keys, shift), np.stack(counts)


def of_categories(reference: Cells, window: Cells) -> Common:
    """Categories: by name where every cell is one, else by the leading bits of their hashes."""
    if reference.names is not None and window.names is not None:
        names = tuple(sorted({*reference.names, *window.names}))
        return Common(_by_name(names, reference), _by_name(names, window), exact=True, names=names)
    shift = max(reference.shift, window.shift)
    _, counts = _added(*(_coarser(_unsigned(cells), cells, shift) for cells in (reference, window)))
    return Common(*counts, exact=False)


def edges(keys: Keys, shift: int) -> tuple[Floats, Floats]:
    """Where the cells of numbers (k,) begin and end: alike where a cell is one number (shift 0)."""
    signed = keys.astype(np.int64)
    if shift == 0:
        values = to_numbers(signed)
        return values, values
    most, after = LARGEST >> shift, signed + 1
    first = np.clip(np.minimum(signed, most) << shift, -LARGEST, LARGEST)
    last = np.where(after > most, LARGEST, np.clip(np.minimum(after, most) << shift, -LARGEST, LARGEST))
    return to_numbers(first), to_numbers(last)


def to_numbers(keys: NDArray[np.int64]) -> Floats:
    """The number (k,) of each key."""
    found = np.abs(keys).view(np.float64)
    return np.where(keys < 0, -found, found)


def middles(common: Common) -> Floats:
    """The middle (k,) of each cell of numbers."""
    lower, upper = ends(common)
    return lower + (upper - lower) / 2


def ends(common: Common) -> tuple[Floats, Floats]:
    """The edges of cells of numbers. Raises ValueError of categories."""
    if common.lower is None or common.upper is None:
        raise ValueError("categories have no edges")
    return common.lower, common.upper


def moments(common: Common) -> tuple[float, float]:
    """Mean and standard deviation (not corrected for the mean) of the reference, each cell taken for evenly filled."""
    lower, upper = ends(common)
    share, middle = common.shares[0], middles(common)
    mean = float(share @ middle)
    with np.errstate(over="ignore"):
        variance = float(share @ ((middle - mean) ** 2 + (upper - lower) ** 2 / 12))
    return mean, float(np.sqrt(variance))


def binned(common: Common, at: Floats) -> Common:
    """Numbers in bins between ascending edges (b + 1,), the last of which is closed, as `numpy.histogram` has it.

    A cell that an edge cuts is taken for evenly filled.
    """
    lower, upper = ends(common)
    inner = at[1:-1, None]
    width = upper - lower
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.where(width > 0, np.clip((inner - lower) / width, 0, 1), lower < inner)
    counts = (
        np.maximum(np.diff(np.concatenate([[0.0], share @ one, [one.sum()]])), 0.0)
        for one in (common.reference, common.window)
    )
    return Common(next(counts), next(counts), exact=False, lower=at[:-1], upper=at[1:])


def pooled(common: Common, least: float) -> Common:
    """Cells joined until each is expected to hold at least `least` of either, if both were alike (Cochran 1954).

    Numbers are joined with their neighbours, categories the rarest first. What is left over goes to the last.
    """
    both = common.reference + common.window
    expected = both * min(common.reference.sum(), common.window.sum()) / max(both.sum(), 1.0)
    order = np.arange(len(both)) if common.lower is not None else np.argsort(expected, kind="stable")
    groups = np.zeros(len(both), np.int64)
    group, held = 0, 0.0
    for index in order:
        groups[index] = group
        held += expected[index]
        if held >= least:
            group, held = group + 1, 0.0
    groups = np.minimum(groups, max(group - (held < least), 0))
    size = int(groups.max(initial=-1)) + 1
    return Common(_sums(groups, common.reference, size), _sums(groups, common.window, size), exact=False)


def of_text(text: str) -> int:
    """The key of a category: the first 8 bytes of the BLAKE2b of its UTF-8, as a big-endian number."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass")).digest()[:8], "big")


def _by_name(names: tuple[str, ...], cells: Cells) -> Floats:
    count = dict(zip(cells.names or (), cells.counts, strict=True))
    return np.array([count.get(name, 0) for name in names], dtype=np.float64)


def _signed(cells: Cells) -> Keys:
    return np.array(cells.ascending, dtype=np.int64)


def _unsigned(cells: Cells) -> Keys:
    if cells.names is None:
        return np.array(cells.ascending, dtype=np.uint64)
    return np.array([of_text(name) for name in cells.names], dtype=np.uint64)


def _coarser(keys: Keys, cells: Cells, shift: int) -> tuple[Keys, Floats]:
    return keys >> keys.dtype.type(shift - cells.shift), np.array(cells.counts, dtype=np.float64)


def _added(one: tuple[Keys, Floats], two: tuple[Keys, Floats]) -> tuple[Keys, tuple[Floats, Floats]]:
    """The cells of both, ascending, and the counts of either in them."""
    keys, place = np.unique(np.concatenate([one[0], two[0]]), return_inverse=True)
    first, second = place[: len(one[0])], place[len(one[0]) :]
    return keys, (_sums(first, one[1], len(keys)), _sums(second, two[1], len(keys)))


def _sums(place: NDArray[np.int64], counts: Floats, size: int) -> Floats:
    return np.bincount(place, weights=counts, minlength=size).astype(np.float64)
