"""Evidence on streams of half-minutes: fair if the arms are alike, the same however it is cut, quick if they differ."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.core.canary import bets, evidence
from ci.core.canary.alternatives import log_weights, prior
from ci.core.canary.hypergeometric import law
from ci.core.canary.records import Evidence, Kind
from ci.core.canary.rules import Business, Rules
from tests.unit.ci.core.canary.test_hypergeometric import outcomes

KINDS: tuple[Kind, ...] = ("errors", "refused", "slow", "scores", "missing", "business")
RULES = Rules(
    business={
        "orders": Business(numerator='a{t="$track"}', denominator='b{t="$track"}', worse="lower"),
        "refunds": Business(numerator='c{t="$track"}', denominator='b{t="$track"}', worse="higher"),
    }
)
BUCKETS = tuple(0.01 * 1.19**k for k in range(30))


def stream(seed: int, canary: float, stable: float, *, rate: float = 150.0, minutes: int = 60) -> list[np.ndarray]:
    """Half-minutes of (2, 2) counts, good and bad of canary and stable, one request in ten on the canary."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(2 * minutes):
        n = rng.poisson([rate, 9 * rate])
        bad = rng.binomial(n, [canary, stable])
        made.append(np.stack([n - bad, bad], axis=1))
    return made


def shown(metric: str, halves: list[np.ndarray], edges: tuple[float, ...] = ()) -> Evidence:
    one = evidence.start(metric, Rules(), edges=edges)
    for index, half in enumerate(halves, 1):
        one = evidence.add(one, half[0], half[1], at=30.0 * index)
    return one


@pytest.mark.parametrize("kind", KINDS)
def test_the_bet_is_one_unit_of_money(kind: Kind) -> None:
    assert prior(kind).sum() == pytest.approx(1)
    assert np.exp(bets.opening(kind)).sum() == pytest.approx(1)
    buckets = 2 if kind not in ("slow", "scores") else 9
    assert log_weights(kind, np.arange(buckets)).shape == (len(prior(kind)), buckets)


@settings(max_examples=25, deadline=None)
@given(
    pooled=st.lists(st.integers(0, 4), min_size=3, max_size=5), data=st.data(), kind=st.sampled_from(["slow", "scores"])
)
def test_money_is_not_expected_to_grow_on_histograms(pooled: list[int], data: st.DataObject, kind: Kind) -> None:
    n = data.draw(st.integers(0, sum(pooled)))
    expected = sum(
        chance
        * np.exp(
            bets.after(
                kind, bets.opening(kind), x, np.array(pooled) - x, seen=3, alpha=0.01, decided=False, lower=False
            )
        ).sum()
        for x, chance in outcomes(pooled, n)
    )
    assert 0.8 < expected <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    total=st.integers(2, 300),
    data=st.data(),
    rich=st.floats(-3, 3),
    lower=st.booleans(),
    alpha=st.sampled_from([0.3, 0.04]),
)
def test_money_up_to_what_is_needed_is_expected_to_stay_the_same(
    total: int, data: st.DataObject, rich: float, lower: bool, alpha: float
) -> None:
    n, bad = data.draw(st.integers(1, total - 1)), data.draw(st.integers(0, total))
    held = bets.opening("errors") + rich
    goal = 1 / alpha
    first, chances = law(n, total, bad)
    worth = [
        np.exp(
            bets.after(
                "errors",
                held,
                np.array([n - x, x]),
                np.array([total - bad - n + x, bad - x]),
                seen=5,
                alpha=alpha,
                decided=False,
                lower=lower,
            )
        ).sum()
        for x in range(first, first + len(chances))
    ]
    before = math.exp(rich)
    if before >= goal:
        return
    assert float(np.exp(chances) @ np.minimum(worth, goal)) <= before * (1 + 1e-9)
    assert float(np.exp(chances) @ worth) >= before * (1 - 1e-9)


def test_a_canary_that_is_no_worse_is_found_to_be_in_few_rollouts() -> None:
    runs = [shown("errors", stream(seed, 0.01, 0.01, minutes=20)).certain for seed in range(100)]
    assert sum(runs) <= 0.0415 * 100 + 3 * math.sqrt(0.0415 * 100)


