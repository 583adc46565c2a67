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
    """What relative gates compare with: one model (`unchanged`), rows in pairs, or nothing (`why_not`).

    `owed` where there is a champion: what it serves is not replaced by what it was not compared with.
    """

    kind: str | None
    unchanged: str | None = None
    pairing: Pairing | None = None
    why_not: str | None = None
    owed: bool = False


def compare(evidence: Evidence) -> Comparison:
    """What there is to compare with, and in words what there is not."""
    baseline = evidence.baseline
    if baseline is None:
        return Comparison(None, why_not="no baseline was given")
    owed = baseline.kind == "champion" and baseline.commit is not None
    if baseline.status == "missing":
        return Comparison(baseline.kind, why_not=baseline.reason, owed=owed)
    if baseline.status == "unchanged":
        words = f"unchanged: model and predictions are those of {baseline.kind}, byte for byte"
        return Comparison(baseline.kind, unchanged=words)
    pairing = _pairing(evidence)
    if isinstance(pairing, str):
        return Comparison(baseline.kind, why_not=pairing, owed=owed)
    return Comparison(baseline.kind, pairing=pairing)


def _pairing(evidence: Evidence) -> Pairing | str:
    if evidence.rows is None or evidence.baseline_rows is None:
        return "the baseline has no predictions"
    fault = evidence.baseline_rows.fault(evidence.task)
    return f"in the baseline's predictions, {fault}" if fault else pair(evidence.rows, evidence.baseline_rows)
