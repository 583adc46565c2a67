"""Whether labels still follow from scores as they did: concept drift, told apart from drift of the data.

If only the features moved, the rows of one score are still as often positive as they were (where the score says all
that features say of the label). If that share changed, what the features mean changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift import words
from ci.core.drift.cells import Floats, aligned
from ci.core.drift.findings import Found
from ci.core.drift.seasons import part_of
from ci.core.drift.significance import LEAST_EXPECTED, chi_square_tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.profiles import Profile
    from ci.core.drift.records import QualityRow
    from ci.core.drift.residuals import Residuals
    from ci.core.drift.rules import Rules
    from ci.core.drift.seasons import Covered

GROUPS = 10
"""Of scores, at most."""
LEAST_OF_EACH = 200
"""Labels of each class on either side: what a calibration curve takes (Van Calster and others 2016). Fewer are too few
all the more where they come in clusters (one card that was stolen), which p-values take for independent."""
SUBJECT = "labels"


def enough_of_each(reference: Profile, window: Profile) -> bool:
    """Whether both sides have labels enough of each class to judge a binary task by; others have no classes."""
    if reference.joint is None or window.joint is None:
        return True
    return min(cells.total for cells in (*reference.joint, *window.joint)) >= LEAST_OF_EACH


@dataclass(frozen=True)
class _Apart:
    """Shares of positives in k groups of scores: `rate` (2, k) of reference and window, `far` (k,) how far they are.

    `weight` (k,) is each group's share of the window, `variance` (k,) what chance does to the difference, `value` what
    they come to.
    """

    rate: Floats
    far: Floats
    weight: Floats
    variance: Floats
    value: float

    def p_value(self, part: float) -> float:
        """The chance of what is left of the differences without a part of them, 0 to 1."""
        left = self.far * (1 - part)
        return chi_square_tail(float((left**2 / self.variance).sum()), len(left))


def concept(reference: Profile, window: Profile, rules: Rules, covered: Covered, moved: Sequence[str]) -> list[Found]:
    """Labels that no longer follow from scores; `moved` are the columns whose distribution did.

    In groups of alike scores the shares of positives are compared. The root of their mean squared difference, less what
    chance does to it, in standard deviations of the reference's label, has to reach `limits.effect`; and the sum of
    their squared standardised differences to be certain (chi-square with one degree of freedom a group). Neither
    counts what a stretch of the reference's test rows, as long as a window, is off by.
    """
    if reference.joint is None or window.joint is None or window.labelled < rules.least_rows:
        return []
    _, _, counts = aligned([*reference.joint, *window.joint])
    found = _apart(counts)
    if found is None:
        return []
    season = max((one.value for one in map(_apart, covered.by_label) if one is not None), default=0.0)
    limit, (rate, weight, far) = max(rules.limits.effect, season), (found.rate, found.weight, found.far)
    p = found.p_value(part_of(season, found.value, "jensen_shannon"))
    if p > rules.false_discoveries or found.value < limit:
        return []
    most = int((weight * far).argmax())
    text = (
        f"labels follow otherwise from scores, {_why(moved)}: where {words.percent(rate[0][most])} were positive, "
        f"{words.percent(rate[1][most])} are; {words.number(found.value)} deviations off, {words.number(limit)} "
        "are tolerated"
    )
    return [Found("concept", SUBJECT, text, "calibration", found.value, limit, p)]


def _apart(counts: Floats) -> _Apart | None:
    """How far apart labels are in cells of scores (4, k): negatives and positives of the reference, then the window's.

    None where that cannot be told.
    """
    groups = _grouped(counts)
    rows, positive = groups[0::2] + groups[1::2], groups[1::2]
    if not (rows > 0).all():
        return None
    rate = positive / rows
    pooled = positive.sum(axis=0) / rows.sum(axis=0)
    variance = pooled * (1 - pooled) * (1 / rows).sum(axis=0)
    usual = positive[0].sum() / rows[0].sum()
    deviation = math.sqrt(usual * (1 - usual))
    if not (variance > 0).all() or not deviation:
        return None
    far = np.abs(rate[1] - rate[0])
    weight = rows[1] / rows[1].sum()
    value = math.sqrt(max(0.0, float(weight @ (far**2 - variance)))) / deviation
    return _Apart(rate, far, weight, variance, value)


def of_numbers(found: Residuals | None, rules: Rules, moved: Sequence[str]) -> list[Found]:
    """The same of labels that are numbers: `limits.effect` is held to how far mean residuals of alike scores moved."""
    if found is None or found.p_value > rules.false_discoveries or found.value < rules.limits.effect:
        return []
    text = (
        f"labels follow otherwise from scores, {_why(moved)}: where they were off by {words.number(found.before)} in "
        f"the mean, they are by {words.number(found.after)}; {words.number(found.value)} deviations, "
        f"{rules.limits.effect:g} are tolerated"
    )
    return [Found("concept", SUBJECT, text, "residuals", found.value, rules.limits.effect, found.p_value)]


def by_exclusion(quality: Sequence[QualityRow], moved: bool) -> list[Found]:
    """Quality that fell although neither features nor scores moved: what the features mean has changed."""
    lost = [row for row in quality if row.verdict == "fail" and row.slice is None]
    if moved or not lost:
        return []
    text = f"{lost[0].metric} fell although neither features nor scores are distributed otherwise"
    return [Found("concept", SUBJECT, text)]


def _why(moved: Sequence[str]) -> str:
    return f"while {', '.join(moved[:3])} moved too" if moved else "although no feature moved"


def _grouped(counts: Floats) -> Floats:
    """Neighbouring cells (4, k) joined into at most 10 groups with rows enough for a normal approximation on each side.

    The rows are reference's negatives and positives, then the window's.
    """
    least = (counts[2] + counts[3]).sum() / GROUPS
    found: list[Floats] = []
    held = np.zeros(4)
    for cell in counts.T:
        held = held + cell
        size = min(held[0] + held[1], held[2] + held[3])
        mixed = min(held[0] + held[2], held[1] + held[3])
        smallest = size * mixed / max(held.sum(), 1.0)
        if held[2] + held[3] >= least and smallest >= LEAST_EXPECTED:
            found.append(held)
            held = np.zeros(4)
    if held.any():
        if found:
            found[-1] = found[-1] + held
        else:
            found.append(held)
    return np.stack(found, axis=1)
