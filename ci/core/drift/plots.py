"""The bars that show a column's distribution beside the reference's."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift.cells import binned, ends, middles
from ci.core.drift.records import Bin
from ci.core.drift.words import number

if TYPE_CHECKING:
    from ci.core.drift.cells import Common, Floats

MOST = 12
TAIL = 0.005
OTHERS = "…"


def bins(common: Common) -> tuple[Bin, ...]:
    """At most 12 bars: each value or category where they are few, else the most frequent, or ranges of one width.

    The first and the last range hold all beyond them, so that a few outliers do not squeeze the others.
    """
    reference, window = common.shares
    if common.lower is None:
        return _categories(common.names or (), reference, window) if common.names else ()
    if common.exact and len(reference) <= MOST:
        return _bars([f"{value:.4g}" for value in ends(common)[0]], reference, window)
    low, high = _middle_part(common)
    if not 0 < high - low < np.inf:
        return ()
    at = np.linspace(low, high, MOST - 1)
    lower, upper = ends(common)
    wide = np.concatenate([[min(float(lower.min()), low)], at[1:-1], [max(float(upper.max()), high)]])
    edges = [number(float(edge)) for edge in at]
    names = [f"{one} to {two}" for one, two in pairwise(edges)]
    names[0], names[-1] = f"below {edges[1]}", f"from {edges[-2]} on"
    return _bars(names, *binned(common, wide).shares)


def _middle_part(common: Common) -> tuple[float, float]:
    """Where all but a few rows of both sides lie."""
    lower, upper = ends(common)
    below = [np.cumsum(share) for share in common.shares if share.sum()]
    if not below:
        return 0.0, 0.0
    first = min(int(np.searchsorted(one, TAIL)) for one in below)
    last = max(min(int(np.searchsorted(one, 1 - TAIL)), len(lower) - 1) for one in below)
    low, high = float(lower[first]), float(upper[last])
    return (low, high) if low < high else (float(middles(common)[first]), float(middles(common)[last]))


def _categories(names: tuple[str, ...], reference: Floats, window: Floats) -> tuple[Bin, ...]:
    order = np.argsort(-(reference + window), kind="stable")
    top = order[: MOST - 1] if len(order) > MOST else order
    rest = order[len(top) :]
    shown = _bars([names[index] for index in top], reference[top], window[top])
    others = Bin(name=OTHERS, reference=float(reference[rest].sum()), window=float(window[rest].sum()))
    return (*shown, others) if len(rest) else shown


def _bars(names: list[str], reference: Floats, window: Floats) -> tuple[Bin, ...]:
    return tuple(
        Bin(name=name, reference=float(mine), window=float(theirs))
        for name, mine, theirs in zip(names, reference, window, strict=True)
    )