def test_a_doubled_error_rate_is_found_soon() -> None:
    runs = [shown("errors", stream(seed, 0.02, 0.01, minutes=15)) for seed in range(30)]
    assert sum(each.worse for each in runs) >= 29
    assert np.median([each.found.requests if each.found else math.inf for each in runs]) <= 1_000


def latencies(seed: int, factor: float, halves: int, rate: float = 150.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(halves):
        arms = [rng.lognormal(math.log(0.05 * f), 0.5, rng.poisson(n)) for n, f in ((rate, factor), (9 * rate, 1.0))]
        made.append(np.stack([np.bincount(np.searchsorted(BUCKETS, arm), minlength=31) for arm in arms]))
    return made


def test_slower_by_a_fifth_is_found_in_300_requests() -> None:
    runs = [shown("slow", latencies(seed, 1.2, 8), BUCKETS) for seed in range(40)]
    found = [each.found.requests if each.found else math.inf for each in runs]
    assert np.median(found) <= 300
    assert max(found) < 1_300


def test_shares_are_beside_stables_of_the_same_minutes() -> None:
    one = evidence.measured(shown("slow", latencies(1, 1.2, 40), BUCKETS))
    assert [share.name.partition(" (")[2] for share in one.shares] == [
        "stable's p50)",
        "stable's p95)",
        "stable's p99)",
    ]
    assert all(share.canary > 1.2 * share.stable for share in one.shares)
    assert one.shares[1].stable == pytest.approx(0.05, abs=0.02)
    assert one.effect is not None
    assert one.effect > 1.5


def stalled(halves: list[np.ndarray], at: tuple[int, ...], part: float) -> list[np.ndarray]:
    """The same with a part of the canary's requests in these half-minutes slower than all others."""
    for index in at:
        hit = (halves[index][0] * part).astype(np.int64)
        halves[index][0] -= hit
        halves[index][0][-1] += hit.sum()
    return halves


def test_a_short_stall_of_the_canary_is_no_reason_and_one_that_stays_is() -> None:
    ones = [shown("slow", stalled(latencies(seed, 1.0, 40), (5,), 0.05), BUCKETS) for seed in range(20)]
    assert sum(one.worse for one in ones) <= 1
    assert shown("slow", stalled(latencies(1, 1.0, 40), tuple(range(5, 12)), 0.05), BUCKETS).worse


def test_a_trifle_that_moves_some_requests_over_an_edge_is_no_reason() -> None:
    halves = [np.array([[0, 935, 65, 0], [0, 8550, 450, 0]])] * 20
    one = evidence.measured(shown("slow", halves, (0.09, 0.1, 0.119)))
    assert one.certain
    assert not one.worse


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_scores_may_move_either_way(factor: float) -> None:
    one = shown("scores", latencies(3, factor, 20), BUCKETS)
    assert one.certain
    assert one.worse


def test_a_busy_minute_for_both_arms_is_no_evidence() -> None:
    rng = np.random.default_rng(5)
    halves = []
    for _ in range(120):
        rate = min(0.5, 0.01 * rng.lognormal(0, 1.5))
        n = rng.poisson([150, 1_350])
        bad = rng.binomial(n, rate)
        halves.append(np.stack([n - bad, bad], axis=1))
    assert shown("errors", halves).log_peak < math.log(10)


@settings(max_examples=15, deadline=None)
@given(cuts=st.sets(st.integers(1, 39)))
def test_however_often_one_looks_the_evidence_is_the_same_to_the_last_bit(cuts: set[int]) -> None:
    halves = stream(7, 0.02, 0.01, minutes=20)
    whole = shown("errors", halves)
    one = evidence.start("errors", Rules())
    for index, half in enumerate(halves, 1):
        one = evidence.add(one, half[0], half[1], at=30.0 * index)
        if index in cuts:
            one = Evidence.model_validate_json(one.model_dump_json())
    assert one == whole


def test_a_canary_that_turns_bad_after_hours_is_found_and_by_what_it_does_now() -> None:
    one = shown("errors", stream(1, 0.01, 0.01, minutes=240) + stream(2, 0.03, 0.01, minutes=15))
    assert one.worse
    assert one.found is not None
    assert one.found.since > 230 * 60
    assert one.found.effect > 2
    assert evidence.measured(one).effect == pytest.approx(1.15, abs=0.1)


def test_a_difference_that_is_tolerated_is_no_reason_however_certain() -> None:
    one = evidence.measured(shown("errors", stream(1, 0.22, 0.2, rate=1_500)))
    assert one.certain
    assert not one.worse
    assert one.effect == pytest.approx(1.13, abs=0.05)


def test_fewer_orders_are_worse_and_more_are_not() -> None:
    found = {}
    for share in (0.05, 0.2):
        one = evidence.start("business orders", RULES)
        for half in stream(1, share, 0.1):
            one = evidence.add(one, half[0], half[1], lower_is_worse=True)
        found[share] = one.worse
    assert found == {0.05: True, 0.2: False}


def test_the_chances_of_a_false_alarm_add_up_to_no_more_than_asked_for() -> None:
    for rules in (Rules(), RULES):
        metrics = ["errors", "refused", "slow", "scores", *(f"business {name}" for name in rules.business)]
        alphas = [evidence.start(metric, rules).alpha for metric in metrics]
        alphas += [evidence.start(f"missing c{k}", rules, place=k).alpha for k in range(evidence.MOST_COLUMNS)]
        assert 0.9 * rules.false_alarms < sum(alphas) <= rules.false_alarms


def test_other_buckets_keep_what_was_shown() -> None:
    one = shown("slow", latencies(3, 1.4, 3), BUCKETS)
    other = evidence.rebucketed(one, BUCKETS[:10])
    assert other.log_e == one.log_e
    assert sum(other.canary) == 0
    assert len(other.canary) == 11


def test_what_changes_for_both_arms_is_held_until_it_is_over_and_counted_as_one() -> None:
    quiet = np.array([[148, 2], [1_335, 15]])
    early, late = np.array([[100, 60], [1_330, 20]]), np.array([[145, 5], [900, 450]])
    one = shown("errors", [quiet] * 4 + [early])
    assert one.held == 1
    assert sum(one.canary) == 4 * 150
    two = evidence.add(one, late[0], late[1], at=180.0)
    assert two.held == 2
    three = evidence.add(two, quiet[0], quiet[1], at=210.0)
    four = evidence.add(three, quiet[0], quiet[1], at=240.0)
    assert (three.held, four.held) == (3, 0)
    assert sum(four.canary) == 4 * 150 + 160 + 150 + 2 * 150
    assert not four.worse
    assert four.log_now < 1


def test_what_began_at_an_edge_is_held_before_it_shows_in_the_half_minute() -> None:
    quiet, edge = np.array([[1_480, 15], [13_400, 135]]), np.array([6_800, 700])
    one = shown("errors", [quiet] * 3)
    uneven = np.array([[1_463, 56], [13_399, 136]])
    assert evidence.add(one, uneven[0], uneven[1], edge=edge).held == 1
    assert evidence.add(one, uneven[0], uneven[1], edge=np.array([7_400, 75])).held == 0


def test_a_canary_that_fails_at_once_is_not_held_for_long() -> None:
    quiet, failed = np.array([[148, 2], [1_335, 15]]), np.array([[0, 150], [1_335, 15]])
    one = shown("errors", [quiet] * 10 + [failed] * 2)
    assert one.worse


def test_no_change_is_held_for_ever() -> None:
    up, down = np.array([[148, 2], [1_335, 15]]), np.array([[100, 50], [900, 450]])
    one = shown("errors", [up, down] * 15)
    assert sum(one.canary) >= evidence.MOST_HELD * 150


@pytest.mark.parametrize("shape", [(3, 2), (3, 12)])
def test_chance_is_no_jump(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    chances = rng.dirichlet(np.ones(shape[1])) if shape[1] > 2 else np.array([0.99, 0.01])
    pairs = rng.multinomial(1_500, chances, size=(300, 2))
    assert sum(evidence.jump(before, after) for before, after in pairs) <= 1
