"""The rows of a verdict's two tables, made from what was measured and found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ci.core.gating import names
from ci.core.records import GateResult, MetricRow, Outcome
from ci.core.statistics.intervals import interval

if TYPE_CHECKING:
    from ci.core.gating.evidence import Comparison
    from ci.core.gating.gateparams import Gate
    from ci.core.gating.rules import Finding
    from ci.core.records import Check, Validation
    from ci.core.statistics.measure import Measured
    from ci.core.statistics.metrics import Metric
    from ci.core.statistics.populations import Population, Slice


def schema(validation: Validation) -> GateResult:
    """The gate of the raw data's schema."""
    kept = f"{validation.rows:,} rows of {validation.columns} columns keep to the schema"
    broken = [f"{one.column or 'table'}: {one.message}" for one in validation.violations]
    more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
    return GateResult(
        gate=names.SCHEMA,
        metric=names.SCHEMA,
        rule="no violation",
        verdict=Outcome.PASS if validation.passed else Outcome.FAIL,
        value=float(len(broken)),
        n=validation.rows,
        reason=kept if validation.passed else f"{broken[0] if broken else 'the schema is broken'}{more}",
        blocks=not validation.passed,
    )


def check(asked: Check) -> GateResult:
    """The gate of a smoke check."""
    return GateResult(
        gate=names.check(asked.name),
        metric=asked.name,
        rule="must hold" if asked.limit is None else f"limit {asked.limit:g}",
        verdict=Outcome.PASS if asked.passed else Outcome.FAIL,
        value=asked.value,
        reason=asked.detail,
        blocks=not asked.passed,
    )


def result(gate: Gate, part: Slice | None, measured: Measured | None, finding: Finding) -> GateResult:
    """A gate's result on one set of rows, from what was measured there (if anything) and found."""
    value = finite(measured.value) if measured else None
    baseline = finite(measured.baseline) if measured and gate.baseline else None
    blocking = gate.on_inconclusive == "block" or finding.blocks
    return GateResult(
        gate=str(gate.name(part.column, part.value) if part else gate.name()),
        metric=gate.metric.label,
        rule=gate.words,
        slice=part.words if part else None,
        verdict=finding.verdict,
        value=value,
        baseline=baseline,
        difference=value - baseline if value is not None and baseline is not None else None,
        interval=finding.interval,
        n=measured.n if measured else None,
        reason=finding.reason,
        blocks=finding.verdict is Outcome.FAIL or (finding.verdict is Outcome.INCONCLUSIVE and blocking),
    )


def metric_row(part: Population, metric: Metric, comparison: Comparison, confidence: float) -> MetricRow:
    """A metric for the report; its intervals are not corrected for multiplicity."""
    own = part.measured[metric]
    paired = part.paired.get(metric) if part.paired else None
    value = finite(own.value)
    baseline, difference, around = None, None, None
    if paired is not None and paired.baseline is not None and paired.differences is not None:
        baseline, difference = finite(paired.baseline), finite(paired.value - paired.baseline)
        around = None if difference is None else interval(paired.differences, confidence)
    elif comparison.unchanged and value is not None:
        baseline, difference = value, 0.0
    return MetricRow(
        metric=metric.label,
        slice=part.slice.words if part.slice else None,
        n=part.n,
        higher_is_better=metric.higher_is_better,
        candidate=value,
        candidate_interval=None if value is None else interval(own.samples, confidence),
        baseline=baseline,
        difference=difference,
        difference_interval=around,
    )


def finite(value: float | None) -> float | None:
    """A number that a record may hold, or None."""
    return float(value) if value is not None and np.isfinite(value) else None
