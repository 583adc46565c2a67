from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ci.core.errors import ConfigurationError
from ci.core.gating.gates import columns, judge
from ci.core.gating.rules import family
from ci.core.gating.waivers import apply as waive
from ci.core.records import Baseline, Check, OldRows, Outcome, Validation, Violation, Waiver
from ci.core.statistics import measure as measuring
from tests.unit.ci.core import cases

if TYPE_CHECKING:
    from ci.core.records import GateResult

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
NO_WORSE = "no_worse_than: {baseline: merge_base, margin: %s}"


def judged(text: str, evidence: Any, **given: Any) -> list[GateResult]:
    """The results of gates `- {...}` or of one gate, without the schema's."""
    lines = text if text.startswith("-") else f"- {{{text}}}"
    results, _ = judge(cases.gates(lines, evidence.task, **given), evidence, cases.root(**given))
    return [result for result in results if result.gate != "schema"]


def one(text: str, evidence: Any, **given: Any) -> GateResult:
    (result,) = judged(text, evidence, **given)
    return result


def two(n: int = 1000, *, better: float = 1.5, worse: float = 1.5, **columns: Any) -> tuple[Any, Any]:
    """Candidate and baseline on the same rows."""
    label, candidate = cases.scored(n, lift=better)
    rng = np.random.default_rng(99)
    baseline = 1 / (1 + np.exp(-(worse * label + rng.normal(size=n) - 1)))
    return cases.rows(label, candidate, **columns), cases.rows(label, baseline)


