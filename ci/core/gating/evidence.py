"""All that one judgement of a model looks at, and what its candidate can be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.core.statistics.rows import Pairing, pair

if TYPE_CHECKING:
    from ci.core.records import Baseline, Evaluation, Latency, Mode, Task, Training, Validation
    from ci.core.statistics.rows import Rows


@dataclass(frozen=True)
class Evidence:
    """The records of a candidate and of its baseline; what a stage that stopped did not write is None."""

    mode: Mode
    task: Task
    validation: Validation | None = None
    training: Training | None = None
    evaluation: Evaluation | None = None
    latency: Latency | None = None
    rows: Rows | None = None
    baseline: Baseline | None = None
    baseline_training: Training | None = None
    baseline_rows: Rows | None = None


@dataclass(frozen=True)
class Comparison:
    """What relative gates compare with: one model (`unchanged`), rows in pairs, or nothing (`why_not`)."""

    kind: str | None
    unchanged: str | None = None
    pairing: Pairing | None = None
    why_not: str | None = None


def compare(evidence: Evidence) -> Comparison:
    """What there is to compare with, and in words what there is not."""
    baseline, training = evidence.baseline, evidence.training
    if baseline is None:
        return Comparison(None, why_not="no baseline was given")
    if baseline.status == "missing":
        return Comparison(baseline.kind, why_not=baseline.reason)
    their = evidence.baseline_training
    theirs = baseline.model_hash or (their.model_hash if their else None)
    if baseline.status == "unchanged" or (training is not None and theirs == training.model_hash):
        return Comparison(baseline.kind, unchanged=f"unchanged: the candidate is the very model of {baseline.kind}")
    pairing = _pairing(evidence)
    if isinstance(pairing, str):
        return Comparison(baseline.kind, why_not=pairing)
    return Comparison(baseline.kind, pairing=pairing)


def _pairing(evidence: Evidence) -> Pairing | str:
    if evidence.rows is None or evidence.baseline_rows is None:
        return "the baseline has no predictions"
    fault = evidence.baseline_rows.fault(evidence.task)
    return f"in the baseline's predictions, {fault}" if fault else pair(evidence.rows, evidence.baseline_rows)
