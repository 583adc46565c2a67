"""How far stretches of the reference are from what windows are held to: no limit is below what its seasons do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift.cells import Common
from ci.core.drift.distances import distance

if TYPE_CHECKING:
    from ci.core.drift.cells import Floats
    from ci.core.drift.profiles import Grouped, Profile, Seasons
    from ci.core.drift.rules import Rules, Statistic

LEAST = 4
"""Stretches with rows enough; fewer tell of no season."""


@dataclass(frozen=True)
class Season:
    """One distribution by stretch: k groups of `whole` (k,) and of n `stretches` (n, k), n being 0 or enough."""

    whole: Floats
    stretches: Floats
    lower: Floats | None = None
    upper: Floats | None = None

    @classmethod
    def of(cls, grouped: Grouped | None, least_rows: int) -> Season:
        """Of the stretches that have values enough."""
        if grouped is None:
            return NONE
        counts = np.array(grouped.counts, dtype=np.float64)
        enough = counts[counts.sum(axis=1) >= least_rows]
        if len(enough) < LEAST or not any(grouped.whole):
            return NONE
        ends = (None if one is None else np.array(one) for one in (grouped.lower, grouped.upper))
        return cls(np.array(grouped.whole, dtype=np.float64), enough, *ends)

    def off(self, statistic: Statistic, *, whole: bool = False) -> float:
        """How far the furthest stretch is; 0 where none is known. Groups hide what lies within them.

        Raises ValueError where the statistic is of numbers and the column of categories.
        """
        exact = self.lower is None or bool((self.lower == self.upper).all())
        commons = (Common(self.whole, one, exact, self.lower, self.upper) for one in self.stretches)
        return max((distance(statistic, one, whole=whole) for one in commons), default=0.0)

    def shares(self, least: float) -> Season:
        """The same of two groups: numbers below `least`, and the others."""
        if self.lower is None or not len(self.stretches):
            return NONE
        above = self.lower >= least
        halves = [
            np.stack([one[..., ~above].sum(-1), one[..., above].sum(-1)], -1) for one in (self.whole, self.stretches)
        ]
        return Season(*halves)


NONE = Season(np.zeros(0), np.zeros((0, 0)))
"""No season is known."""


@dataclass(frozen=True)
class Covered:
    """What is known of the reference's seasons: its stretches, if they are as long as windows are."""

    seasons: Seasons | None
    least_rows: int

    @classmethod
    def by(cls, reference: Profile, rules: Rules) -> Covered:
        """What a reference has for windows of `rules.days`."""
        known = reference.seasons if reference.seasons and reference.seasons.days == rules.days else None
        return cls(known, rules.least_rows)

    def column(self, name: str) -> Season:
        """A feature."""
        return self._of(self.seasons.columns.get(name) if self.seasons else None)

    @property
    def score(self) -> Season:
        """All scores."""
        return self._of(self.seasons.score if self.seasons else None)

    @property
    def label(self) -> Season:
        """All labels."""
        return self._of(self.seasons.label if self.seasons else None)

    def slice(self, column: str, value: str) -> Season:
        """The scores of a slice."""
        return self._of(self.seasons.slices.get(column, {}).get(value) if self.seasons else None)

    @cached_property
    def by_label(self) -> tuple[Floats, ...]:
        """Test rows by score, those of label 0 and of label 1 (4, k): of all of them, and then of a stretch."""
        if self.seasons is None or self.seasons.joint is None:
            return ()
        negative, positive = self.seasons.joint
        whole = [negative.whole, positive.whole]
        found = [np.array([*whole, *one], np.float64) for one in zip(negative.counts, positive.counts, strict=True)]
        enough = tuple(one for one in found if one[2:].sum() >= self.least_rows)
        return enough if len(enough) >= LEAST else ()

    def missing(self, name: str) -> float:
        """The greatest share of rows of a stretch that lack a value."""
        if self.seasons is None or name not in self.seasons.columns:
            return 0.0
        counts = [sum(one) for one in self.seasons.columns[name].counts]
        enough = [(one, rows) for one, rows in zip(counts, self.seasons.rows, strict=True) if rows >= self.least_rows]
        return max(1 - one / rows for one, rows in enough) if len(enough) >= LEAST else 0.0

    @property
    def volume(self) -> tuple[float, float]:
        """The fewest and the most rows of a stretch, in those of the middle one."""
        rows = [one for one in self.seasons.rows if one >= self.least_rows] if self.seasons else []
        if len(rows) < LEAST:
            return 1.0, 1.0
        middle = float(np.median(rows))
        return min(rows) / middle, max(rows) / middle

    def _of(self, grouped: Grouped | None) -> Season:
        return Season.of(grouped, self.least_rows)


def notes(reference: Profile, rules: Rules) -> tuple[str, ...]:
    """A sentence where the reference's seasons are of no use for these windows."""
    if reference.seasons is None or reference.seasons.days == rules.days:
        return ()
    words = (
        f"Windows are of {rules.days} days and the reference's seasons of {reference.seasons.days}: no limit knows "
        "them until the model is trained again."
    )
    return (words,)


def beyond(common: Common, part: float) -> Common:
    """The window brought nearer to the reference by a part of its distance, 0 to 1.

    What is left is what is certain beyond that: Kolmogorov's statistic, and the root of chi-square, are norms, so that
    by the triangle inequality chance adds to no distance more than it makes of none.
    """
    usual = common.shares[0] * common.window.sum()
    return replace(common, window=usual + (common.window - usual) * (1 - part))


def part_of(season: float, value: float, statistic: Statistic) -> float:
    """How much of a distance the seasons make, 0 to 1; a PSI is the square of one."""
    if season <= 0:
        return 0.0
    part = min(season / value, 1.0) if value > 0 else 1.0
    return part**0.5 if statistic == "psi" else part
