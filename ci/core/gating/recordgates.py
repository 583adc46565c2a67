"""Gates on numbers that records hold: latency, size, training rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ci.core.gating.results import result
from ci.core.gating.rules import Finding, bound, incomparable, number, signed
from ci.core.records import GateResult, Outcome
from ci.core.statistics.measure import Measured

if TYPE_CHECKING:
    from ci.core.gating.evidence import Comparison, Evidence
    from ci.core.gating.gateparams import Gate
    from ci.core.records import Training


def on_record(gate: Gate, evidence: Evidence, training: Training, comparison: Comparison) -> GateResult:
    """A gate on a number of the candidate's records; compared as it is, for it has no sampling error."""
    if gate.metric.name.startswith("latency"):
        return _latency(gate, evidence, training)
    value = _number(gate, training)
    if gate.baseline is None:
        return _result(gate, value, None, bound(gate, value))
    theirs = evidence.baseline_training
    refusal = incomparable(gate, comparison if theirs is None else replace(comparison, why_not=None))
    if refusal is not None:
        return _result(gate, value, value if refusal.verdict is Outcome.PASS else None, refusal)
    if theirs is None:
        words = "nothing to compare with: the baseline has no training.json"
        return _result(gate, value, None, Finding(Outcome.INCONCLUSIVE, words))
    baseline = _number(gate, theirs)
    worse = baseline - value if gate.metric.higher_is_better else value - baseline
    words = f"{number(value)} against {number(baseline)}: {signed(value - baseline)}"
    return _result(gate, value, baseline, Finding(Outcome.PASS if worse <= gate.limit else Outcome.FAIL, words))


def _latency(gate: Gate, evidence: Evidence, training: Training) -> GateResult:
    latency = evidence.latency
    if latency is None or latency.model_hash != training.model_hash:
        words = "latency of this model was not measured on this machine; run `trunkline check`"
        return result(gate, None, None, Finding(Outcome.INCONCLUSIVE, words))
    value = latency.p50_ms if gate.metric.name == "latency_p50_ms" else latency.p99_ms
    return _result(gate, value, None, bound(gate, value))


def _number(gate: Gate, training: Training) -> float:
    return float(training.size_bytes if gate.metric.name == "size_bytes" else training.rows)


def _result(gate: Gate, value: float, baseline: float | None, finding: Finding) -> GateResult:
    measured = Measured(0, value, np.empty(0), baseline=baseline)
    return result(gate, None, measured, finding).model_copy(update={"n": None})
