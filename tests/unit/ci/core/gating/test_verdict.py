from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ci.core.gating.gates import judge
from ci.core.gating.verdict import conclude, exit_code
from ci.core.records import GateResult, Outcome, Problem, Verdict
from ci.core.statistics.curves import curves
from tests.unit.ci.core import cases

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


def gate(name: str, verdict: Outcome, *, blocks: bool = False, **given: Any) -> GateResult:
    blocks = blocks or verdict is FAIL
    return GateResult(gate=name, metric="m", rule="r", verdict=verdict, value=1, reason="so", blocks=blocks, **given)


def concluded(*gates: GateResult, problem: Problem | None = None) -> Verdict:
    return conclude("fraud", cases.evidence(None), gates, (), problem=problem)


def problem(code: int) -> Problem:
    return Problem(model="fraud", stage="train", message="no disk left", exit_code=code)


@pytest.mark.parametrize(
    ("gates", "verdict", "code", "summary"),
    [
        ([gate("a", PASS), gate("b", PASS)], PASS, 0, "fraud passes all 2 gates."),
        ([gate("a", PASS, waived_by="Ada")], PASS, 0, "fraud passes its only gate, 1 waived."),
        (
            [gate("a", PASS), gate("b", INCONCLUSIVE)],
            INCONCLUSIVE,
            0,
            "fraud is inconclusive on 1 of 2 gates, and policy lets it pass: b.",
        ),
        (
            [gate("a", INCONCLUSIVE, blocks=True), gate("b", PASS)],
            INCONCLUSIVE,
            4,
            "fraud is inconclusive on 1 of 2 gates, and policy blocks: a.",
        ),
        (
            [gate("a", INCONCLUSIVE, blocks=True), *(gate(name, FAIL) for name in "bcdef")],
            FAIL,
            3,
            "fraud fails 5 of 6 gates: b, c, d and 2 more.",
        ),
    ],
)
def test_verdict_sentence_and_exit_code(gates: list[GateResult], verdict: Outcome, code: int, summary: str) -> None:
    found = concluded(*gates)
    assert (found.verdict, exit_code([found]), found.summary) == (verdict, code, summary)
    assert found.blocks == (code != 0)


def test_failures_come_first_and_order_is_kept_within() -> None:
    found = concluded(
        gate("p", PASS),
        gate("w", PASS, waived_by="Ada"),
        gate("i", INCONCLUSIVE),
        gate("f", FAIL),
        gate("b", INCONCLUSIVE, blocks=True),
        gate("e", FAIL),
    )
    assert [one.gate for one in found.gates] == ["f", "e", "b", "i", "w", "p"]


@pytest.mark.parametrize(("code", "expected"), [(1, 1), (2, 2), (3, 3)])
def test_a_problem_fails_with_its_exit_code(code: int, expected: int) -> None:
    found = concluded(gate("a", PASS), problem=problem(code))
    assert (found.verdict, found.blocks, exit_code([found])) == (FAIL, True, expected)
    assert found.summary == "fraud fails: stage train stopped: no disk left"
    assert [(one.gate, one.verdict) for one in found.gates] == [("problem", FAIL), ("a", PASS)]


def test_a_problem_is_not_told_twice() -> None:
    found = concluded(gate("schema", FAIL), problem=problem(3))
    assert [one.gate for one in found.gates] == ["schema"]


def test_the_exit_code_of_several_is_the_worst() -> None:
    passes, refused = concluded(gate("a", PASS)), concluded(gate("a", FAIL))
    undecided, broken = concluded(gate("a", INCONCLUSIVE, blocks=True)), concluded(problem=problem(2))
    assert exit_code([]) == 0
    assert exit_code([passes, undecided]) == 4
    assert exit_code([undecided, refused, passes]) == 3
    assert exit_code([refused, broken]) == 2
    unsure = concluded(gate("a", INCONCLUSIVE))
    assert [exit_code([unsure, passes], decided=decided) for decided in (False, True)] == [0, 4]
    assert exit_code([passes], decided=True) == 0


def test_the_record_survives_its_file() -> None:
    label, score = cases.scored(500)
    evidence = cases.evidence(cases.rows(label, score), cases.rows(label, score[::-1]))
    gates, metrics = judge(cases.gates("- {metric: roc_auc, min: 0.5}"), evidence, cases.root())
    found = conclude("a", evidence, gates, metrics, curves=curves(evidence), seconds={"train": 1.5}, cached=("train",))
    assert Verdict.model_validate_json(found.model_dump_json()) == found
    assert (found.candidate_hash, found.seconds, found.cached) == ("new", {"train": 1.5}, ("train",))


def test_curves_of_candidate_baseline_and_loss() -> None:
    label, score = cases.scored(5000)
    drawn = {
        (curve.name, curve.series): curve
        for curve in curves(cases.evidence(cases.rows(label, score), cases.rows(label, 1 - score)))
    }
    assert set(drawn) == {
        (name, series) for name in ("precision_recall", "calibration") for series in ("candidate", "baseline")
    } | {("loss", "train"), ("loss", "validation")}
    ranked = drawn["precision_recall", "candidate"]
    assert len(ranked.x) == 200
    assert list(ranked.x) == sorted(ranked.x)
    assert ranked.x[-1] == 1
    best = drawn["precision_recall", "candidate"].y[50]
    assert best > drawn["precision_recall", "baseline"].y[50]
    calibrated = drawn["calibration", "candidate"]
    assert len(calibrated.x) == 10
    assert np.mean(calibrated.y) == pytest.approx(label.mean(), abs=0.001)
    assert drawn["loss", "train"].y == (1, 1 / 2, 1 / 3)


@pytest.mark.parametrize("label", [[0, 0, 0], [1, 1, 1]])
def test_one_class_and_broken_scores_have_no_curves(label: list[int]) -> None:
    evidence = cases.evidence(cases.rows(label, [0.1, 0.2, 0.3]), cases.rows([0, 1, 0], [np.nan, 0.2, 0.3]))
    assert {curve.name for curve in curves(evidence)} == {"loss"}
