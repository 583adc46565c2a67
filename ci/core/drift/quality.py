"""Gate metrics of a window's labelled rows beside those of the reference's: two samples, each resampled by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift.lapses import lapse
from ci.core.drift.records import QualityRow
from ci.core.gating import names
from ci.core.gating.results import finite
from ci.core.gating.rules import number, signed
from ci.core.records import Outcome
from ci.core.statistics.intervals import holm, interval, p_value
from ci.core.statistics.measure import measure
from ci.core.statistics.metrics import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.core.drift.rules import Rules
    from ci.core.gating.gateparams import Gate
    from ci.core.records import Task
    from ci.core.statistics.measure import Measured, Resampling
    from ci.core.statistics.metrics import Metric
    from ci.core.statistics.rows import Floats, Rows

MOST_ROWS = 200_000
"""Of either side; of more, every k-th is taken: more would be certain of less than any margin."""

LEAST_OF_EACH = 100
"""Rows of each class on either side of a binary task, of a slice too: fewer measure no model (Vergouwe and others
2005), and an interval that takes a few clusters of them for independent is too narrow."""

Part = tuple[str, str] | None
"""A slice as column and value; None is the whole."""


@dataclass(frozen=True)
class _Pair:
    part: Part
    window: Measured
    reference: Measured
    margin: float

    @property
    def why_not(self) -> str | None:
        """Why there is no value on one side."""
        for side, one in (("window", self.window), ("reference", self.reference)):
            if one.why_not or not np.isfinite(one.value):
                return f"it does not exist on the {side}: {one.why_not or one.value}"
        return None


def quality(
    gates: Sequence[Gate],
    task: Task,
    window: Rows,
    reference: Rows,
    rules: Rules,
    how: Resampling,
    confidence: float,
    time: str | None = None,
) -> tuple[QualityRow, ...]:
    """Every metric that a gate asks of evaluation rows, on the whole and on slices, window against reference.

    A row fails when the interval of the difference (window minus reference) lies wholly beyond the margin, that of
    `rules.quality` beyond what the reference's rows lose in the worst of their seasons (by the column `time`, where
    they have it), passes when it clears it, and is inconclusive otherwise, or below `rules.least_rows` on either side,
    or fewer than `LEAST_OF_EACH` rows of a class. The slices of one metric are tested together (Holm). What a metric
    reads besides label and score both sides have to have; a metric or slice of which a column lacks is left out. Where
    rows of one side are no rows to judge by (`Rows.fault`), each row says so.
    """
    window, reference = _thinned(window), _thinned(reference)
    fault = window.fault(task) or reference.fault(task)
    rows: list[QualityRow] = []
    for metric, parts in _asked(gates, task, window, reference, rules).items():
        if fault is not None:
            rows.append(_unjudged(metric, len(window), len(reference), fault))
            continue
        rows += _family(metric, parts, task, window, reference, rules, how, confidence, time)
    return tuple(rows)


def _family(
    metric: Metric,
    parts: Sequence[Part],
    task: Task,
    window: Rows,
    reference: Rows,
    rules: Rules,
    how: Resampling,
    confidence: float,
    time: str | None,
) -> list[QualityRow]:
    """One metric on the whole, tested alone, and on its slices, tested together."""
    found = []
    for family in ([part for part in parts if part is None], [part for part in parts if part is not None]):
        pairs, few = [], []
        for part in family:
            own, theirs = _within(part, window), _within(part, reference)
            if (why := _few(task, own, theirs, rules)) is not None:
                few.append(_unjudged(metric, len(own), len(theirs), why, part))
                continue
            name = names.slice_of(*part) if part else "all"
            mine = measure(own, None, (metric,), how, f"window {name}")[metric]
            known = measure(theirs, None, (metric,), how, f"reference {name}")[metric]
            margin = rules.quality.margin + lapse(metric, theirs, known, time, rules, how)
            pairs.append(_Pair(part, mine, known, margin))
        found += _judged(metric, pairs, 1 - confidence) + few
    return found


def _judged(metric: Metric, pairs: Sequence[_Pair], alpha: float) -> list[QualityRow]:
    testable = [pair for pair in pairs if pair.why_not is None]
    better = [_better(metric, pair) for pair in testable]
    levels = holm([p_value(samples, -pair.margin) for pair, samples in zip(testable, better, strict=True)], alpha)
    rows = [
        _unjudged(metric, pair.window.n, pair.reference.n, pair.why_not, pair.part)
        for pair in pairs
        if pair.why_not is not None
    ]
    for pair, samples, level in zip(testable, better, levels, strict=True):
        rows.append(_row(metric, pair, samples, level))
    return rows


def _row(metric: Metric, pair: _Pair, better: Floats, level: float) -> QualityRow:
    margin = pair.margin
    difference = pair.window.value - pair.reference.value
    around = interval(pair.window.samples - pair.reference.samples, 1 - level)
    certain = around is not None and p_value(better, -margin) <= level + 1e-12
    verdict = Outcome.INCONCLUSIVE
    if certain:
        verdict = Outcome.PASS if np.mean(better >= -margin) > 0.5 else Outcome.FAIL
    words = {
        Outcome.PASS: f"clears a margin of {margin:.3g}",
        Outcome.FAIL: f"is wholly beyond a margin of {margin:.3g}",
        Outcome.INCONCLUSIVE: f"does not settle a margin of {margin:.3g}",
    }
    name = f"{metric.label} of {names.slice_of(*pair.part)}" if pair.part else metric.label
    bounds = f" [{signed(around.low)}, {signed(around.high)}]" if around else ""
    reason = (
        f"{name} is {number(pair.window.value)} on {pair.window.n:,} labelled rows, {number(pair.reference.value)} on "
        f"the reference: {signed(difference)}{bounds} {words[verdict]}"
    )
    return QualityRow(
        metric=metric.label,
        slice=names.slice_of(*pair.part) if pair.part else None,
        higher_is_better=metric.higher_is_better,
        n=pair.window.n,
        value=finite(pair.window.value),
        n_reference=pair.reference.n,
        reference=finite(pair.reference.value),
        difference=finite(difference),
        margin=margin,
        interval=around,
        verdict=verdict,
        reason=reason,
    )


def _few(task: Task, window: Rows, reference: Rows, rules: Rules) -> str | None:
    """Of what there is too little to judge by."""
    for side, rows in (("labelled rows", window), ("rows of the reference", reference)):
        if len(rows) < rules.least_rows:
            return f"{len(rows):,} {side} are too few, {rules.least_rows:,} are needed"
    if task == "binary":
        for side, rows in (("labelled rows", window), ("rows of the reference", reference)):
            for label, name in ((1, "positive"), (0, "negative")):
                if (there := int(np.count_nonzero(rows.label == label))) < LEAST_OF_EACH:
                    return f"{there:,} {name} {side} are too few, {LEAST_OF_EACH} are needed"
    return None


def _unjudged(metric: Metric, n: int, n_reference: int, why: str | None, part: Part = None) -> QualityRow:
    return QualityRow(
        metric=metric.label,
        slice=names.slice_of(*part) if part else None,
        higher_is_better=metric.higher_is_better,
        n=n,
        value=None,
        n_reference=n_reference,
        reference=None,
        verdict=Outcome.INCONCLUSIVE,
        reason=f"not judged: {why}",
    )


def _asked(
    gates: Sequence[Gate], task: Task, window: Rows, reference: Rows, rules: Rules
) -> Mapping[Metric, tuple[Part, ...]]:
    """The metrics that gates ask for, else those that reports show, each on the whole and on its slices."""
    over_rows = [gate for gate in gates if gate.metric.kind.family != "record"]
    columns: dict[Metric, dict[str, None]] = {gate.metric: {} for gate in over_rows}
    for gate in over_rows:
        columns[gate.metric] |= dict.fromkeys((*gate.slices, *rules.slices))
    if not columns:
        columns = {metric: dict.fromkeys(rules.slices) for metric in shown(task)}
    there = {*window.columns, *window.days} & {*reference.columns, *reference.days}
    return {
        metric: (
            None,
            *(part for name in sliced if name in window.columns and name in there for part in _values(name, window)),
        )
        for metric, sliced in columns.items()
        if set(metric.columns) <= there
    }


def _values(column: str, rows: Rows) -> list[tuple[str, str]]:
    """The slices of a column, in the order of its values."""
    values = rows.columns[column]
    return [(column, name) for name in sorted(values.values[code] for code in np.unique(values.codes))]


def _better(metric: Metric, pair: _Pair) -> Floats:
    """Samples of the difference, more of which is better."""
    samples = pair.window.samples - pair.reference.samples
    return samples if metric.higher_is_better else -samples


def _within(part: Part, rows: Rows) -> Rows:
    if part is None:
        return rows
    column, value = part
    own = rows.columns[column]
    code = own.values.index(value) if value in own.values else -1
    return rows.take(np.flatnonzero(own.codes == code))


def _thinned(rows: Rows) -> Rows:
    step = -(-len(rows) // MOST_ROWS)
    return rows if step <= 1 else rows.take(np.arange(0, len(rows), step))
