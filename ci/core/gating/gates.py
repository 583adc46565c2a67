"""The judgement of one model: every gate's verdict with its reason, and every metric with its interval."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ci.core.gating.evidence import compare, compare_on_old_rows
from ci.core.gating.gateparams import OLD_ROWS
from ci.core.gating.recordgates import on_record
from ci.core.gating.results import check, metric_row, result, schema
from ci.core.gating.rules import Finding, family, incomparable
from ci.core.records import GateResult, MetricRow, Outcome
from ci.core.statistics.measure import Resampling
from ci.core.statistics.populations import populations, slices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.core.gating.evidence import Comparison, Evidence
    from ci.core.gating.gateparams import Gate
    from ci.core.params import Root
    from ci.core.records import Mode
    from ci.core.statistics.populations import Population, Slice
    from ci.core.statistics.rows import Rows

Judgement = tuple[tuple[GateResult, ...], tuple[MetricRow, ...]]


def judge(gates: Sequence[Gate], evidence: Evidence, root: Root) -> Judgement:
    """The verdicts of the gates of this mode, schema and smoke checks first, and the metrics they rest on.

    Gates on what a stopped stage did not write are left out. Raises ConfigurationError for a slice of too many values.
    """
    mine = [gate for gate in gates if evidence.mode in gate.modes]
    comparison = compare(evidence)
    results = [schema(evidence.validation)] if evidence.validation else []
    results += [check(one) for record in (evidence.training, evidence.evaluation) if record for one in record.checks]
    if evidence.training is not None:
        numbers = [gate for gate in mine if gate.metric.kind.family == "record"]
        results += [on_record(gate, evidence, evidence.training, comparison) for gate in numbers]
    if evidence.rows is None:
        return tuple(results), ()
    over_rows = [gate for gate in mine if gate.metric.kind.family != "record"]
    found, metrics = _judge_rows(over_rows, evidence, evidence.rows, comparison, root)
    return (*results, *found), metrics


def columns(gates: Sequence[Gate], mode: Mode) -> tuple[frozenset[str], frozenset[str]]:
    """The columns of predictions.parquet that gates of a mode read: as words, and as days."""
    mine = [gate for gate in gates if mode in gate.modes]
    words = {column for gate in mine for column in (*gate.slices, gate.metric.card, gate.metric.group) if column}
    return frozenset(words), frozenset(gate.metric.time for gate in mine if gate.metric.time)


def _judge_rows(gates: Sequence[Gate], evidence: Evidence, rows: Rows, comparison: Comparison, root: Root) -> Judgement:
    """Gates on metrics that are taken over evaluation rows."""
    fault = rows.fault(evidence.task)
    if fault is not None:
        return tuple(result(gate, None, None, Finding(Outcome.FAIL, fault)) for gate in gates), ()
    how = Resampling(root.defaults.gates.resamples, root.defaults.seed)
    on_old = compare_on_old_rows(evidence, comparison)
    apart = [gate for gate in gates if gate.rows == "old"] if on_old is not comparison else []
    mine = [gate for gate in gates if gate not in apart]
    confidence = root.defaults.gates.confidence
    results, metrics = _judge_all(mine, evidence, rows, comparison, how, confidence)
    if apart:
        more, lines = _judge_old_rows(apart, evidence, on_old, how, confidence)
        results, metrics = (*results, *more), (*metrics, *lines)
    return results, metrics


def _judge_old_rows(
    gates: Sequence[Gate], evidence: Evidence, comparison: Comparison, how: Resampling, confidence: float
) -> Judgement:
    """Gates on the rows that the champion was judged on, which are not the candidate's own."""
    if comparison.pairing is None:
        refusals = [(gate, incomparable(gate, comparison)) for gate in gates]
        return tuple(result(gate, None, None, refusal) for gate, refusal in refusals if refusal), ()
    rows = comparison.pairing.rows
    fault = rows.fault(evidence.task)
    if fault is not None:
        words = f"on the champion's own test rows, {fault}"
        return tuple(result(gate, None, None, Finding(Outcome.FAIL, words)) for gate in gates), ()
    results, lines = _judge_all(gates, evidence, rows, comparison, how, confidence)
    named = [
        line.model_copy(update={"slice": f"{line.slice}, {OLD_ROWS}" if line.slice else OLD_ROWS}) for line in lines
    ]
    return results, tuple(named)


def _judge_all(
    gates: Sequence[Gate], evidence: Evidence, rows: Rows, comparison: Comparison, how: Resampling, confidence: float
) -> Judgement:
    """Every gate on its parts of these rows, and every metric of every part."""
    found = populations(gates, evidence.task, rows, comparison, how)
    results = (one for gate in gates for one in _judge_gate(gate, _parts(gate, rows, found), comparison))
    metrics = (metric_row(part, metric, comparison, confidence) for part in found.values() for metric in part.measured)
    return tuple(results), tuple(metrics)


def _parts(gate: Gate, rows: Rows, found: Mapping[Slice | None, Population]) -> list[Population]:
    """The sets of rows that a gate asks."""
    return [found[one] for column in gate.slices for one in slices(rows, column)] or [found[None]]


def _judge_gate(gate: Gate, parts: Sequence[Population], comparison: Comparison) -> list[GateResult]:
    """A gate's results on its slices, or on the whole."""
    measured = [part.measured[gate.metric] for part in parts]
    refusal = incomparable(gate, comparison)
    if refusal is not None:
        same = refusal.verdict is Outcome.PASS  # one model has one value
        measured = [replace(one, baseline=one.value if same else None) for one in measured]
        findings = [refusal] * len(parts)
    else:
        if gate.baseline is not None:
            measured = [
                part.paired[gate.metric] if part.paired else replace(one, n=0)  # the baseline has no row of this slice
                for part, one in zip(parts, measured, strict=True)
            ]
        findings = family(gate, measured, comparison.pairing.note if comparison.pairing else "")
    return [
        result(gate, part.slice, one, finding) for part, one, finding in zip(parts, measured, findings, strict=True)
    ]
