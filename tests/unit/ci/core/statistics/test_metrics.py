"""Every metric against scikit-learn's, on rows as they are and on resampled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from ci.core.statistics.cards import CardPrecision
from ci.core.statistics.measure import Resampling, measure
from ci.core.statistics.metrics import KINDS, Metric
from ci.core.statistics.ranking import Ranking, precision_recall
from ci.core.statistics.sums import sums
from tests.unit.ci.core import cases

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.core.statistics.rows import Floats, Rows

AP, AUC = Metric("average_precision"), Metric("roc_auc")


def recall_at_fpr(label: Floats, score: Floats, weight: Floats) -> float:
    fpr, tpr, _ = sk.roc_curve(label, score, sample_weight=weight, drop_intermediate=False)
    return float(tpr[fpr <= 0.1].max())


def decided(metric: Callable[..., float], threshold: float) -> Callable[..., float]:
    return lambda label, score, weight: metric(label, score >= threshold, sample_weight=weight)


BINARY: list[tuple[Metric, Callable[..., float]]] = [
    (AP, lambda y, s, w: sk.average_precision_score(y, s, sample_weight=w)),
    (AUC, lambda y, s, w: sk.roc_auc_score(y, s, sample_weight=w)),
    (Metric("recall_at_fpr", fpr=0.1), recall_at_fpr),
    (Metric("log_loss"), lambda y, s, w: sk.log_loss(y, s, sample_weight=w)),
    (Metric("brier"), lambda y, s, w: sk.brier_score_loss(y, s, sample_weight=w)),
    (Metric("accuracy", threshold=0.4), decided(sk.accuracy_score, 0.4)),
    (Metric("f1", threshold=0.6), decided(sk.f1_score, 0.6)),
]
REGRESSION: list[tuple[Metric, Callable[..., float]]] = [
    (Metric("rmse"), lambda y, s, w: sk.root_mean_squared_error(y, s, sample_weight=w)),
    (Metric("mae"), lambda y, s, w: sk.mean_absolute_error(y, s, sample_weight=w)),
]


def values(metric: Metric, rows: Rows, weights: Any) -> Floats:
    """A metric of rows under (b, n) counts."""
    if metric.kind.family == "ranking":
        return Ranking(rows.label, rows.score).values([metric], weights)[:, 0]
    parts = sums(metric, rows, rows.score)
    return parts.combine(weights @ parts.terms, len(rows))


@pytest.mark.parametrize("case", [*BINARY, *REGRESSION], ids=lambda case: case[0].name)
@pytest.mark.parametrize("decimals", [1, 2, 12])
def test_metrics_are_those_of_scikit_learn(case: tuple[Metric, Callable[..., float]], decimals: int) -> None:
    metric, theirs = case
    label, score = cases.scored(300)
    if metric.kind.tasks == ("regression",):
        label = label * 3 + np.random.default_rng(1).normal(size=300)
    rows = cases.rows(label, score.round(decimals))
    weights = np.random.default_rng(2).multinomial(300, np.full(300, 1 / 300), size=3)
    weights[0] = 1
    expected = [theirs(rows.label, rows.score, one.astype(float)) for one in weights]
    assert values(metric, rows, weights) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.5, 0.9, 1.0])), min_size=2, max_size=30))
def test_ranking_with_ties_is_scikit_learns(pairs: list[tuple[bool, float]]) -> None:
    label, score = (np.array(part, dtype=np.float64) for part in zip(*pairs, strict=True))
    found = Ranking(label, score).values([AP, AUC], np.ones((1, len(label)), dtype=np.int64))[0]
    if 0 < label.sum() < len(label):
        assert found == pytest.approx([sk.average_precision_score(label, score), sk.roc_auc_score(label, score)])
        precision, recall, _ = sk.precision_recall_curve(label, score)
        mine = precision_recall(label, score)
        assert mine[0] == pytest.approx(recall[-2::-1])
        assert mine[1] == pytest.approx(precision[-2::-1])
    else:
        assert np.isnan(found).all()


def test_resamples_without_a_class_have_no_value() -> None:
    ranking = Ranking(np.array([1.0, 0.0, 0.0]), np.array([0.9, 0.5, 0.1]))
    found = ranking.values([AP, AUC], np.array([[0, 2, 1], [3, 0, 0], [1, 1, 1]]))
    assert np.isnan(found[:2]).all()
    assert found[2].tolist() == [1.0, 1.0]


def test_log_loss_is_clipped_as_scikit_learns() -> None:
    rows = cases.rows([1, 0, 1, 0], [0.0, 1.0, 1.0, 0.0])
    found = values(Metric("log_loss"), rows, np.ones((1, 4), dtype=np.int64))
    assert found[0] == pytest.approx(sk.log_loss(rows.label, rows.score), rel=1e-6)
    assert np.isfinite(found[0])


def test_f1_of_nothing_is_zero() -> None:
    assert values(Metric("f1", threshold=0.5), cases.rows([0, 0], [0.1, 0.2]), np.ones((1, 2), dtype=int)).tolist() == [
        0
    ]


@pytest.mark.parametrize("decimals", [1, 12])
def test_calibration_error_has_the_bins_of_scikit_learn(decimals: int) -> None:
    label, score = cases.scored(500)
    rows = cases.rows(label, score.round(decimals))
    true, mean = calibration_curve(rows.label, rows.score, n_bins=10, strategy="quantile")
    edges = np.percentile(rows.score, np.linspace(0, 100, 11))
    counts = np.bincount(np.searchsorted(edges[1:-1], rows.score), minlength=10)
    expected = np.sum(counts[counts > 0] / 500 * np.abs(true - mean))
    assert values(Metric("expected_calibration_error"), rows, np.ones((1, 500), dtype=int))[0] == pytest.approx(
        expected
    )


def test_fairness_differences_over_the_groups_that_are_big_enough() -> None:
    label = [1, 1, 0, 0, 1, 1, 0, 0, 1]
    score = [0.9, 0.9, 0.9, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1]
    rows = cases.rows(label, score, SEX=list("aaaabbbbc"))
    ones = np.ones((1, 9), dtype=np.int64)
    parity = Metric("demographic_parity_difference", group="SEX", threshold=0.5, min_rows=4)
    opportunity = Metric("equal_opportunity_difference", group="SEX", threshold=0.5, min_rows=4)
    assert values(parity, rows, ones)[0] == pytest.approx(3 / 4 - 1 / 4)
    assert values(opportunity, rows, ones)[0] == pytest.approx(1 - 1 / 2)
    small = Metric("demographic_parity_difference", group="SEX", threshold=0.5, min_rows=1)
    assert values(small, rows, ones)[0] == pytest.approx(3 / 4)  # c has no positive decision
    twice = np.array([[1, 1, 1, 3, 1, 1, 1, 1, 0]])
    assert values(parity, rows, twice)[0] == pytest.approx(3 / 6 - 1 / 4)


def test_too_few_groups_are_told() -> None:
    rows = cases.rows([1, 0, 1, 0], [0.9, 0.1, 0.8, 0.3], SEX=list("aaab"))
    metric = Metric("equal_opportunity_difference", group="SEX", threshold=0.5, min_rows=3)
    found = measure(rows, None, [metric], Resampling(100, 1), "all")[metric]
    assert found.why_not == "1 of the groups of SEX have at least 3 rows and a positive, and two are needed"


def handbook_card_precision(rows: Rows, top: int) -> float:
    """`card_precision_top_k` as the Handbook defines it, row by row."""
    known: set[int] = set()
    precisions = []
    for day in sorted(set(rows.days["DAY"])):
        best: dict[int, tuple[float, float]] = {}
        for i in np.flatnonzero(rows.days["DAY"] == day):
            card = int(rows.columns["CARD"].codes[i])
            if card not in known:
                score, label = best.get(card, (-1.0, 0.0))
                best[card] = max(score, rows.score[i]), max(label, rows.label[i])
        ranked = sorted(best, key=lambda card: (-best[card][0], card))[:top]
        found = [card for card in ranked if best[card][1] == 1]
        known |= set(found)
        precisions.append(len(found) / top)
    return float(np.mean(precisions))


@pytest.mark.parametrize("top", [3, 10, 500])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_card_precision_is_the_handbooks(top: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, score = cases.scored(600, seed=seed, share=0.1)
    rows = cases.rows(label, score.round(2), days=rng.integers(0, 5, 600), CARD=rng.integers(100, 190, 600))
    card = CardPrecision(Metric("card_precision", top=top, card="CARD", time="DAY"), rows, rows.score)
    assert card.values(np.ones((1, card.cards), dtype=int))[0] == pytest.approx(handbook_card_precision(rows, top))


def test_a_card_drawn_twice_is_two_cards() -> None:
    rng = np.random.default_rng(3)
    label, score = cases.scored(300, share=0.1)
    cards, days = rng.integers(0, 40, 300), rng.integers(0, 4, 300)
    rows = cases.rows(label, score, days=days, CARD=[f"{card:02}" for card in cards])
    counts = np.bincount(rng.integers(0, 40, 40), minlength=40)
    twins = [(i, copy) for i in range(300) for copy in range(counts[cards[i]])]
    index = [i for i, _ in twins]
    twin = cases.rows(label[index], score[index], days=days[index], CARD=[f"{cards[i]:02}.{copy}" for i, copy in twins])
    metric = Metric("card_precision", top=5, card="CARD", time="DAY")
    found = CardPrecision(metric, rows, rows.score).values(counts[None, :])
    assert found[0] == pytest.approx(handbook_card_precision(twin, 5))


def test_the_catalogue_is_computed_whole() -> None:
    told = {"fpr": 0.01, "top": 5, "card": "CARD", "time": "DAY", "group": "CARD", "threshold": 0.5}
    label, score = cases.scored(400)
    rows = cases.rows(label, score, days=np.arange(400) % 3, CARD=np.arange(400) % 4)
    metrics = [
        Metric(name, min_rows=1, **{key: told[key] for key in (*kind.needs, *kind.takes)})  # type: ignore[arg-type]
        for name, kind in KINDS.items()
        if kind.family != "record"
    ]
    found = measure(rows, score[::-1], metrics, Resampling(100, 1), "all")
    assert set(found) == set(metrics)
    assert all(np.isfinite(one.value) and np.isfinite(one.samples).all() for one in found.values())
