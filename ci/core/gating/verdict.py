"""From gates to one verdict of a model, told in one sentence, and the exit code it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.core.gating import names
from ci.core.records import Change, GateResult, Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.core.gating.evidence import Evidence
    from ci.core.records import Curve, MetricRow, Problem, Waiver

MOST_NAMES = 3
WORST_FIRST = (1, 2, 3, 4)
"""What a person must mend hides what a gate would say."""


def conclude(
    model: str,
    evidence: Evidence,
    gates: Sequence[GateResult],
    metrics: Sequence[MetricRow],
    *,
    curves: Sequence[Curve] = (),
    problem: Problem | None = None,
    waivers: Sequence[Waiver] = (),
    commit: str | None = None,
    base_commit: str | None = None,
    change: Change | None = None,
    seconds: Mapping[str, float] | None = None,
    cached: Sequence[str] = (),
) -> Verdict:
    """The whole record: fails when a gate fails or a stage stopped, is inconclusive when a gate is, else passes."""
    results = [*gates]
    if problem is not None and not any(result.verdict is Outcome.FAIL for result in results):
        results.append(_stopped(problem))
    results.sort(key=_rank)
    verdict, blocks = overall(results)
    records = (evidence.training, evidence.evaluation)
    return Verdict(
        model=model,
        mode=evidence.mode,
        task=evidence.task,
        commit=commit,
        base_commit=base_commit,
        candidate_hash=evidence.training.model_hash if evidence.training else None,
        verdict=verdict,
        blocks=blocks,
        summary=_summary(model, results, verdict, problem),
        gates=tuple(results),
        metrics=tuple(metrics),
        checks=tuple(check for record in records if record is not None for check in record.checks),
        violations=evidence.validation.violations if evidence.validation else (),
        waivers=tuple(waivers),
        baseline=evidence.baseline,
        old=evidence.old,
        change=change or Change(),
        curves=tuple(curves),
        seconds=dict(seconds or {}),
        cached=tuple(cached),
        problem=problem,
    )


def exit_code(verdicts: Sequence[Verdict], *, decided: bool = False) -> int:
    """The worst of several: 1 or 2 where a stage stopped for that, 3 refused, 4 inconclusive and it blocks, or 0.

    With `decided` whatever is inconclusive blocks.
    """
    codes = {_exit_code(verdict, decided=decided) for verdict in verdicts}
    return next((code for code in WORST_FIRST if code in codes), 0)


def _exit_code(verdict: Verdict, *, decided: bool) -> int:
    if verdict.problem is not None and verdict.problem.exit_code in (1, 2):
        return verdict.problem.exit_code
    if verdict.verdict is Outcome.FAIL:
        return 3
    return 4 if verdict.blocks or (decided and verdict.verdict is Outcome.INCONCLUSIVE) else 0


def inconclusive(model: str, results: Sequence[GateResult], policy: str = "") -> str:
    """On which gates, and what `policy` makes of that where it has a say; no sentence yet."""
    undecided = [result for result in results if result.verdict is Outcome.INCONCLUSIVE]
    return f"{model} is inconclusive on {_of(undecided, results)}{policy}: {_listed(undecided)}"


def overall(results: Sequence[GateResult]) -> tuple[Outcome, bool]:
    """What gates come to together: the worst verdict, and whether any of them blocks."""
    blocks = any(result.blocks for result in results)
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        if any(result.verdict is outcome for result in results):
            return outcome, blocks
    return Outcome.PASS, blocks


def _stopped(problem: Problem) -> GateResult:
    return GateResult(
        gate=names.PROBLEM,
        metric=problem.stage,
        rule="every stage ends well",
        verdict=Outcome.FAIL,
        value=None,
        reason=f"stage {problem.stage} stopped: {problem.message}",
        blocks=True,
    )


def _rank(result: GateResult) -> int:
    """What a person must see first: failures, what blocks undecided, what is undecided, what was waived."""
    if result.verdict is Outcome.FAIL:
        return 0
    if result.verdict is Outcome.INCONCLUSIVE:
        return 1 if result.blocks else 2
    return 3 if result.waived_by else 4


def _summary(model: str, results: Sequence[GateResult], verdict: Outcome, problem: Problem | None) -> str:
    failing = [result for result in results if result.verdict is Outcome.FAIL]
    if problem is not None:
        return f"{model} fails: stage {problem.stage} stopped: {problem.message}"
    if verdict is Outcome.FAIL:
        return f"{model} fails {_of(failing, results)}: {_listed(failing)}."
    if verdict is Outcome.INCONCLUSIVE:
        policy = "blocks" if any(result.blocks for result in results) else "lets it pass"
        return f"{inconclusive(model, results, f', and policy {policy}')}."
    waived = sum(result.waived_by is not None for result in results)
    every = "its only gate" if len(results) == 1 else f"all {len(results)} gates"
    return f"{model} passes {every}{f', {waived} waived' if waived else ''}."


def _of(some: Sequence[GateResult], results: Sequence[GateResult]) -> str:
    return f"{len(some)} of {len(results)} gates"


def _listed(results: Sequence[GateResult]) -> str:
    more = len(results) - MOST_NAMES
    shown = ", ".join(result.gate for result in results[:MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown
