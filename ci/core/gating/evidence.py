"""All that one judgement of a model looks at, and what its candidate can be compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ci.core.statistics.rows import Pairing, pair

if TYPE_CHECKING:
    from ci.core.records import Baseline, Evaluation, Latency, Mode, OldRows, Task, Training, Validation
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
    old: OldRows | None = None
    old_rows: Rows | None = None
    """The candidate's scores of the champion's own test rows; None where its own test rows hold all of them."""
    old_baseline: Rows | None = None


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


def compare_on_old_rows(evidence: Evidence, new: Comparison) -> Comparison:
    """The same on the champion's own test rows; `new` itself where those are the candidate's, or none are compared."""
    old, rows, baseline = evidence.old, evidence.old_rows or evidence.rows, evidence.old_baseline
    if new.pairing is None:
        return new
    if old is None or rows is None or baseline is None:
        why_not = old.problem if old else "the champion's own test rows are not at hand"
        return Comparison(new.kind, why_not=why_not)
    if old.scored == 0 and old.rows == len(rows):
        return new
    fault = baseline.fault(evidence.task)
    pairing = f"in the champion's predictions of its own test rows, {fault}" if fault else pair(rows, baseline)
    if isinstance(pairing, str):
        return Comparison(new.kind, why_not=pairing)
    return Comparison(new.kind, pairing=replace(pairing, note=f"on {old.words}"))


def _pairing(evidence: Evidence) -> Pairing | str:
    if evidence.rows is None or evidence.baseline_rows is None:
        return "the baseline has no predictions"
    fault = evidence.baseline_rows.fault(evidence.task)
    return f"in the baseline's predictions, {fault}" if fault else pair(evidence.rows, evidence.baseline_rows)
