"""The bootstrap: metrics of many resamples of the same rows, vectorised, seeded, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.core.statistics.rows import Floats, Ints

CELLS = 2**18  # weights in one block: some MB in all, which stays near the processor's cache


def resample(units: int, resamples: int, seed: Sequence[int], measure: Callable[[Ints], Floats]) -> Floats:
    """`measure` of `resamples` draws of `units` out of `units` with replacement (Efron 1979).

    A draw is handed over as counts, (b, units) in blocks, multinomial with equal chances; `measure` makes (b, k) of
    it. Everything measured in one call shares its draws, so that differences are paired. Returns (resamples, k). The
    same seed gives the same draws, and a metric's samples do not depend on what else is measured.
    """
    block = max(1, CELLS // units)
    _keep_memory()
    parts = []
    for start in range(0, resamples, block):
        rng = np.random.default_rng([*seed, start])
        parts.append(measure(draw(rng, min(block, resamples - start), units)))
    return np.concatenate(parts)


def draw(rng: np.random.Generator, size: int, units: int) -> Ints:
    """How often each of `units` is drawn, in `size` draws: (size, units), each row adding up to `units`.

    Counting uniform picks is the multinomial law itself and an order of magnitude faster than drawing from it.
    """
    picks = rng.integers(0, units, size=(size, units))
    picks += np.arange(size)[:, None] * units
    return np.bincount(picks.ravel(), minlength=size * units).reshape(size, units)


def _keep_memory() -> None:
    """Have glibc keep blocks of some MB for reuse: it does from the largest block freed so far on, up to 32 MB.

    Without, each of the many arrays of a block is fetched from the system anew, page by page: three times slower.
    """
    np.empty(24 * 2**20, dtype=np.uint8)
