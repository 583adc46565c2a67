"""From raw samples to half-minutes: resets, restarts, gaps, clocks, and looks at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.core.canary.counts import (
    APART,
    LATE,
    STARTED,
    WINDOW,
    Arm,
    Series,
    Window,
    arm,
    edge_after,
    edge_before,
    windows,
)
from ci.core.canary.tallies import HISTOGRAMS, REQUESTS, common_edges, tallies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.core.canary.counts import Key

T0 = 1_800_000_000.0


@dataclass
class Pod:
    """A process that counts `rate` requests a second from `born` to `died`, scraped every 15 s `off` the minute."""

    name: str
    born: float = -1_000.0
    died: float = 3_600.0
    rate: float = 2.0
    off: float = 3.0
    code: str = "200"

    def series(self, missing: tuple[float, float] = (1, 0), first: float | None = None) -> list[Series]:
        times = [T0 + self.off + 15 * k for k in range(-20, 260)]
        seen = [t for t in times if self.born < t - T0 < self.died and not missing[0] <= t - T0 <= missing[1]]
        counted = [
            (t, float(round(self.rate * (t - T0 - self.born)))) for t in seen if first is None or t >= T0 + first
        ]
        return [
            Series({"__name__": REQUESTS, "instance": self.name, "route": "infer", "code": self.code}, counted),
            Series({"__name__": STARTED, "instance": self.name}, [(t, T0 + self.born) for t in seen]),
        ]


def arm_of(*series: Series) -> Arm:
    starts = [each for each in series if each.labels["__name__"] == STARTED]
    return arm([each for each in series if each not in starts], starts)


def total(counted: Mapping[Key, int]) -> int:
    return sum(counted.values())


def see(canary: Arm, stable: Arm, now: float = 3_700.0, seen_until: float = 0.0) -> list[Window]:
    return list(windows(canary, stable, seen_until=T0 + seen_until, now=T0 + now))


STABLE = arm_of(*Pod("s").series())


def test_steady_counters_give_steady_half_minutes() -> None:
    found = see(arm_of(*Pod("c").series()), STABLE, now=600)
    assert [window.end - window.start for window in found] == [WINDOW] * 19
    assert not any(window.unseen for window in found)
    assert {total(window.canary) for window in found} == {60}


def test_nothing_is_lost_or_counted_twice_between_edges() -> None:
    pod = Pod("c", rate=3.37, off=7.9)
    found = see(arm_of(*pod.series()), STABLE, now=3_600)
    run = arm_of(*pod.series()).runs[0]
    assert sum(total(window.canary) for window in found) == int((run.at(found[-1].end) - run.at(T0)).sum())


def test_a_counter_that_falls_was_reset_and_counts_from_0() -> None:
    labels = {"__name__": REQUESTS, "instance": "c", "route": "infer", "code": "200"}
    values = [100.0, 160.0, 220.0, 10.0, 70.0, 130.0]
    found = see(arm_of(Series(labels, [(T0 + 30 * k, v) for k, v in enumerate(values)])), STABLE, now=200)
    assert [total(window.canary) for window in found[:5]] == [60, 60, 10, 60, 60]


def test_a_restart_is_seen_though_no_counter_falls() -> None:
    labels = {"__name__": REQUESTS, "instance": "c", "route": "infer", "code": "200"}
    counted = Series(labels, [(T0, 5.0), (T0 + 30, 6.0), (T0 + 60, 40.0)])
    born = Series({"__name__": STARTED, "instance": "c"}, [(T0, T0 - 9), (T0 + 30, T0 - 9), (T0 + 60, T0 + 40)])
    assert [total(window.canary) for window in see(arm_of(counted, born), STABLE, now=100)[:2]] == [1, 40]


def test_an_error_that_never_was_before_counts_from_0() -> None:
    good, born = Pod("c").series()
    bad = Series({**good.labels, "code": "500"}, [(t, 2.0) for t, _ in good.samples if t > T0 + 100])
    found = see(arm_of(good, born, bad), STABLE, now=300)
    failed = [tallies(window.canary, window.stable, {})["errors"][0][1] for window in found]
    assert sum(failed) == 2


def test_a_pod_born_in_a_half_minute_counts_from_0_and_a_late_discovery_does_not() -> None:
    young = Pod("c2", born=200.0, rate=5.0)
    found = see(arm_of(*Pod("c").series(), *young.series()), STABLE, now=400)
    assert total(found[6].canary) == 60
    assert total(found[7].canary) > 150
    assert sum(total(window.canary) for window in found) == pytest.approx(
        2 * found[-1].end - 2 * T0 + 5 * (390 - 200), abs=90
    )
    late = see(arm_of(*Pod("c").series(), *Pod("c2", born=-5_000.0).series(first=200)), STABLE, now=400)
    assert max(total(window.canary) for window in late) <= 120


def test_what_only_pods_that_just_came_counted_is_compared() -> None:
    found = see(arm_of(*Pod("c", born=95.0).series()), STABLE, now=400)
    assert [bool(window.unseen) for window in found[:5]] == [True, True, True, False, False]


@pytest.mark.parametrize(("metric", "heard"), [(REQUESTS, 5), (HISTOGRAMS["slow"], 3)])
def test_how_long_requests_take_in_a_process_s_first_minute_is_not_counted(metric: str, heard: int) -> None:
    pod = Pod("c", born=151)
    counted, started = pod.series()
    labels = {"__name__": metric, "instance": "c", "le": "+Inf"}
    found = see(arm_of(Series(labels, counted.samples), started), STABLE, now=304)
    assert sum(bool(total(window.canary)) for window in found) == heard


def test_missing_scrapes_are_neither_health_nor_failure() -> None:
    found = see(arm_of(*Pod("c").series(missing=(200, 400))), STABLE, now=900)
    unseen = [window.start - T0 for window in found if window.unseen]
    assert unseen == [180.0, 210.0, 240.0, 270.0, 300.0, 330.0, 360.0, 390.0]
    assert all(window.unseen == ("canary",) for window in found if window.unseen)
    assert not any(window.canary for window in found if window.unseen)
    assert {total(window.canary) for window in found if not window.unseen} == {60}


def test_one_missing_scrape_of_four_is_bridged() -> None:
    found = see(arm_of(*Pod("c").series(missing=(230, 250))), STABLE, now=900)
    assert not any(window.unseen for window in found)


def test_both_arms_are_gone_while_prometheus_was_down() -> None:
    found = see(arm_of(*Pod("c").series(missing=(200, 800))), arm_of(*Pod("s").series(missing=(200, 800))), now=1_500)
    assert {window.unseen for window in found} == {(), ("canary", "stable")}
    assert {total(window.canary) for window in found if not window.unseen} == {60}


@pytest.mark.parametrize("who", ["canary", "stable"])
def test_an_arm_that_is_not_there_is_unseen(who: str) -> None:
    arms = {"canary": STABLE, "stable": STABLE, who: arm([])}
    found = see(arms["canary"], arms["stable"], now=400)
    assert {window.unseen for window in found} == {(who,)}
    assert found[-1].end <= T0 + 400 - APART


def test_an_arm_without_requests_was_seen() -> None:
    found = see(arm_of(*Pod("c", rate=0.0).series()), STABLE, now=400)
    assert all(not window.unseen and total(window.canary) == 0 for window in found)


def test_times_out_of_order_or_twice_are_put_right() -> None:
    counted, born = Pod("c").series()
    mixed = Series(counted.labels, [*reversed(counted.samples), *counted.samples[:9]])
    assert see(arm_of(mixed, born), STABLE) == see(arm_of(counted, born), STABLE)


def test_a_clock_that_went_back_gives_nothing_new() -> None:
    assert see(STABLE, STABLE, now=100, seen_until=600) == []


def test_nothing_is_counted_of_what_is_still_to_come() -> None:
    ends = [window.end for window in see(STABLE, STABLE, now=100)]
    assert ends == [T0 + 30, T0 + 60, T0 + 90]
    assert see(STABLE, STABLE, now=60 + LATE - 0.5)[-1].end == T0 + 30


pods = st.builds(
    lambda born, life, rate, off: (born, life, rate, off),
    st.floats(-500, 700),
    st.floats(20, 900),
    st.floats(0, 9),
    st.floats(0.5, 14.5),
)


@settings(max_examples=40, deadline=None)
@given(
    canary=st.lists(pods, min_size=1, max_size=3),
    gap=st.tuples(st.floats(0, 600), st.floats(0, 300)),
    looks=st.lists(st.floats(1, 1_000), max_size=8),
)
def test_the_same_samples_give_the_same_half_minutes_in_however_many_looks(
    canary: list[tuple[float, float, float, float]], gap: tuple[float, float], looks: list[float]
) -> None:
    series = [
        each
        for index, (born, life, rate, off) in enumerate(canary)
        for each in Pod(f"c{index}", born, born + life, rate, off).series(missing=(gap[0], gap[0] + gap[1]))
    ]
    stable = Pod("s").series()

    def read(which: Sequence[Series], start: float, end: float) -> Arm:
        cut = [Series(each.labels, [s for s in each.samples if start <= s[0] <= end]) for each in which]
        return arm_of(*(each for each in cut if each.samples))

    whole = see(read(series, T0 - 500, T0 + 1_100), read(stable, T0 - 500, T0 + 1_100), now=1_100)
    found: list[Window] = []
    until = T0
    for now in [*sorted(looks), 1_100.0]:
        start = until - APART - LATE - 1
        found += see(read(series, start, T0 + now), read(stable, start, T0 + now), now=now, seen_until=until - T0)
        until = found[-1].end if found else until
    assert found == whole


def test_edges_are_the_clocks() -> None:
    assert edge_before(T0 + 59.9) == T0 + 30
    assert edge_before(T0 + 60) == T0 + 60
    assert edge_after(T0 + 59.9) == T0 + 60
    assert edge_after(T0 + 60) == T0 + 60


def bucket(le: str, *values: float, instance: str = "c") -> Series:
    name = HISTOGRAMS["slow"]
    return Series({"__name__": name, "instance": instance, "le": le}, [(T0 + 30 * k, v) for k, v in enumerate(values)])


def test_buckets_are_made_single_and_to_the_edges_that_both_arms_have() -> None:
    canary = arm([bucket("0.1", 1, 4, 9), bucket("0.2", 2, 6, 12), bucket("+Inf", 2, 7, 13)])
    stable = arm([bucket("0.1", 0, 1, 2), bucket("0.15", 0, 2, 4), bucket("0.2", 0, 3, 6), bucket("+Inf", 0, 3, 6)])
    edges = common_edges(canary, stable)
    assert edges["slow"] == (0.1, 0.2)
    window = see(canary, stable, now=70)[0]
    made = tallies(window.canary, window.stable, edges)["slow"]
    assert [part.tolist() for part in made] == [[3, 1, 1], [1, 2, 0]]


def test_what_requests_lack_stands_beside_all_requests() -> None:
    def keys(lacking: int) -> dict[tuple[tuple[str, str], ...], int]:
        return {
            (("__name__", REQUESTS), ("code", "200"), ("route", "infer")): 10,
            (("__name__", REQUESTS), ("code", "400"), ("route", "infer")): lacking,
            (("__name__", "trunkline_serve_missing_total"), ("column", "amount")): lacking,
        }

    made = tallies(keys(4), keys(0), {})
    assert [part.tolist() for part in made["missing amount"]] == [[10, 4], [10, 0]]
