"""One look: from a release and Prometheus' samples to a decision, whatever is missing in them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.commands.analysis import look
from ci.core.canary.counts import STARTED, Series
from ci.core.canary.records import MOST_POINTS, Rollout
from ci.core.canary.rules import Business, Rules, Slos
from ci.core.errors import ConfigurationError
from ci.core.params import Environment
from tests.unit.ci.core.canary.samples import CANARY_LOAD, STABLE_LOAD, T0, Kept, made, stands, version

RULES = Rules(slos=Slos(errors=0.05))
PLACE = Environment(steps=[10, 50, 100])


def looked(
    series: list[Series],
    minutes: float,
    *,
    before: Rollout | None = None,
    rules: Rules = RULES,
    weight: int = 10,
    since: float | None = T0,
) -> Rollout:
    return look(rules, stands(weight), PLACE, before, Kept(series), now=T0 + 60 * minutes, since=since)


HEALTHY = made(31)


def test_a_healthy_canary_is_stepped_and_promoted() -> None:
    first = looked(HEALTHY, 12)
    assert (first.decision.action, first.decision.weight) == ("step", 50)
    assert "show nothing worse: on to 50 %" in first.decision.words
    second = looked(HEALTHY, 14, before=first, weight=50)
    assert second.decision.action == "hold"
    assert second.step.weight == 50
    third = looked(HEALTHY, 30, before=second, weight=50)
    assert (third.decision.action, third.decision.weight) == ("promote", 100)


def test_a_step_waits_for_minutes_and_requests_and_says_how_long() -> None:
    early = looked(HEALTHY, 4)
    assert early.decision.action == "hold"
    assert "held at 10 %: 3.5 of 10 minutes so far, about 6 minutes more at this rate" in early.decision.words
    wants_more = looked(HEALTHY, 12, rules=RULES.model_copy(update={"requests": 6_000}))
    assert wants_more.decision.action == "hold"
    assert "of 6,000 requests so far, about" in wants_more.decision.words


@pytest.mark.parametrize(
    ("metric", "change"),
    [
        ("errors", {"errors": 0.03}),
        ("slow", {"slower": 1.2}),
        ("scores", {"higher": 1.0}),
        ("refused", {"refused": 0.08}),
    ],
)
def test_a_canary_that_is_worse_is_rolled_back_for_what_is_worse(metric: str, change: dict[str, Any]) -> None:
    found = looked(made(20, **change), 20)
    assert found.decision.action == "rollback"
    assert metric in found.decision.metrics
    assert "certainly worse" in found.decision.words
    assert "on stable in the same minutes" in found.decision.words
    assert any("e = " in fact for fact in found.decision.facts)


def test_what_is_missing_is_found_by_column() -> None:
    assert "missing amount" in looked(made(20, refused=0.08), 20).decision.metrics


def test_a_canary_without_traffic_holds() -> None:
    found = looked(made(30, rate=0.0), 30)
    assert found.decision.action == "hold"
    assert "nothing to compare so far: the canary had no requests" in found.decision.words
    assert found.evidence == ()


def test_a_stable_without_traffic_holds() -> None:
    found = looked(made(30, stable=replace(STABLE_LOAD, rate=0.0)), 30)
    assert ": stable had no requests" in found.decision.words


def test_a_canary_that_is_not_scraped_holds() -> None:
    found = looked([each for each in HEALTHY if each.labels["track"] == "stable"], 30)
    assert found.decision.action == "hold"
    assert "Prometheus has no unbroken samples of the canary" in found.decision.words


def test_a_canary_that_vanished_holds_though_it_was_well() -> None:
    gone = [
        each if each.labels["track"] == "stable" else Series(each.labels, [s for s in each.samples if s[0] < T0 + 700])
        for each in HEALTHY
    ]
    before = looked(gone, 11)
    found = looked(gone, 25, before=before)
    again = looked(gone, 25.1, before=found)
    for each in (found, again):
        assert each.decision.action == "hold"
        assert each.decision.words.startswith("held at 10 %: there is nothing to compare since 08:11 UTC")
    assert found.requests > 2_500


def test_what_is_not_evidence_yet_keeps_a_canary_that_just_broke_from_a_step() -> None:
    well, broken = made(14, seed=5), made(14, seed=5, errors=1.0)
    breaks = T0 + 690

    def joined(before: Series, after: Series) -> Series:
        rest = dict(after.samples)
        if before.labels["track"] == "stable" or before.labels["__name__"] == STARTED:
            return before
        last = max(time for time in rest if time < breaks)
        at = dict(before.samples)[last] - rest[last]
        return Series(before.labels, [(t, v if t < breaks else rest[t] + at) for t, v in before.samples])

    breaking = [joined(*pair) for pair in zip(well, broken, strict=True)]
    assert looked(breaking, 11.5).decision.action == "step"
    found = looked(breaking, 12.4)
    assert found.decision.action == "hold"
    assert (
        "times are tolerated) for 1 minute, and whether that is both arms' doing is not known yet"
        in found.decision.words
    )
    assert looked(breaking, 13).decision.action == "rollback"


def crashing(series: list[Series], seconds: float) -> list[Series]:
    """The same with a canary whose process ends and begins anew every so many seconds, from T0 on."""

    def began(time: float) -> float:
        return T0 + (time - T0) // seconds * seconds

    def again(each: Series) -> Series:
        if each.labels["track"] == "stable":
            return each
        if each.labels["__name__"] == STARTED:
            return Series(each.labels, [(t, began(t) if t >= T0 else value) for t, value in each.samples])
        lost = {began(t): value for t, value in each.samples}  # by the end of each life
        return Series(
            each.labels,
            [(t, value - (lost.get(began(t) - seconds, 0.0) if t >= T0 else 0.0)) for t, value in each.samples],
        )

    return [again(each) for each in series]


def test_a_canary_that_crashes_again_and_again_is_not_stepped_though_it_counts_no_error() -> None:
    found = looked(crashing(HEALTHY, 240), 27)
    assert (found.decision.action, found.step.minutes) == ("hold", 26.5)
    assert "a process of it began at 08:24 UTC only: none is to be younger than 10 minutes" in found.decision.words
    assert looked(crashing(HEALTHY, 7_200), 27).decision.action == "step"


def test_the_canarys_track_counts_only_with_the_version_that_is_rolled_out() -> None:
    other = replace(CANARY_LOAD, key="c", errors=0.5).series(1, 30)
    found = looked([*other, *STABLE_LOAD.series(1, 30)], 30)
    assert found.decision.action == "hold"
    assert looked([*HEALTHY, *other], 12).evidence == looked(HEALTHY, 12).evidence


def test_what_two_jobs_scrape_counts_once() -> None:
    twice = [Series({**each.labels, "job": job}, each.samples) for each in HEALTHY for job in ("pods", "services")]
    assert looked(twice, 12).evidence == looked(HEALTHY, 12).evidence
    assert looked(twice, 12).requests == looked(HEALTHY, 12).requests


def test_prometheus_down_in_the_middle_is_left_out() -> None:
    down = [Series(each.labels, [s for s in each.samples if not 300 < s[0] - T0 < 900]) for each in HEALTHY]
    found = looked(down, 20)
    assert found.skipped >= 20
    assert found.windows == 40 - found.skipped - 1 or found.windows == 40 - found.skipped
    assert found.decision.action == "hold"
    assert looked(down, 30).decision.action == "step"


def test_a_clock_that_is_behind_holds_and_keeps_all() -> None:
    before = looked(HEALTHY, 20)
    found = looked(HEALTHY, 10, before=before)
    assert found.decision.action == "hold"
    assert found.evidence == before.evidence
    assert "clock" in found.decision.words


@settings(max_examples=4, deadline=None)
@given(looks=st.lists(st.floats(0.1, 20), max_size=12), seed=st.integers(0, 3))
def test_however_often_one_looks_the_evidence_is_the_same_to_the_last_bit(looks: list[float], seed: int) -> None:
    series = made(20, seed=seed, errors=0.015, started=70.0)
    found: Rollout | None = None
    for minutes in [*sorted(looks), 20.0]:
        if found is not None:
            found = Rollout.model_validate_json(found.model_dump_json())
        found = looked(series, minutes, before=found)
    whole = looked(series, 20)
    assert found is not None
    assert found.evidence == whole.evidence
    assert found.points == whole.points
    assert (found.windows, found.skipped, found.requests) == (whole.windows, whole.skipped, whole.requests)


def test_another_canary_starts_anew() -> None:
    before = looked(HEALTHY, 12)
    newer = stands(canary=version("c"))
    found = look(RULES, newer, PLACE, before, Kept(HEALTHY), now=T0 + 1_200, since=T0 + 1_000)
    assert found.canary == "c" * 64
    assert found.requests == 0
    assert found.started == T0 + 1_020  # the next edge: what was counted on the canary before is not this one's
    at_once = look(RULES, newer, PLACE, before, Kept(HEALTHY), now=T0 + 1_005, since=T0 + 1_000)
    assert at_once.decision.action == "hold"
    assert "clock" not in at_once.decision.words
    again = look(RULES, newer, PLACE, at_once, Kept(HEALTHY), now=T0 + 1_200, since=T0 + 1_000)
    assert (again.started, again.evidence) == (found.started, found.evidence)


def test_a_canary_that_is_released_again_later_starts_anew() -> None:
    failing = made(31, errors=0.03)
    first = looked(failing, 14)
    assert first.decision.action == "rollback"
    again = looked(failing, 16, before=first, since=T0 + 15 * 60)
    assert (again.decision.action, again.started, again.windows) == ("hold", T0 + 15 * 60, 1)
    assert looked(failing, 16, before=first, since=T0 + 29).decision.action == "rollback"
    early = looked(failing, 16, before=first, since=T0 + 3600)
    assert looked(failing, 16.5, before=early, since=T0 + 3600).decision.action == "hold", "a clock that is ahead"


def test_a_record_with_other_bets_starts_anew() -> None:
    first = looked(HEALTHY, 12)
    other = tuple(each.model_copy(update={"log_e": each.log_e[:-2]}) for each in first.evidence)
    assert looked(HEALTHY, 14, before=first.model_copy(update={"evidence": other})) == looked(HEALTHY, 14)


def test_an_hour_is_read_back_where_it_is_not_known_since_when() -> None:
    assert looked(HEALTHY[:3], 40, since=None).started == T0 - 1_200
    assert looked(HEALTHY[:3], 40, since=T0 - 10 * 86_400).started == T0 + 2_400 - 86_400


def test_no_look_for_a_day_leaves_out_what_is_older() -> None:
    before = looked(HEALTHY, 12)
    found = looked(HEALTHY, 3 * 1_440, before=before)
    assert found.decision.action == "hold"
    assert found.requests == before.requests


def test_a_release_without_a_canary_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="churn in production has no canary"):
        look(RULES, stands(canary=None), PLACE, None, Kept([]), now=T0)


def test_absolute_limits_hold_and_tell_whose_doing_it_is() -> None:
    both = looked(made(20, errors=0.08, stable=replace(STABLE_LOAD, errors=0.08)), 20)
    assert both.decision.action == "hold"
    assert "so this is not the canary's doing" in both.decision.words
    slow = looked(HEALTHY, 20, rules=Rules(slos=Slos(errors=None, p99_seconds=0.05)))
    assert slow.decision.action == "hold"
    assert "its p99 is 0." in slow.decision.words
    assert looked(HEALTHY, 20, rules=Rules(slos=Slos(errors=None, p99_seconds=0.2))).decision.action == "step"


def test_a_limit_that_nothing_counts_holds() -> None:
    series = [each for each in HEALTHY if "seconds_bucket" not in each.labels["__name__"]]
    found = looked(series, 20, rules=Rules(slos=Slos(errors=None, p99_seconds=0.2)))
    assert "nothing counts it" in found.decision.words


def test_suspicion_holds_with_how_much_more_it_takes() -> None:
    rules = Rules(minutes=1, requests=100, slos=Slos(errors=None))
    words = [looked(made(3, seed=seed, errors=0.02), 3, rules=rules).decision for seed in range(6)]
    suspicious = [each for each in words if "is suspicious and not certain yet" in each.words]
    assert suspicious
    assert all(
        each.action == "hold" and "more requests to the canary would make it so" in each.words for each in suspicious
    )


def business(track: str, orders: float, sessions: float) -> list[Series]:
    times = [T0 + 10 * k for k in range(-20, 240)]
    return [
        Series(
            {"__name__": name, "shop": "x", "track": track}, [(t, float(round(rate * (t - T0 + 300)))) for t in times]
        )
        for name, rate in (("orders_total", orders), ("sessions_total", sessions))
    ]


def test_a_business_metric_is_a_ratio_of_outside_counters() -> None:
    ratio = Business(
        numerator='orders_total{track="$track"}', denominator='sessions_total{track="$track"}', worse="lower"
    )
    rules = RULES.model_copy(update={"business": {"orders": ratio}})
    fewer = looked([*HEALTHY, *business("canary", 0.2, 4), *business("stable", 4, 36)], 20, rules=rules)
    assert fewer.decision.action == "rollback"
    assert fewer.decision.metrics == ("business orders",)
    without = looked(HEALTHY, 21, before=fewer)
    assert without.decision.action == "step", "params.yaml asks for it no more"
    alike = looked([*HEALTHY, *business("canary", 0.4, 4), *business("stable", 3.6, 36)], 20, rules=rules)
    assert alike.decision.action == "step"


def test_a_shadow_counts_like_any_step() -> None:
    found = looked(HEALTHY, 12, weight=0)
    assert (found.decision.action, found.decision.weight) == ("step", 10)
    assert "in the shadow" in found.decision.words


def test_all_of_the_traffic_leaves_nothing_to_compare() -> None:
    assert "nothing is left to compare" in looked(HEALTHY, 20, weight=100).decision.words


def test_a_look_at_a_busy_hour_takes_less_than_a_second_or_two() -> None:
    busy = replace(STABLE_LOAD, rate=45.0, pods=2)
    series = made(60, rate=5.0, stable=busy)
    for each in series:  # a thousand requests a second, without waiting for each to be drawn
        object.__setattr__(
            each, "samples", [(t, v if "process" in each.labels["__name__"] else 20 * v) for t, v in each.samples]
        )
    started = time.process_time()
    found = looked(series, 60)
    assert time.process_time() - started < 2
    assert found.requests > 300_000
    assert len(found.points) <= MOST_POINTS
    assert len(found.model_dump_json()) < 60_000


def test_an_outage_of_both_arms_is_no_evidence_though_they_are_scraped_seconds_apart() -> None:
    found = []
    for seed in range(8):
        burst = (150.0 + 3 * seed, 160.0 + 3 * seed)
        stable = replace(STABLE_LOAD, burst=burst, rate=450.0)
        series = made(6, seed=seed, burst=burst, rate=50.0, stable=stable)
        counters = [each for each in series if "bucket" not in each.labels["__name__"]]
        found += [each.found.at - T0 for each in looked(counters, 6).evidence if each.found is not None]
    assert [at for at in found if at > 120] == []
