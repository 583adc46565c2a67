"""One window after another, as a person would want to be told of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from ci.core.drift.judge import judge
from ci.core.drift.profiles import Profile
from ci.core.drift.records import Drift, EstimateRow, QualityRow
from ci.core.drift.residuals import Residuals
from ci.core.drift.rules import Rules
from ci.core.drift.traffic import repeated
from ci.core.drift.watched import Served, business, service
from ci.core.errors import ConfigurationError
from ci.core.records import Outcome
from tests.unit.ci.core.drift.samples import profile

START = datetime(2026, 11, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


def table(rows: int, seed: int, *, shift: float = 0.0, names: str = "abc") -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "amount": rng.lognormal(shift, 1, size=rows),
        "age": rng.integers(18, 90, size=rows),
        "kind": rng.choice(list(names), size=rows),
        "new": rng.random(rows) < 0.3,
    }


def scores(rows: int, seed: int, *, lift: float = 2.0) -> tuple[Any, Any]:
    """Calibrated scores and labels that follow from them, by odds `lift / 2` times as steep."""
    rng = np.random.default_rng(seed)
    score = rng.beta(1, 3, size=rows)
    return score, (rng.random(rows) < np.clip(score * lift / 2, 0, 1)).astype(float)


def whole(rows: int, seed: int, reference: Profile | None = None, *, lift: float = 2.0, **table_: Any) -> Profile:
    score, label = scores(rows, seed + 100, lift=lift)
    return profile(table(rows, seed, **table_), score=score, label=label, reference=reference, model_hash="m")


REFERENCE = whole(8_000, 0)


def judged(window: Profile, index: int = 0, *, days: float | None = None, **given: Any) -> Drift:
    start = START + (WEEK * index if days is None else timedelta(days=days))
    rules = given.pop("rules", Rules())
    reference = given.pop("reference", REFERENCE)
    return judge(reference, window, rules, now=start + WEEK, span=(start, start + WEEK), **given)


def told(drift: Drift) -> dict[tuple[str, str], bool]:
    return {(one.kind, one.subject): one.alarm for one in drift.findings}


def test_a_window_like_the_reference_passes() -> None:
    drift = judged(whole(3_000, 1, REFERENCE))
    assert (drift.outcome, drift.findings, drift.triggers) == (Outcome.PASS, (), ())
    assert drift.summary == "a: nothing in 3,000 rows calls for anything."
    assert [row.column for row in drift.columns] == ["age", "amount", "kind", "new"]
    assert all(
        row.p_value is not None and sum(one.window for one in row.bins) == pytest.approx(1) for row in drift.columns
    )
    assert Drift.model_validate_json(drift.model_dump_json()) == drift


def test_a_column_that_moves_is_a_notice_first_and_an_alarm_when_it_lasts() -> None:
    first = judged(whole(3_000, 1, REFERENCE, shift=0.5))
    assert told(first) == {("data", "amount"): False}
    assert first.outcome is Outcome.PASS
    second = judged(whole(3_000, 2, REFERENCE, shift=0.5), 1, earlier=[first])
    assert told(second) == {("data", "amount"): True}
    assert (second.outcome, second.triggers) == (Outcome.FAIL, ("data",))
    (finding,) = second.findings
    assert (finding.windows, finding.since) == (2, "2026-11-01T00:00:00+00:00")
    assert finding.words.startswith("amount is distributed otherwise: Kolmogorov-Smirnov distance 0.19")
    assert "its mean went from 1.6" in finding.words
    assert second.summary == "a: data drift in 3,000 rows: amount."
    third = judged(whole(3_000, 3, REFERENCE), 2, earlier=[first, second])
    assert third.findings == ()


def test_windows_that_share_rows_are_one_window() -> None:
    records: list[Drift] = []
    for day in range(9):
        drift = judged(whole(3_000, 1, REFERENCE, shift=0.5), days=day, earlier=records)
        records.append(drift)
    assert [one.findings[0].windows for one in records] == [1] * 7 + [2] * 2
    again = judged(whole(3_000, 1, REFERENCE, shift=0.5), days=8, earlier=records)
    assert again == records[-1]  # what was judged before is not counted twice


def test_a_window_too_small_ends_nothing_and_finds_nothing() -> None:
    first = judged(whole(3_000, 1, REFERENCE, shift=0.5))
    small = judged(whole(60, 2, REFERENCE, shift=0.5), 1, earlier=[first])
    assert (small.outcome, small.columns) == (Outcome.INCONCLUSIVE, ())
    assert "60 rows are too few to judge by, 500 are needed" in small.summary
    third = judged(whole(3_000, 3, REFERENCE, shift=0.5), 2, earlier=[small, first])
    assert told(third)["data", "amount"]


def test_records_of_another_version_say_nothing() -> None:
    first = judged(whole(3_000, 1, REFERENCE, shift=0.5))
    other = first.model_copy(update={"reference": first.reference.model_copy(update={"model_hash": "n"})})
    assert not told(judged(whole(3_000, 2, REFERENCE, shift=0.5), 1, earlier=[other]))["data", "amount"]


def test_columns_that_do_not_matter_raise_no_alarm_alone() -> None:
    once = Rules(persistence=1)
    window = whole(3_000, 1, REFERENCE, shift=0.5)
    for share, alarm in ((0.5, True), (0.001, False)):
        drift = judged(window, rules=once, importance={"amount": share, "age": 0.4})
        assert told(drift) == {("data", "amount"): alarm}
    assert judged(window, rules=once).findings[0].alarm


def test_a_huge_window_does_not_alarm_on_trifles() -> None:
    rng = np.random.default_rng(0)
    reference = profile({"x": rng.normal(size=300_000)})
    window = profile({"x": rng.normal(0.05, 1, size=300_000)}, reference=reference)
    drift = judged(window, reference=reference)
    (row,) = drift.columns
    assert row.p_value is not None
    assert row.p_value < 1e-9
    assert drift.findings == ()


def test_missing_unseen_and_out_of_range_are_told() -> None:
    values = table(3_000, 1)
    values["amount"][:300] = np.nan
    values["amount"][300:310] = np.inf
    values["age"] = np.where(np.arange(3_000) % 10 == 0, 200, values["age"])
    values["kind"] = np.where(np.arange(3_000) % 10 == 0, "z", values["kind"])
    drift = judged(profile(values, reference=REFERENCE), rules=Rules(persistence=1))
    found = {(one.kind, one.subject): one for one in drift.findings}
    assert found["missing", "amount"].words == (
        "amount is missing or infinite (10 times) in 10.3 % of rows, 0 % in the reference; 5 % more are tolerated"
    )
    assert "kind has categories that are new in 10 % of rows" in found["unseen", "kind"].words
    assert "age lies beyond 18 to 89 in 10 % of rows" in found["range", "age"].words


def test_a_column_that_is_all_missing_has_no_distribution_to_be_told_of() -> None:
    values = table(3_000, 1) | {"amount": [None] * 3_000}
    found = told(judged(profile(values, reference=REFERENCE)))
    assert found == {("missing", "amount"): True, ("duplicates", "rows"): False}  # without it more rows are alike


def test_columns_that_change_are_an_alarm_at_once() -> None:
    values = table(3_000, 1)
    values["amounts"] = values.pop("amount")
    values["age"] = values["age"].astype(str)
    window = profile(values, reference=REFERENCE)
    window = window.model_copy(
        update={"columns": {n: c for n, c in window.columns.items() if n != "amounts"}, "extra": ("amounts",)}
    )
    drift = judged(window)
    assert drift.outcome is Outcome.FAIL
    assert told(drift) == {("schema", "amount"): True, ("schema", "age"): True}
    assert "'amounts' is new: it seems to have been renamed" in drift.findings[0].words
    assert "age is String by now, and Int64 in the reference" in drift.findings[1].words
    hidden = window.model_copy(update={"hidden": ("amount",)})
    assert ("schema", "amount") not in told(judged(hidden))
    assert [note.partition(",")[0] for note in judged(hidden).notes] == ["The log keeps back amount"]


def test_scores_that_move_are_told_with_decisions_and_confidence() -> None:
    score, _ = scores(3_000, 5)
    window = profile(table(3_000, 1), score=np.sqrt(score), reference=REFERENCE, model_hash="m")
    drift = judged(window)
    assert set(told(drift)) == {("prediction", "score"), ("prediction", "positive decisions")}
    assert "its mean confidence from" in drift.findings[0].words


@pytest.mark.parametrize("lost", [300, 3_000])
def test_answers_without_a_score_are_told(lost: int) -> None:
    score, _ = scores(3_000, 5)
    score[:lost] = np.nan
    drift = judged(profile(table(3_000, 1), score=score, reference=REFERENCE, model_hash="m"))
    assert told(drift) == {("prediction", "missing scores"): lost == 3_000}
    assert f"the score is missing or infinite in {lost / 30:.3g} % of rows, 0 %" in drift.findings[0].words
    if lost < 3_000:
        assert drift.summary == "a: no alarm in 3,000 rows (1 notice)."
    score, _ = scores(3_000, 5)
    score[:90] = np.nan  # within limits.missing
    assert told(judged(profile(table(3_000, 1), score=score, reference=REFERENCE, model_hash="m"))) == {}


def test_a_concept_that_changed_is_told_apart() -> None:
    drift = judged(whole(3_000, 1, REFERENCE, lift=1.0), rules=Rules(persistence=1))
    found = {(one.kind, one.subject): one.words for one in drift.findings}
    assert "although no feature moved" in found["concept", "labels"]
    moved = judged(whole(3_000, 1, REFERENCE, lift=1.0, shift=3.0))
    assert {one.kind for one in moved.findings if one.subject == "amount"} == {"data", "range"}
    assert "while amount moved too" in next(one.words for one in moved.findings if one.kind == "concept")
    assert [one.bins[0].name.startswith("below ") for one in moved.columns if one.column == "amount"] == [True]
    assert not any("e+" in bar.name for one in moved.columns for bar in one.bins)
    later = judged(whole(3_000, 2, REFERENCE, lift=1.0, shift=3.0), 1, earlier=[moved])
    assert later.summary.startswith("a: data drift, numbers out of range, prediction drift and concept drift in 3,000")


def test_what_is_expected_is_told_in_the_metrics_direction() -> None:
    told_of = {"n": 3_000, "reference": 0.4, "value": 0.5, "margin": 0.02, "worse": True}
    rows = [
        EstimateRow.model_validate({"metric": name, "higher_is_better": up, **told_of})
        for name, up in (("accuracy", True), ("log_loss", False))
    ]
    found = {one.subject: one.words for one in judged(whole(3_000, 1, REFERENCE), estimate=rows).findings}
    assert found["accuracy"].endswith("0.4 on the reference; 0.02 less is tolerated")
    assert found["log_loss"].endswith("0.4 on the reference; 0.02 more is tolerated")
    assert not [one for one in judged(whole(3_000, 1, REFERENCE, shift=0.5)).findings if one.kind == "concept"]


def rare(positive: int, rows: int, seed: int, reference: Profile | None = None) -> Profile:
    """Positives all among the low scores, where there is a reference, else spread over all."""
    score = np.sort(np.random.default_rng(seed).random(rows))
    label = np.arange(rows) < positive if reference else np.arange(rows) % (rows // positive) == 0
    return profile(table(rows, seed), score=score, label=label.astype(float), reference=reference, model_hash="m")


def test_too_few_labels_of_a_class_find_no_concept_and_end_none() -> None:
    reference = rare(250, 10_000, 1)
    first = judged(rare(200, 8_000, 2, reference), reference=reference)
    assert ("concept", "labels") in told(first)
    few = judged(rare(199, 8_000, 3, reference), 1, reference=reference, quality=[lost()], earlier=[first])
    assert set(told(few)) == {("quality", "rmse")}
    assert few.notes[0].startswith(
        "Concept drift is not judged: reference and window have 250 and 199 positive labels, 9,750 and 7,801 negative "
        "ones; 200 of each are needed."
    )
    third = judged(rare(200, 8_000, 4, reference), 2, reference=reference, earlier=[first, few])
    assert told(third)["concept", "labels"]


def lost(**given: Any) -> QualityRow:
    row = {"metric": "rmse", "higher_is_better": False, "n": 900, "value": 3.0, "n_reference": 900, "reference": 2.0}
    return QualityRow.model_validate(row | {"verdict": Outcome.FAIL, "reason": "rmse is worse"} | given)


def test_quality_that_falls_while_nothing_moves_is_concept_drift() -> None:
    drift = judged(whole(3_000, 1, REFERENCE), quality=[lost()])
    assert set(told(drift)) == {("quality", "rmse"), ("concept", "labels")}
    moved = judged(whole(3_000, 1, REFERENCE, shift=0.5), quality=[lost(slice="kind=a")])
    assert set(told(moved)) == {("data", "amount"), ("quality", "rmse kind=a")}


def test_numbers_that_follow_otherwise_from_scores_are_another_concept() -> None:
    far = Residuals(value=0.2, p_value=1e-6, before=0.1, after=1.25)
    found = {
        one.kind: one.words for one in judged(whole(3_000, 1, REFERENCE), residuals=far, quality=[lost()]).findings
    }
    assert found["concept"] == (
        "labels follow otherwise from scores, although no feature moved: where they were off by 0.1 in the mean, they "
        "are by 1.25; 0.2 deviations, 0.1 are tolerated"
    )
    for one in (replace(far, value=0.09), replace(far, p_value=0.02)):
        assert told(judged(whole(3_000, 1, REFERENCE), residuals=one)) == {}


def test_numbers_of_which_the_concept_cannot_be_told_are_noted() -> None:
    reference = rare(250, 10_000, 1).model_copy(update={"joint": None})
    window = rare(250, 8_000, 2, reference).model_copy(update={"joint": None})
    assert judged(window, reference=reference, quality=[lost()]).notes[0].startswith("Concept drift is not judged: ")
    same = Residuals(value=0.0, p_value=1.0, before=0.1, after=0.1)
    assert judged(window, reference=reference, quality=[lost()], residuals=same).notes == ()


def test_far_fewer_rows_than_usual_are_told_and_usual_is_what_windows_were() -> None:
    records: list[Drift] = []
    for index in range(4):
        records.append(judged(whole(3_000, index, REFERENCE), index, earlier=records))
    low = judged(whole(1_000, 1, REFERENCE), 4, earlier=records)
    assert told(low) == {("volume", "rows"): False}
    assert low.findings[0].words == "143 rows a day, fewer than usual, 429; from 214 to 857 are tolerated"
    again = judged(whole(1_000, 2, REFERENCE), 5, earlier=[*records, low])
    assert told(again) == {("volume", "rows"): True}


def test_old_rows_and_rows_from_the_future_are_an_alarm_at_once() -> None:
    times = [START + timedelta(minutes=one) for one in range(600)]
    window = profile(table(600, 1), reference=REFERENCE, times=times, now=START + timedelta(minutes=590))
    drift = judge(REFERENCE, window, Rules(), now=START + timedelta(days=3))
    assert told(drift) == {("freshness", "newest row"): True, ("freshness", "future"): True}
    assert drift.findings[0].words == "the newest row is 62 hours old, 48 hours are tolerated"
    assert "9 of 600 rows are from the future" in drift.findings[1].words
    assert drift.window.end == "2026-11-01T09:59:00+00:00"


def test_rows_that_come_twice_are_told() -> None:
    values = {name: np.concatenate([column[:2_700], column[:300]]) for name, column in table(3_000, 1).items()}
    assert told(judged(profile(values, reference=REFERENCE))) == {("duplicates", "rows"): False}
    assert min(repeated(REFERENCE.duplicates, part) for part in np.linspace(0.05, 1, 40)) == 0
    few = profile({"kind": np.random.default_rng(1).choice(list("abc"), size=9_000)})
    less = profile({"kind": np.random.default_rng(2).choice(list("abc"), size=900)}, reference=few)
    assert judged(less, reference=few).findings == ()  # of three different rows, most are there more than once


def test_an_empty_window_is_told_at_once() -> None:
    values: dict[str, Any] = {"amount": np.array([], float), "age": np.array([], int), "kind": np.array([], str)}
    drift = judged(profile(values | {"new": np.array([], bool)}, reference=REFERENCE))
    assert (drift.outcome, told(drift)) == (Outcome.FAIL, {("freshness", "no rows"): True})


def test_slices_are_watched() -> None:
    score, label = scores(8_000, 1)
    reference = profile(table(8_000, 0), score=score, label=label, slices=("kind",), model_hash="m")
    values = table(3_000, 1)
    values["kind"] = np.where(np.arange(3_000) < 600, "a", np.where(np.arange(3_000) < 1800, "b", "c"))
    moved = np.where(np.arange(3_000) < 600, 0.3, 1.0) * scores(3_000, 2)[0]
    window = profile(values, score=moved, reference=reference, slices=("kind",), model_hash="m")
    assert ("prediction", "kind=a") in told(judged(window, reference=reference))
    assert ("prediction", "kind=b") not in told(judged(window, reference=reference))


def test_service_and_business_are_held_to_their_bounds() -> None:
    rules = Rules.model_validate(
        {
            "service": {"p99_seconds": 0.2},
            "business": {"orders": {"column": "o", "min": 3.0}, "x": {"sql": "s", "max": 1.0}},
        }
    )
    drift = judged(
        whole(3_000, 1, REFERENCE),
        rules=rules,
        service=service(rules.service, Served(0.02, 0.06, 0.3)),
        business=business(rules.business, {"orders": 2.0, "x": None}),
    )
    assert told(drift) == {
        ("service", "errors"): True,
        ("service", "fallbacks"): True,
        ("service", "p99"): True,
        ("business", "orders"): False,
        ("business", "x"): False,
    }
    assert business(rules.business, {"orders": 3.0, "x": 1.0}) == []
    assert service(rules.service, Served()) == []
    assert service(rules.service, Served(fallbacks=0.05)) == []
    assert [one.words for one in service(rules.service, Served(fallbacks=0.051))] == [
        "5.1 % of requests got no score, so that their senders fell back on something else; 5 % are tolerated"
    ]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"amuont": {"ignore": True}},
            "p.yaml: drift.columns names 'amuont', which is no feature; did you mean 'amount'?",
        ),
        ({"kind": {"statistic": "wasserstein"}}, "kind is a category; write jensen_shannon or psi"),
    ],
)
def test_a_rule_for_what_is_no_such_column_is_refused(columns: Any, words: str) -> None:
    rules = Rules.model_validate({"columns": columns})
    with pytest.raises(ConfigurationError, match=words.split("'", maxsplit=1)[0]) as caught:
        judged(whole(3_000, 1, REFERENCE), rules=rules, file="p.yaml")
    assert words in caught.value.message


def test_a_declared_statistic_and_effect_hold_and_an_ignored_column_is_left_out() -> None:
    window = whole(3_000, 1, REFERENCE, shift=0.5)
    psi = judged(window, rules=Rules.model_validate({"columns": {"amount": {"statistic": "psi", "effect": 0.9}}}))
    row = next(row for row in psi.columns if row.column == "amount")
    assert (row.statistic, row.drifted) == ("psi", False)
    ignored = judged(window, rules=Rules.model_validate({"columns": {"amount": {"ignore": True}}}))
    assert ignored.findings == ()


def test_another_models_profile_is_refused() -> None:
    window = whole(3_000, 1, REFERENCE)
    with pytest.raises(ConfigurationError, match="the window is of model b, the reference of a"):
        judged(window.model_copy(update={"model": "b"}))
    with pytest.raises(ConfigurationError, match="scores are of model n, the reference's of m"):
        judged(window.model_copy(update={"model_hash": "n"}))


def test_where_nothing_drifts_hardly_anything_is_found_and_nothing_is_an_alarm() -> None:
    """Twenty columns, 100 windows of the fewest rows that are judged: a finding in one of fifty at most."""
    rng = np.random.default_rng(8)

    def stationary(rows: int) -> dict[str, Any]:
        numbers: dict[str, Any] = {f"n{index}": rng.normal(size=rows) for index in range(6)}
        numbers |= {f"l{index}": rng.lognormal(size=rows) for index in range(4)}
        numbers |= {f"p{index}": rng.poisson(2, size=rows) for index in range(4)}
        names = {f"c{index}": rng.choice(list("abcdefgh"), size=rows) for index in range(4)}
        return numbers | names | {f"g{index}": np.char.mod("g%d", rng.geometric(0.02, size=rows)) for index in range(2)}

    reference = profile(stationary(10_000))
    records: list[Drift] = []
    for index in range(100):
        records.append(
            judged(profile(stationary(500), reference=reference), index, reference=reference, earlier=records)
        )
    assert sum(len(one.findings) for one in records) <= 2
    assert not any(one.alarms for one in records)


def test_labels_may_be_of_an_older_window_and_a_window_without_them_ends_nothing() -> None:
    reference_like = {"score": scores(3_000, 3)[0], "reference": REFERENCE, "model_hash": "m"}
    old = whole(3_000, 1, REFERENCE, lift=1.0)
    first = judged(profile(table(3_000, 2), **reference_like), labelled=old)
    assert set(told(first)) == {("concept", "labels"), ("prediction", "positive labels")}
    assert first.window.labelled == 3_000
    second = judged(profile(table(3_000, 3), **reference_like), 1, earlier=[first])
    assert (second.findings, second.window.enough_labelled) == ((), False)
    third = judged(profile(table(3_000, 4), **reference_like), 2, labelled=old, earlier=[first, second])
    assert told(third)["concept", "labels"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "odd",
    [
        {"amount": np.full(900, np.inf)},
        {"amount": np.full(900, 5e-324)},
        {"amount": np.linspace(-1, 1, 900) * 1.7e308},
        {"amount": ["x"] * 900},
        {"kind": np.char.mod("x%d", np.arange(900))},
        {"new": [None] * 900},
    ],
)
def test_whatever_a_column_holds_there_is_a_record(odd: dict[str, Any]) -> None:
    window = profile(table(900, 1) | odd, score=np.ones(900), label=np.arange(900) % 2, reference=REFERENCE)
    drift = judged(window, rules=Rules(persistence=1))
    assert {one.subject for one in drift.findings} & set(odd)
    assert Drift.model_validate_json(drift.model_dump_json()) == drift
