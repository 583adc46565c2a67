"""How far labels that are numbers lie from their scores, by groups of alike scores, window beside reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift.significance import chi_square_tail

if TYPE_CHECKING:
    from ci.core.drift.rules import Rules
    from ci.core.statistics.rows import Floats, Ints, Rows

GROUPS = 10
"""Of scores, between quantiles of the reference's."""
LEAST = 30
"""Rows of a group on either side; a group with fewer is left out."""
FINEST = 1e-9
"""In standard deviations of the label, below which residuals do not differ: that is how floats are rounded."""


@dataclass(frozen=True)
class Residuals:
    """How far mean residuals moved, in standard deviations of the reference's label.

    `before` and `after` are those of the group that moved most.
    """

    value: float
    p_value: float
    before: float
    after: float


def residuals(window: Rows, reference: Rows, rules: Rules) -> Residuals | None:
    """The root of the mean squared difference of groups' mean residuals (label less score), less what chance does.

    Its p-value is that of the sum of squared standardised differences (Welch's; chi-square with one degree of freedom
    a group). Residuals that are the same throughout a group are certain of any other value there. None where rows are
    too few on either side, or there is nothing to standardise by.
    """
    if (
        min(len(window), len(reference)) < rules.least_rows
        or window.fault("regression")
        or reference.fault("regression")
    ):
        return None
    edges = np.unique(np.quantile(reference.score, np.arange(1, GROUPS) / GROUPS))
    mine, theirs = (_grouped(rows, np.searchsorted(edges, rows.score), len(edges) + 1) for rows in (window, reference))
    there = (mine[0] >= LEAST) & (theirs[0] >= LEAST)
    rows, mean, variance = mine[:, there]
    rows_before, mean_before, variance_before = theirs[:, there]
    deviation = float(reference.label.std())
    if not rows.size or not deviation:
        return None
    chance = np.maximum(variance / rows + variance_before / rows_before, (FINEST * deviation) ** 2)
    far, weight = mean - mean_before, rows / rows.sum()
    most = int((weight * np.abs(far)).argmax())
    return Residuals(
        value=math.sqrt(max(0.0, float(weight @ (far**2 - chance)))) / deviation,
        p_value=chi_square_tail(float((far**2 / chance).sum()), len(far)),
        before=float(mean_before[most]),
        after=float(mean[most]),
    )


def _grouped(rows: Rows, group: Ints, groups: int) -> Floats:
    """Rows, mean and variance of the residuals of each group (3, k)."""
    off = rows.label - rows.score
    count = np.bincount(group, minlength=groups).astype(np.float64)
    mean = np.bincount(group, off, minlength=groups) / np.maximum(count, 1)
    squares = np.bincount(group, (off - mean[group]) ** 2, minlength=groups)
    return np.stack([count, mean, squares / np.maximum(count - 1, 1)])
