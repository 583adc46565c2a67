"""Shapley values of one prediction: how much each feature moves the score away from that of reference rows.

A feature's contribution is the mean change of the score when its value replaces a reference row's, over all orders in
which features may be replaced. Orders are sampled (Castro, Gómez & Tejada 2009; Štrumbelj & Kononenko 2014), each with
its reverse, which cancels much of the noise (Mitchell, Cooper, Frank & Holmes 2022, section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ci.core.statistics.rows import Floats, Ints


@dataclass(frozen=True)
class Plan:
    """Rows to be scored: `replaced` [n, features] says where the explained row's value stands, else a reference's.

    Each reference row, and each order for it, is one walk from that row to the explained one: features + 1 rows.
    """

    orders: Ints
    """[references, walks, features]: the features of each walk in the order in which they are replaced."""

    @property
    def replaced(self) -> NDArray[np.bool_]:
        """[references * walks * (features + 1), features]."""
        references, walks, features = self.orders.shape
        # A feature's place in its order is the step after which it is replaced.
        places = np.argsort(self.orders, axis=-1)
        steps = np.arange(features + 1)
        return np.asarray(places[:, :, None, :] < steps[:, None]).reshape(references * walks * steps.size, features)

    @property
    def reference(self) -> Ints:
        """The reference row of each of these rows."""
        references, walks, features = self.orders.shape
        return np.repeat(np.arange(references), walks * (features + 1))


@dataclass(frozen=True)
class Contributions:
    """By feature, in the score's unit; they add up to the explained row's score less `base`, the references' mean."""

    values: Floats
    errors: Floats
    """Standard errors, reference rows being the sample."""
    base: float


def plan(references: int, features: int, pairs: int, seed: int) -> Plan:
    """`pairs` orders and their reverses for each of the reference rows; the same seed gives the same orders."""
    rng = np.random.default_rng(seed)
    orders = np.argsort(rng.random((references, pairs, features)), axis=-1)
    return Plan(np.concatenate([orders, orders[:, :, ::-1]], axis=1))


def contributions(made: Plan, scores: Floats) -> Contributions:
    """What the scores [n] of a plan's rows say of each feature."""
    references, walks, features = made.orders.shape
    walked = scores.reshape(references, walks, features + 1)
    by_feature = np.empty(made.orders.shape)
    np.put_along_axis(by_feature, made.orders, np.diff(walked, axis=-1), axis=-1)
    of_reference = by_feature.mean(axis=1)
    spread = of_reference.std(axis=0, ddof=1) if references > 1 else np.full(features, np.nan)
    return Contributions(of_reference.mean(axis=0), spread / np.sqrt(references), float(walked[:, 0, 0].mean()))
