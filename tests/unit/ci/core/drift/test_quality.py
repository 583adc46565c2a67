"""Gate metrics of labelled rows beside the reference's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ci.core.drift.quality import quality
from ci.core.drift.records import QualityRow
from ci.core.drift.rules import Rules
from ci.core.records import Outcome
from ci.core.statistics.measure import Resampling
from ci.core.statistics.rows import Rows
from tests.unit.ci.core import cases

HOW = Resampling(400, 7)
WHAT = ("label", "score")
AUC = cases.gates("- {metric: roc_auc, min: 0.5}")


def sample(rows: int, seed: int, lift: float = 1.5, **columns: Any) -> Rows:
    label, score = cases.scored(rows, seed=seed, lift=lift)
    return cases.rows(label, score, **columns)


def judged(window: Rows, reference: Rows, gates: Any = AUC, **rules: Any) -> dict[tuple[str, str | None], QualityRow]:
    found = quality(gates, "binary", window, reference, Rules.model_validate(rules), HOW, 0.95)
    return {(row.metric, row.slice): row for row in found}


def test_quality_that_is_kept_passes_and_quality_that_fell_fails() -> None:
    reference = sample(4_000, 1)
    kept = judged(sample(4_000, 2), reference, quality={"margin": 0.05})["roc_auc", None]
    assert kept.verdict is Outcome.PASS
    fell = judged(sample(4_000, 2, lift=0.5), reference)["roc_auc", None]
    assert fell.verdict is Outcome.FAIL
    assert fell.interval is not None
    assert fell.difference is not None
    assert fell.interval.low < fell.difference < fell.interval.high < -0.02
    assert "labelled rows" in fell.reason
    assert "is wholly beyond a margin of 0.02" in fell.reason


def test_less_is_better_of_a_loss() -> None:
    reference, gates = sample(4_000, 1), cases.gates("- {metric: log_loss, max: 0.9}")
    assert judged(sample(4_000, 2, lift=0.2), reference, gates)["log_loss", None].verdict is Outcome.FAIL
    assert judged(sample(4_000, 2, lift=3), reference, gates)["log_loss", None].verdict is Outcome.PASS


def test_quality_that_is_the_same_fails_no_more_often_than_it_says() -> None:
    reference = sample(4_000, 1)
    found = [judged(sample(600, seed), reference, quality={"margin": 0.0})["roc_auc", None] for seed in range(20)]
    assert sum(row.verdict is not Outcome.INCONCLUSIVE for row in found) <= 3
    found = [judged(sample(600, seed), reference)["roc_auc", None] for seed in range(20)]
    assert sum(row.verdict is Outcome.FAIL for row in found) <= 1


def test_what_the_worst_season_of_the_reference_loses_is_no_loss() -> None:
    weeks = [sample(3_000, seed, lift=0.8 if seed in (3, 4) else 1.5) for seed in range(8)]
    days = np.repeat(np.arange(8) * 7, 3_000)
    days[-1] = 55
    label, score = (np.concatenate([getattr(week, name) for week in weeks]) for name in ("label", "score"))
    reference = cases.rows(label, score)
    known = replace(reference, days={"at": days})

    def verdict(lift: float, reference: Rows, **rules: Any) -> QualityRow:
        declared = Rules.model_validate(rules)
        (row,) = quality(AUC, "binary", sample(4_000, 77, lift=lift), reference, declared, HOW, 0.95, "at")
        return row

    assert verdict(0.8, reference).verdict is Outcome.FAIL
    assert verdict(0.8, known).verdict is not Outcome.FAIL
    assert verdict(0.2, known).verdict is Outcome.FAIL
    assert verdict(0.8, known, least_rows=3_001).verdict is Outcome.FAIL  # no stretch has as many
    even = cases.rows(*(np.concatenate([getattr(sample(600, seed), name) for seed in range(8)]) for name in WHAT))
    row = verdict(0.8, replace(even, days={"at": np.repeat(np.arange(8) * 7, 600)}))
    assert "margin of 0.02" in row.reason  # what chance makes of stretches is no season


def test_slices_are_judged_each_and_corrected_together() -> None:
    gates = cases.gates("- {metric: roc_auc, min: 0.5, slices: [band]}")
    band = np.array(["a", "b", "c"] * 1_000)
    label, score = cases.scored(3_000, seed=4)
    broken = np.where(band == "b", np.random.default_rng(1).random(3_000), score)
    window = cases.rows(label, broken, band=band)
    found = judged(window, sample(3_000, 5, band=band), gates)
    assert found["roc_auc", "band=b"].verdict is Outcome.FAIL
    assert found["roc_auc", "band=a"].verdict is not Outcome.FAIL
    assert set(found) == {("roc_auc", None), *(("roc_auc", f"band={name}") for name in "abc")}
    shown = found["roc_auc", "band=b"].interval
    assert shown is not None
    assert shown.confidence > 0.95


def test_a_slice_with_few_rows_and_a_value_that_is_new_are_not_judged() -> None:
    gates = cases.gates("- {metric: roc_auc, min: 0.5, slices: [band]}")
    window = sample(1_200, 4, band=np.where(np.arange(1_200) < 600, "new", "few"))
    found = judged(window, sample(3_000, 5, band=["few"] * 3_000), gates, least_rows=601)
    assert found["roc_auc", "band=new"].reason == "not judged: 600 labelled rows are too few, 601 are needed"
    found = judged(window, sample(3_000, 5, band=["few"] * 3_000), gates)
    assert "0 rows of the reference are too few" in found["roc_auc", "band=new"].reason


def rare(positive: int, rows: int = 3_000) -> Rows:
    """Scores that tell nothing, of which so many rows are positive."""
    return cases.rows((np.arange(rows) < positive).astype(float), np.random.default_rng(3).random(rows))


@pytest.mark.parametrize(
    ("window", "reference", "words"),
    [
        (rare(99), sample(3_000, 2), "99 positive labelled rows are too few, 100 are needed"),
        (rare(2_910), sample(3_000, 2), "90 negative labelled rows are too few, 100 are needed"),
        (rare(500), rare(60), "60 positive rows of the reference are too few, 100 are needed"),
    ],
)
def test_too_few_of_one_class_are_not_judged_by(window: Rows, reference: Rows, words: str) -> None:
    row = judged(window, reference)["roc_auc", None]
    assert (row.verdict, row.reason) == (Outcome.INCONCLUSIVE, f"not judged: {words}")
    assert judged(rare(100), sample(3_000, 2))["roc_auc", None].verdict is Outcome.FAIL


def test_what_lacks_is_left_out_and_what_does_not_exist_is_said() -> None:
    gates = cases.gates("- {metric: card_precision, card: C, time: DAY, min: 0.1}\n- {metric: roc_auc, min: 0.5}")
    assert set(judged(sample(900, 1), sample(900, 2), gates)) == {("roc_auc", None)}
    none = cases.rows(np.zeros(900), np.random.default_rng(0).random(900))
    found = judged(none, sample(900, 2))["roc_auc", None]
    assert found.reason == "not judged: 0 positive labelled rows are too few, 100 are needed"
    broken = cases.rows(np.zeros(900), np.full(900, np.nan))
    row = judged(broken, sample(900, 2))["roc_auc", None]
    assert row.reason == "not judged: 900 of 900 scores are NaN or infinite"
    assert set(judged(sample(900, 1), sample(900, 2), gates=())) >= {("average_precision", None), ("log_loss", None)}


def test_of_very_many_rows_some_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ci.core.drift.quality.MOST_ROWS", 800)
    assert judged(sample(1_999, 1), sample(900, 2))["roc_auc", None].n == 667


def test_card_precision_is_judged_where_its_columns_are_there() -> None:
    gates = cases.gates("- {metric: card_precision, card: C, time: DAY, min: 0.1, top: 5}")
    cards = np.char.mod("c%d", np.arange(900) % 90)
    rows = [sample(900, seed, days=np.arange(900) // 90, C=cards) for seed in (1, 2)]
    assert judged(rows[0], rows[1], gates)["card_precision@5", None].value is not None


@pytest.mark.parametrize("n", [0, 10])
def test_too_few_rows_are_said(n: int) -> None:
    row = judged(sample(900, 1).take(np.arange(n)), sample(900, 2))["roc_auc", None]
    assert row.verdict is Outcome.INCONCLUSIVE
    assert "not judged" in row.reason
