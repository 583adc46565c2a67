"""That resamples are what they claim to be, and that 95 % means 95 %."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from ci.core.statistics import bootstrap
from ci.core.statistics.intervals import holm, interval, p_value
from ci.core.statistics.measure import Resampling, measure
from ci.core.statistics.metrics import Metric
from tests.unit.ci.core import cases

AP, AUC, LOSS = Metric("average_precision"), Metric("roc_auc"), Metric("log_loss")


def test_draws_are_multinomial() -> None:
    counts = bootstrap.draw(np.random.default_rng(1), 20_000, 5)
    assert (counts.sum(axis=1) == 5).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(5), abs=0.03)
    covariance = np.cov(counts.T)
    assert np.diag(covariance) == pytest.approx(np.full(5, 0.8), abs=0.04)  # n p (1 - p)
    assert covariance[0, 1] == pytest.approx(-0.2, abs=0.03)  # -n p p


def test_a_seed_makes_the_same_samples_whatever_else_is_measured() -> None:
    label, score = cases.scored(300)
    rows = cases.rows(label, score)
    alone = measure(rows, score[::-1], [AUC], Resampling(200, 5), "all")[AUC]
    among = measure(rows, score[::-1], [LOSS, AP, AUC], Resampling(200, 5), "all")[AUC]
    assert np.array_equal(alone.samples, among.samples)
    assert not np.array_equal(alone.samples, measure(rows, None, [AUC], Resampling(200, 6), "all")[AUC].samples)
    assert not np.array_equal(alone.samples, measure(rows, None, [AUC], Resampling(200, 5), "a=b")[AUC].samples)


def test_blocks_are_bounded_and_leave_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def shape(
        weights: np.ndarray[tuple[int, int], np.dtype[np.int64]],
    ) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        seen.append(weights.shape)
        return weights[:, :1].astype(np.float64)

    monkeypatch.setattr(bootstrap, "CELLS", 1000)
    assert bootstrap.resample(300, 100, (1,), shape).shape == (100, 1)
    assert all(rows * columns <= 1000 for rows, columns in seen)


def test_samples_are_those_of_a_naive_loop() -> None:
    label, score = cases.scored(120)
    other = cases.scored(120, seed=9)[1]
    found = measure(cases.rows(label, score), other, [AP, AUC], Resampling(20, 5), "all")
    weights: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []

    def keep(
        counts: np.ndarray[tuple[int, int], np.dtype[np.int64]],
    ) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        weights.extend(counts)
        return np.zeros((len(counts), 1))

    bootstrap.resample(120, 20, (5, 991457757), keep)  # crc32 of "all"
    for metric, sklearns in ((AP, average_precision_score), (AUC, roc_auc_score)):
        rows = [np.repeat(np.arange(120), one) for one in weights]
        naive = [sklearns(label[one], score[one]) for one in rows]
        against = [sklearns(label[one], other[one]) for one in rows]
        differences = found[metric].differences
        assert differences is not None
        assert found[metric].samples == pytest.approx(naive)
        assert differences == pytest.approx(np.subtract(naive, against))


def test_clusters_are_drawn_whole() -> None:
    """Each card has one verdict: by card the spread is that of 50 draws, and by row it would be that of 5,000."""
    cards = np.repeat(np.arange(50), 100)
    label = (cards % 2).astype(float)
    score = np.random.default_rng(1).random(5000)
    rows = cases.rows(label, score, days=np.zeros(5000), CARD=cards)
    metric = Metric("card_precision", top=50, card="CARD", time="DAY")
    samples = measure(rows, None, [metric], Resampling(2000, 1), "all")[metric].samples
    assert samples.std() == pytest.approx(np.sqrt(0.25 / 50), rel=0.1)


def test_interval_and_p_value_agree() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        samples = rng.normal(size=199).round(1)
        samples[rng.random(199) < 0.01] = np.nan
        limit = round(float(rng.normal(scale=2)), 1)
        alpha = float(rng.choice([0.02, 0.05, 0.1, 0.2]))
        found = interval(samples, 1 - alpha)
        clear = found is not None and (found.low >= limit or found.high < limit)
        assert clear == (p_value(samples, limit) <= alpha + 1e-12) or found is None


def test_interval_of_known_samples() -> None:
    found = interval(np.arange(1.0, 2000.0), 0.95)
    assert found is not None
    assert (found.low, found.high, found.confidence) == (50, 1950, 0.95)


def test_too_many_undefined_resamples_leave_no_interval() -> None:
    samples = np.linspace(0, 1, 200)
    samples[:5] = np.nan
    assert interval(samples, 0.95) is None
    assert p_value(samples, -1) > 0.05


def test_confidence_beyond_the_resamples_is_said() -> None:
    found = interval(np.arange(99.0), 0.9999)
    assert found is not None
    assert (found.low, found.high, found.confidence) == (0, 98, 0.98)


def test_holm_steps_down_and_stops() -> None:
    assert holm([0.01, 0.02, 0.2, 0.001], 0.05) == pytest.approx((0.05 / 3, 0.05 / 2, 0.05, 0.05 / 4))
    assert holm([0.03, 0.04, 0.001], 0.05) == pytest.approx((0.05 / 2, 0.05 / 2, 0.05 / 3))
    assert holm([0.04], 0.05) == (0.05,)
    assert holm([], 0.05) == ()


SIMULATIONS, N = 400, 250


def paired(seed: int, n: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """Labels and the calibrated probabilities of two models that look at overlapping evidence."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.4).astype(np.float64)
    shared, mine, theirs = rng.normal(size=(3, n))
    candidate, baseline = (label * lift + 0.8 * shared + 0.6 * own for lift, own in ((1.2, mine), (1.0, theirs)))
    # Normal evidence of unit variance: the log-odds are lift * x - lift^2 / 2 + logit(share).
    odds = [lift * x - lift**2 / 2 + np.log(0.4 / 0.6) for lift, x in ((1.2, candidate), (1.0, baseline))]
    return label, *(1 / (1 + np.exp(-one)) for one in odds)


@pytest.fixture(scope="module")
def coverage() -> dict[tuple[Metric, float], float]:
    """How often an interval of the difference held the true one, for each metric and confidence."""
    label, candidate, baseline = paired(10_000, 2_000_000)
    large = measure(cases.rows(label, candidate), baseline, [AP, AUC, LOSS], Resampling(1, 0), "truth")
    truth = {metric: one.value - (one.baseline or 0) for metric, one in large.items()}
    hits = dict.fromkeys(product(truth, (0.95, 0.85)), 0)
    for seed in range(SIMULATIONS):
        label, candidate, baseline = paired(seed, N)
        found = measure(cases.rows(label, candidate), baseline, [AP, AUC, LOSS], Resampling(499, seed), "all")
        for metric, confidence in hits:
            differences = found[metric].differences
            assert differences is not None
            around = interval(differences, confidence)
            hits[metric, confidence] += around is not None and around.low <= truth[metric] <= around.high
    return {key: count / SIMULATIONS for key, count in hits.items()}


MONTE_CARLO = 3 * np.sqrt(0.95 * 0.05 / SIMULATIONS)


@pytest.mark.parametrize("metric", [AP, AUC, LOSS], ids=lambda metric: metric.name)
def test_nominal_coverage_holds_within_monte_carlo_error(
    coverage: dict[tuple[Metric, float], float], metric: Metric
) -> None:
    """Three standard errors of a share; an interval that is too narrow is told from a right one."""
    assert abs(coverage[metric, 0.95] - 0.95) <= MONTE_CARLO
    assert abs(coverage[metric, 0.85] - 0.95) > MONTE_CARLO
