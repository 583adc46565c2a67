"""From the numbers of one gate to its verdict and the reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ci.core.records import Interval, Outcome
from ci.core.statistics.intervals import holm, interval, p_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.gating.evidence import Comparison
    from ci.core.gating.gateparams import Gate
    from ci.core.statistics.measure import Measured
    from ci.core.statistics.rows import Floats


@dataclass(frozen=True)
class Finding:
    """What a gate found: the verdict, why, and the interval that it or a reader looks at.

    With `blocks`, one that is inconclusive blocks whatever the policy.
    """

    verdict: Outcome
    reason: str
    interval: Interval | None = None
    blocks: bool = False


def family(gate: Gate, measured: Sequence[Measured], note: str) -> list[Finding]:
    """Judge a gate on each of its slices, or on the whole as a family of one.

    The p-values of the slices are corrected together by Holm's procedure, so that the chance that a relative gate
    passes or fails any slice wrongly is at most 1 - confidence. Only what can be tested belongs to the family.
    """
    refusals = [_untestable(gate, one, whole=not gate.slices) for one in measured]
    testable = [one for one, refusal in zip(measured, refusals, strict=True) if refusal is None]
    limit = -gate.limit if gate.baseline else _sign(gate) * gate.limit
    p_values = [p_value(_towards_better(gate, one), limit) for one in testable]
    levels = holm(p_values, 1 - gate.confidence)
    decide = relative if gate.baseline else absolute
    found = iter([decide(gate, one, level, note) for one, level in zip(testable, levels, strict=True)])
    return [refusal or next(found) for refusal in refusals]


def absolute(gate: Gate, measured: Measured, level: float, _: str = "") -> Finding:
    """The point value against `min` or `max`; the interval is shown for the reader."""
    shown = interval(measured.samples, 1 - level)
    return bound(gate, measured.value, shown)


def bound(gate: Gate, value: float, shown: Interval | None = None) -> Finding:
    """A number against `min` or `max`."""
    holds = value >= gate.limit if gate.rule == "min" else value <= gate.limit
    side = {"min": ("below", "at least"), "max": ("above", "at most")}
    words = f"{number(value)} is {side[gate.rule][holds]} {number(gate.limit)}"
    return Finding(Outcome.PASS if holds else Outcome.FAIL, words, shown)


def relative(gate: Gate, measured: Measured, level: float, note: str) -> Finding:
    """Candidate minus baseline, paired: passes when its interval clears the margin, fails when wholly beyond it."""
    shown = interval(_differences(measured), 1 - level)
    margin = signed(-_sign(gate) * gate.limit)
    better = _towards_better(gate, measured)
    what = f"difference {signed(measured.value - (measured.baseline or 0.0))}"
    if shown is not None:
        what += f" [{signed(shown.low)}, {signed(shown.high)}] at {100 * shown.confidence:.4g} %"
    tail = f", {note}" if note else ""
    if shown is None or p_value(better, -gate.limit) > level + 1e-12:
        words = f"{what} does not settle a margin of {margin} with {measured.n:,} rows{tail}"
        return Finding(Outcome.INCONCLUSIVE, words, shown)
    if np.mean(better >= -gate.limit) > 0.5:
        return Finding(Outcome.PASS, f"{what} clears the margin of {margin}{tail}", shown)
    return Finding(Outcome.FAIL, f"{what} is wholly beyond the margin of {margin}{tail}", shown)


def incomparable(gate: Gate, comparison: Comparison) -> Finding | None:
    """The finding of a relative gate that has nothing to compare with, or the same model; None for other gates."""
    if gate.baseline is None:
        return None
    if comparison.kind is not None and gate.baseline != comparison.kind:
        words = f"nothing to compare with: this is a comparison with {comparison.kind}"
        return Finding(Outcome.INCONCLUSIVE, words)
    if comparison.unchanged:
        return Finding(Outcome.PASS, comparison.unchanged)
    if comparison.why_not:
        more = "; as there is a champion, that blocks" if comparison.owed else ""
        words = f"nothing to compare with: {comparison.why_not}{more}"
        return Finding(Outcome.INCONCLUSIVE, words, blocks=comparison.owed)
    return None


def number(value: float) -> str:
    """A number for a sentence: four digits that matter, whole numbers whole."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.4g}"


def signed(value: float) -> str:
    """A difference for a sentence."""
    return f"{value:+.4g}"


def _untestable(gate: Gate, measured: Measured, *, whole: bool) -> Finding | None:
    """Why there is nothing to test; None when there is."""
    name = gate.metric.name
    if measured.n < gate.min_rows:
        words = f"too few rows: {measured.n:,}, and {gate.min_rows:,} are needed to judge"
        return Finding(Outcome.INCONCLUSIVE, words)
    if measured.why_not:
        # On the whole, labels of one class mean a broken split; a slice may well have no positive.
        broken = whole and gate.metric.kind.family == "ranking"
        verdict = Outcome.FAIL if broken else Outcome.INCONCLUSIVE
        return Finding(verdict, f"{name} does not exist: {measured.why_not}")
    if not np.isfinite(measured.value):
        return Finding(Outcome.FAIL, f"{name} is {measured.value}: not a finite number")
    if measured.baseline is not None and not np.isfinite(measured.baseline):
        return Finding(Outcome.INCONCLUSIVE, f"{name} of the baseline is {measured.baseline}: not a finite number")
    return None


def _sign(gate: Gate) -> float:
    """+1 where more is better for this gate."""
    up = gate.metric.higher_is_better if gate.baseline else gate.rule == "min"
    return 1.0 if up else -1.0


def _towards_better(gate: Gate, measured: Measured) -> Floats:
    """The samples a gate tests, so that more is better."""
    return _sign(gate) * (_differences(measured) if gate.baseline else measured.samples)


def _differences(measured: Measured) -> Floats:
    return measured.samples if measured.differences is None else measured.differences