def spy(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Name and baseline of every set of rows that is measured."""
    calls: list[tuple[str, Any]] = []

    def measure(rows: Any, baseline: Any, metrics: Any, how: Any, name: str) -> Any:
        calls.append((name, baseline))
        return measuring.measure(rows, baseline, metrics, how, name)

    monkeypatch.setattr("ci.core.statistics.populations.measure", measure)
    return calls


@pytest.mark.parametrize(
    ("rule", "verdict", "words"),
    [
        ("min: 0.7", PASS, "0.8597 is at least 0.7"),
        ("min: 0.9", FAIL, "0.8597 is below 0.9"),
        ("max: 0.9", PASS, "0.8597 is at most 0.9"),
        ("max: 0.7", FAIL, "0.8597 is above 0.7"),
    ],
)
def test_absolute_gates_hold_the_point_value_to_the_limit(rule: str, verdict: Outcome, words: str) -> None:
    result = one(f"metric: roc_auc, {rule}", cases.evidence(two()[0]))
    assert (result.verdict, result.reason) == (verdict, words)
    assert result.blocks == (verdict is FAIL)
    assert result.interval is not None
    assert result.value is not None
    assert result.interval.low < result.value < result.interval.high
    assert result.interval.confidence == 0.95


def test_too_few_rows_are_inconclusive_and_policy_says_whether_that_blocks() -> None:
    evidence = cases.evidence(cases.rows(*cases.scored(80)))
    result = one("metric: roc_auc, min: 0.99", evidence)
    assert result.verdict is INCONCLUSIVE
    assert result.reason == "too few rows: 80, and 100 are needed to judge"
    assert not result.blocks
    assert one("metric: roc_auc, min: 0.99, on_inconclusive: block", evidence).blocks
    assert one("metric: roc_auc, min: 0.99", evidence, on_inconclusive="block").blocks
    assert one("metric: roc_auc, min: 0.5, min_rows: 80", evidence).verdict is PASS


@pytest.mark.parametrize(
    ("better", "worse", "verdict", "words"),
    [
        (2.5, 1.0, PASS, "clears the margin of -0.02"),
        (1.0, 2.5, FAIL, "is wholly beyond the margin of -0.02"),
        (1.5, 1.6, INCONCLUSIVE, "does not settle a margin of -0.02 with 1,000 rows"),
    ],
)
def test_relative_gates_ask_the_interval_of_the_difference(
    better: float, worse: float, verdict: Outcome, words: str
) -> None:
    result = one(f"metric: roc_auc, {NO_WORSE % 0.02}", cases.evidence(*two(better=better, worse=worse)))
    assert result.verdict is verdict
    assert words in result.reason
    assert result.rule == "no worse than merge_base by 0.02"
    assert result.interval is not None
    assert result.difference is not None
    assert result.interval.low < result.difference < result.interval.high


def test_where_lower_is_better_worse_means_more() -> None:
    evidence = cases.evidence(*two(better=1.0, worse=2.5))
    result = one(f"metric: log_loss, {NO_WORSE % 0.01}", evidence)
    assert result.verdict is FAIL
    assert "margin of +0.01" in result.reason
    assert result.difference is not None
    assert result.difference > 0
    assert one(f"metric: log_loss, {NO_WORSE % 0.01}", cases.evidence(*two(better=2.5, worse=1.0))).verdict is PASS


def test_same_scores_of_another_model_pass_a_margin_of_nothing() -> None:
    mine, _ = two()
    assert one(f"metric: roc_auc, {NO_WORSE % 0}", cases.evidence(mine, mine)).verdict is PASS


def test_one_model_is_unchanged_and_not_compared_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, _ = two()
    evidence = cases.evidence(mine, mine, baseline_training=cases.training("new"))
    same = Baseline(kind="merge_base", status="unchanged", model_hash="new", reason="the merge base")
    calls = spy(monkeypatch)
    results, metrics = judge(
        cases.gates(f"- {{metric: roc_auc, {NO_WORSE % 0}}}\n- {{metric: size_bytes, {NO_WORSE % 0}}}"),
        cases.evidence(mine, mine, baseline=same, baseline_training=evidence.baseline_training),
        cases.root(),
    )
    for result in results[1:]:
        assert result.verdict is PASS
        assert result.reason == "unchanged: model and predictions are those of merge_base, byte for byte"
        assert result.difference == 0
    assert [baseline for _, baseline in calls] == [None]
    assert {(row.difference, row.difference_interval) for row in metrics} == {(0.0, None)}


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (None, "nothing to compare with: no baseline was given"),
        (
            Baseline(kind="merge_base", status="missing", reason="this clone is shallow"),
            "nothing to compare with: this clone is shallow",
        ),
        (
            Baseline(kind="champion", status="compared", reason="production", model_hash="old"),
            "nothing to compare with: this is a comparison with champion",
        ),
    ],
)
def test_without_a_baseline_relative_gates_are_inconclusive(baseline: Baseline | None, words: str) -> None:
    mine, theirs = two()
    lines = f"- {{metric: roc_auc, {NO_WORSE % 0.01}}}\n- {{metric: rows, {NO_WORSE % 10}}}"
    results = judged(lines, cases.evidence(mine, theirs, baseline=baseline, baseline_training=None))
    assert [(result.verdict, result.reason) for result in results] == [(INCONCLUSIVE, words)] * 2
    assert all(result.baseline is None and result.difference is None for result in results)


@pytest.mark.parametrize(("commit", "blocks"), [("c" * 40, True), (None, False)])
def test_a_champion_that_cannot_be_compared_with_blocks_whatever_the_policy(commit: str | None, blocks: bool) -> None:
    missing = Baseline(kind="champion", status="missing", commit=commit, reason="cannot be evaluated")
    evidence = cases.evidence(two()[0], mode="full", baseline=missing)
    champion = "no_worse_than: {baseline: champion, margin: 0.01}"
    gates = f"- {{metric: roc_auc, {champion}}}\n- {{metric: rows, {champion}}}"
    results = judged(gates, evidence, on_inconclusive="warn")
    assert [(result.verdict, result.blocks) for result in results] == [(INCONCLUSIVE, blocks)] * 2
    assert all(result.reason.startswith("nothing to compare with: cannot be evaluated") for result in results)
    waivers = [
        Waiver(gate=result.gate, reason="r", who="dana", expires="2999-01-01", expired=False, file="w.yaml")
        for result in results
    ]
    assert not any(result.blocks for result in waive(results, waivers))


def test_rows_of_a_champion_that_cannot_be_paired_block_too() -> None:
    mine, theirs = two()
    baseline = Baseline(kind="champion", status="compared", commit="c" * 40, reason="the champion")
    other = cases.rows(theirs.label, theirs.score, ids=np.arange(5000, 6000))
    evidence = cases.evidence(mine, other, mode="full", baseline=baseline)
    result = one("metric: roc_auc, no_worse_than: {baseline: champion, margin: 0.01}", evidence)
    assert (result.verdict, result.blocks) == (INCONCLUSIVE, True)


def test_rows_are_paired_by_id_and_what_is_missing_is_said() -> None:
    mine, theirs = two()
    shuffled = np.random.default_rng(1).permutation(1000)
    gate = f"metric: roc_auc, {NO_WORSE % 0.2}"
    whole = one(gate, cases.evidence(mine, theirs))
    assert one(gate, cases.evidence(mine, theirs.take(shuffled))) == whole
    part = one(gate, cases.evidence(mine, theirs.take(shuffled[:600])))
    assert part.n == 600
    assert part.reason.endswith("on the 600 of 1,000 evaluation rows that the baseline has too")
    few = one(gate, cases.evidence(mine, theirs.take(shuffled[:90])))
    assert (few.verdict, few.reason) == (INCONCLUSIVE, "too few rows: 90, and 100 are needed to judge")


def test_metrics_of_partly_shared_rows_keep_the_candidates_own_value() -> None:
    mine, theirs = two()
    _, whole = judge((), cases.evidence(mine, theirs), cases.root())
    _, part = judge((), cases.evidence(mine, theirs.take(np.arange(600))), cases.root())
    for before, after in zip(whole, part, strict=True):
        assert (before.metric, before.candidate, before.n) == (after.metric, after.candidate, after.n)
        assert before.difference != after.difference
        assert after.difference_interval is not None


def test_rows_that_cannot_be_paired_are_inconclusive() -> None:
    mine, theirs = two()
    other = cases.rows(theirs.label, theirs.score, ids=np.arange(5000, 6000))
    gate = f"metric: roc_auc, {NO_WORSE % 0.2}"
    assert "share no evaluation row" in one(gate, cases.evidence(mine, other)).reason
    words = cases.rows(theirs.label, theirs.score, ids=[f"r{i}" for i in range(1000)])
    assert "share no evaluation row" in one(gate, cases.evidence(mine, words)).reason
    flipped = cases.rows(1 - theirs.label, theirs.score)
    result = one(gate, cases.evidence(mine, flipped))
    assert result.verdict is INCONCLUSIVE
    assert "1,000 of the 1,000 shared evaluation rows have another label" in result.reason
    broken = cases.rows(theirs.label, np.where(theirs.ids < 5, np.nan, theirs.score))
    assert "in the baseline's predictions, 5 of 1,000 scores are NaN" in one(gate, cases.evidence(mine, broken)).reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y, s: (y, np.where(s > 0.9, np.nan, s)), "scores are NaN or infinite"),
        (lambda y, s: (y, np.where(s > 0.9, np.inf, s)), "scores are NaN or infinite"),
        (lambda y, s: (y, s * 3), "scores are no probabilities"),
        (lambda y, s: (y + 1, s), "labels other than 0 and 1"),
        (lambda y, s: (y * np.nan, s), "some labels are NaN"),
    ],
)
def test_rows_that_cannot_be_measured_fail_every_gate_on_them(change: Any, words: str) -> None:
    evidence = cases.evidence(cases.rows(*change(*cases.scored())), cases.rows(*cases.scored()))
    results = judged(f"- {{metric: roc_auc, min: 0}}\n- {{metric: brier, {NO_WORSE % 1}}}", evidence)
    assert [result.verdict for result in results] == [FAIL, FAIL]
    assert all(words in result.reason and result.value is None for result in results)


def test_an_infinite_metric_fails_in_words() -> None:
    mine = cases.rows(np.zeros(200), np.full(200, 1e200))
    result = one("metric: rmse, max: 5", cases.evidence(mine, task="regression"))
    assert (result.verdict, result.value) == (FAIL, None)
    assert result.reason == "rmse is inf: not a finite number"


def test_one_class_fails_on_the_whole_and_is_inconclusive_on_a_slice() -> None:
    mine = cases.rows(np.zeros(300), cases.scored(300)[1])
    result = one("metric: average_precision, min: 0.1", cases.evidence(mine))
    assert result.verdict is FAIL
    assert result.reason == "average_precision does not exist: all 300 labels are 0, and ranking needs both classes"
    label, score = cases.scored(600)
    label[:300] = 0
    sliced = cases.rows(label, score, BAND=["low"] * 300 + ["high"] * 300)
    high, low = judged("metric: roc_auc, min: 0.5, slices: [BAND]", cases.evidence(sliced))
    assert (high.verdict, low.verdict) == (PASS, INCONCLUSIVE)
    assert "all 300 labels are 0" in low.reason


def test_slices_are_gates_of_their_own() -> None:
    bands = np.where(np.arange(1000) < 950, np.where(np.arange(1000) % 2, "low", "high"), "rare")
    mine, theirs = two(better=2.5, worse=1.0, BAND=bands)
    lines = f"metric: average_precision, slices: [BAND], min_rows: 60, {NO_WORSE % 0.05}"
    high, low, rare = judged(lines, cases.evidence(mine, theirs))
    assert high.gate == "average_precision[BAND=high].no_worse_than.merge_base"
    assert (high.slice, high.n, high.verdict, low.verdict) == ("BAND=high", 475, PASS, PASS)
    assert (rare.verdict, rare.reason) == (INCONCLUSIVE, "too few rows: 50, and 60 are needed to judge")
    assert high.interval is not None
    assert low.interval is not None
    # Two can be tested, so that is the family: the first at 1 - 0.05 / 2, the last at 1 - 0.05.
    assert sorted([high.interval.confidence, low.interval.confidence]) == [0.95, 0.975]


def test_slices_the_baseline_lacks_are_inconclusive() -> None:
    mine, theirs = two(BAND=np.where(np.arange(1000) < 500, "new", "old"))
    shared = theirs.take(np.arange(500, 1000))
    new, old = judged(f"metric: roc_auc, slices: [BAND], {NO_WORSE % 0.5}", cases.evidence(mine, shared))
    assert (new.verdict, new.n, old.verdict) == (INCONCLUSIVE, 0, PASS)


def test_a_column_of_too_many_values_makes_no_slices() -> None:
    mine = cases.rows(*cases.scored(300), CARD=np.arange(300) % 51)
    with pytest.raises(ConfigurationError, match=r"column CARD has 51 values, and at most 50"):
        judged("metric: roc_auc, min: 0.5, slices: [CARD]", cases.evidence(mine))


def test_metrics_come_with_intervals_and_nothing_is_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = two(BAND=np.arange(1000) % 2)
    calls = spy(monkeypatch)
    lines = f"""\
- {{metric: roc_auc, min: 0.5}}
- {{metric: roc_auc, {NO_WORSE % 0.1}}}
- {{metric: roc_auc, slices: [BAND], min: 0.5}}
- {{metric: brier, slices: [BAND], {NO_WORSE % 0.1}}}
- {{metric: f1, min: 0.1, modes: [full]}}
"""
    _, metrics = judge(cases.gates(lines), cases.evidence(mine, theirs), cases.root())
    assert sorted(name for name, _ in calls) == ["BAND=0", "BAND=1", "all"]
    whole = ["average_precision", "roc_auc", "log_loss", "brier", "expected_calibration_error"]
    assert [row.metric for row in metrics] == [*whole, "roc_auc", "brier", "roc_auc", "brier"]
    assert [row.slice for row in metrics[5:]] == ["BAND=0", "BAND=0", "BAND=1", "BAND=1"]
    for row in metrics:
        assert row.candidate_interval is not None
        assert row.difference_interval is not None
        assert row.candidate is not None
        assert row.baseline is not None
        assert row.difference == pytest.approx(row.candidate - row.baseline)


def test_gates_of_the_other_mode_stay_out() -> None:
    assert judged("metric: roc_auc, min: 0.99, modes: [full]", cases.evidence(two()[0])) == []


def test_gates_on_records() -> None:
    evidence = cases.evidence(*two())
    lines = f"""\
- {{metric: latency_p50_ms, max: 1}}
- {{metric: latency_p99_ms, max: 1}}
- {{metric: size_bytes, max: 1000}}
- {{metric: size_bytes, {NO_WORSE % 10}}}
- {{metric: rows, min: 6000}}
"""
    results = judged(lines, evidence)
    assert [result.verdict for result in results] == [PASS, FAIL, PASS, PASS, FAIL]
    assert results[1].reason == "2 is above 1"
    assert results[4].reason == "5,000 is below 6,000"
    bigger = cases.evidence(*two(), training=cases.training(size=1011))
    grown = judged(lines, bigger)[3]
    assert (grown.verdict, grown.reason, grown.difference) == (FAIL, "1,011 against 1,000: +11", 11)


def test_latency_of_another_model_is_not_taken_for_this_ones() -> None:
    latency = cases.evidence(None).latency
    assert latency is not None
    for stale in (None, latency.model_copy(update={"model_hash": "old"})):
        result = one("metric: latency_p99_ms, max: 1", cases.evidence(two()[0], latency=stale))
        assert result.verdict is INCONCLUSIVE
        assert "was not measured" in result.reason


def test_schema_and_smoke_checks_are_gates() -> None:
    broken = Violation(column="AMOUNT", check="ge", count=3, message="3 amounts are below 0")
    validation = Validation(
        model="a", file="a.parquet", data_hash="d", rows=10, columns=2, passed=False, violations=(broken, broken)
    )
    asked = (
        Check(name="loss_falls", passed=True, value=0.1, limit=0.05, detail="fell by 10 %"),
        Check(name="no_leakage", passed=False, value=0.99, limit=0.98, detail="X alone has an AUC of 0.99"),
    )
    evidence = cases.evidence(None, validation=validation, training=cases.training(checks=asked), evaluation=None)
    results, metrics = judge(cases.gates("- {metric: roc_auc, min: 0.5}"), evidence, cases.root())
    assert [(result.gate, result.verdict) for result in results] == [
        ("schema", FAIL),
        ("check.loss_falls", PASS),
        ("check.no_leakage", FAIL),
    ]
    assert results[0].reason == "AMOUNT: 3 amounts are below 0, and 1 more"
    assert results[2].rule == "limit 0.98"
    assert metrics == ()


def test_columns_that_gates_read() -> None:
    lines = """\
- {metric: card_precision, card: CARD, time: DAY, min: 0.1}
- {metric: roc_auc, slices: [BAND, PLACE], min: 0.1}
- {metric: demographic_parity_difference, group: SEX, max: 0.1, modes: [full]}
"""
    gates = cases.gates(lines)
    assert columns(gates, "smoke") == (frozenset({"CARD", "BAND", "PLACE"}), frozenset({"DAY"}))
    assert columns(gates, "full") == (frozenset({"CARD", "BAND", "PLACE", "SEX"}), frozenset({"DAY"}))


def test_few_positives_leave_no_verdict_rather_than_a_wrong_one() -> None:
    """One positive in 300: a third of the resamples have none, and whichever way they would go is unknown."""
    label = np.zeros(300)
    label[7] = 1
    rng = np.random.default_rng(1)
    mine, theirs = (cases.rows(label, rng.random(300)) for _ in range(2))
    result = one(f"metric: roc_auc, {NO_WORSE % 0.9}", cases.evidence(mine, theirs))
    assert (result.verdict, result.interval) == (INCONCLUSIVE, None)


@pytest.mark.parametrize("slices", [2, 6])
def test_holm_bounds_the_chance_of_any_wrong_verdict(slices: int) -> None:
    """Each slice is worse by just the margin, so any pass and any fail is wrong; at most 5 % of families have one."""
    rng = np.random.default_rng(slices)
    gate = cases.gate(f"metric: roc_auc, slices: [BAND], {NO_WORSE % 0.01}")
    simulations, corrected, alone = 600, 0, 0
    for _ in range(simulations):
        estimates = -0.01 + 0.02 * rng.normal(size=slices)
        measured = [cases.measured(value + 0.02 * rng.normal(size=999), value) for value in estimates]
        corrected += any(finding.verdict is not INCONCLUSIVE for finding in family(gate, measured, ""))
        alone += any(family(gate, [each], "")[0].verdict is not INCONCLUSIVE for each in measured)
    bound = 0.05 + 3 * np.sqrt(0.05 * 0.95 / simulations)
    assert corrected / simulations <= bound
    assert alone / simulations == pytest.approx(1 - 0.95**slices, abs=0.05)


def test_holm_is_not_stricter_than_it_must_be() -> None:
    """What passes easily leaves the whole error to the rest."""
    rng = np.random.default_rng(1)
    gate = cases.gate(f"metric: roc_auc, slices: [BAND], {NO_WORSE % 0.01}")
    easy = [cases.measured(0.5 + 0.01 * rng.normal(size=999), 0.5) for _ in range(4)]
    close = cases.measured(0.0215 + 0.015 * rng.normal(size=999), 0.0215)
    assert [finding.verdict for finding in family(gate, [close, *easy], "")] == [PASS] * 5
    assert family(gate, [close] * 5, "")[0].verdict is INCONCLUSIVE


# --- the champion's own test rows ------------------------------------------------------------------

OLD = "metric: roc_auc, no_worse_than: {baseline: champion, rows: old, margin: 0.02}"
NEW = "metric: roc_auc, no_worse_than: {baseline: champion, margin: 0.02}"


def on_old_rows(*, knows: float = 2.5, **given: Any) -> Any:
    """A candidate that is as good as the champion on 1,000 new rows; on 600 others, the champion's own, it `knows`."""
    mine, theirs = two(better=2.5, worse=2.5)
    label, score = cases.scored(600, seed=3, lift=2.5)
    ids, band = np.arange(2000, 2600), np.where(np.arange(600) % 2, "low", "high")
    there = cases.rows(label, cases.scored(600, seed=3, lift=knows)[1], ids=ids, BAND=band)
    baseline = Baseline(kind="champion", status="compared", commit="c" * 40, reason="the champion")
    old = OldRows(model="a", mode="full", model_hash="new", commit="c" * 40, rows=600, scored=600, trained=200)
    usual = {"old": old, "old_rows": there, "old_baseline": cases.rows(label, score, ids=ids)}
    return cases.evidence(mine, theirs, mode="full", baseline=baseline, **(usual | given))


def test_what_the_candidate_forgot_fails_though_the_newest_rows_pass() -> None:
    lines = f"- {{{NEW}}}\n- {{{OLD}}}"
    new, old = judged(lines, on_old_rows(knows=0.5))
    assert (new.verdict, new.n) == (PASS, 1000)
    assert (old.gate, old.verdict, old.n, old.blocks) == ("roc_auc.no_worse_than.champion.on_old_rows", FAIL, 600, True)
    assert old.reason.endswith(
        "on the 600 test rows that the champion was judged on, of which the candidate was trained on 200"
    )
    assert [one.verdict for one in judged(lines, on_old_rows())] == [PASS, PASS]
    sliced = judged(f"- {{{OLD}, slices: [BAND]}}", on_old_rows(knows=0.5))
    assert [(one.slice, one.verdict, one.n) for one in sliced] == [("BAND=high", FAIL, 300), ("BAND=low", FAIL, 300)]


def test_metrics_on_old_rows_are_named_as_such_and_leave_the_others_alone() -> None:
    gates, evidence = cases.gates(f"- {{{OLD}}}"), on_old_rows()
    _, metrics = judge(gates, evidence, cases.root())
    _, without = judge((), evidence, cases.root())
    assert metrics[: len(without)] == without
    assert {row.slice for row in metrics[len(without) :]} == {"the champion's own test rows"}


def test_rows_that_the_candidate_has_itself_are_not_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = spy(monkeypatch)
    evidence = on_old_rows()
    same = evidence.old.model_copy(update={"rows": 1000, "scored": 0, "trained": 0})
    evidence = replace(evidence, old=same, old_rows=None, old_baseline=evidence.baseline_rows)
    new, old = judged(f"- {{{NEW}}}\n- {{{OLD}}}", evidence)
    assert (new.value, new.difference, new.reason) == (old.value, old.difference, old.reason)
    assert len(calls) == 1
    some = same.model_copy(update={"rows": 400})
    held = replace(evidence, old=some, old_baseline=evidence.baseline_rows.take(np.arange(400)))
    (part,) = judged(f"- {{{OLD}}}", held)
    assert part.n == 400
    assert part.reason.endswith("on the 400 test rows that the champion was judged on")


def test_old_rows_that_could_not_be_scored_are_no_pass() -> None:
    old = on_old_rows().old
    unread = on_old_rows(old=old.model_copy(update={"problem": "no column x"}), old_rows=None, old_baseline=None)
    for evidence, words in (
        (unread, "nothing to compare with: no column x"),
        (on_old_rows(old=None), "nothing to compare with: the champion's own test rows are not at hand"),
    ):
        result = one(OLD, evidence)
        assert (result.verdict, result.reason, result.blocks) == (INCONCLUSIVE, words, False)
        assert one(f"{OLD}, on_inconclusive: block", evidence).blocks
    broken = replace(on_old_rows(), old_rows=on_old_rows().old_rows.take(np.arange(300)))
    assert one(OLD, broken).n == 300
    nan = cases.rows(broken.old_baseline.label, np.full(600, np.nan), ids=broken.old_baseline.ids)
    failed = one(OLD, replace(broken, old_rows=nan))
    assert (failed.verdict, failed.reason) == (
        FAIL,
        "on the champion's own test rows, 600 of 600 scores are NaN or infinite",
    )
