from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ci.core import explaining
from ci.core.explaining import Logged
from ci.core.tracing import Chain, Step
from tests import history

if TYPE_CHECKING:
    from ci.core.tracing import Arm

VERSION = history.version("toy", 1)
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def logged(track: str = "", at: datetime = NOON) -> Logged:
    features = {"age": 1.0, "plan": "hmac:0123", "name": None}
    known = VERSION.lineage.model_hash
    return Logged(
        request_id="a",
        row=0,
        time=at,
        model="toy",
        model_hash=known,
        version=known[:12],
        track=track,
        features=features,
        score=0.5,
    )


def step(environment: str, hour: int, arm: Arm | None, weight: int = 5) -> Step:
    when = f"2026-11-27T{hour:02}:00:00+02:00"
    return Step(environment=environment, commit="c" * 40, when=when, by="bot", subject="s", arm=arm, weight=weight)


def test_what_ran_is_the_last_step_before_the_row() -> None:
    steps = [step("staging", 11, "stable", 100), step("production", 12, "canary"), step("production", 13, "canary", 25)]
    steps += [step("production", 15, "stable", 100)]  # 13:00 UTC: too late
    assert [(each.environment, each.weight) for each in explaining.ran(steps, logged())] == [
        ("staging", 100),
        ("production", 25),
    ]
    assert [each.environment for each in explaining.ran(steps, logged("canary"))] == ["production"]
    assert [each.environment for each in explaining.ran(steps, logged("stable"))] == ["staging"]
    withdrawn = explaining.ran([*steps, step("production", 14, None)], logged("canary"))
    assert [each.environment for each in withdrawn] == ["staging"]


def test_of_two_releases_of_a_model_the_one_that_ran_is_chosen() -> None:
    old = Chain(model="toy", lineage=VERSION.lineage, version="1", links=(), steps=(step("production", 12, "stable"),))
    new = Chain(model="toy", lineage=VERSION.lineage, version="2", links=(), steps=(step("production", 15, "stable"),))
    other = Chain(model="toy", lineage=history.version("toy", 2).lineage, version="3", links=())
    assert explaining.chosen([old, new, other], logged()) == old
    assert explaining.chosen([old, new], logged("canary")) == old  # on which a canary stood by
    assert explaining.chosen([other, new], logged()) == new  # it is known, and did not run
    assert explaining.chosen([other], logged()) is None


def test_the_answer_that_the_sender_got_comes_first() -> None:
    later, last = NOON + timedelta(milliseconds=3), NOON + timedelta(minutes=1)
    stable, copied = logged("stable"), logged("canary", later)
    second = stable.model_copy(update={"row": 1})
    assert explaining.answers([copied, second, stable]) == [(stable, second), (copied,)]
    again = logged("stable", last)
    assert explaining.answers([stable, again, copied]) == [(again,), (stable,), (copied,)]


def test_what_the_log_does_not_show_is_hidden() -> None:
    assert explaining.hidden(logged(), ["age", "plan", "name", "salary"]) == ("plan", "salary")


@pytest.mark.parametrize(("one", "other", "same"), [(0.5, 0.500004, True), (0.5, 0.5001, False), (1e6, 1e6 + 5, True)])
def test_scores_are_one_within_what_machines_differ_by(one: float, other: float, same: bool) -> None:
    assert explaining.is_same(one, other) is same


def test_times_are_read_as_people_write_them() -> None:
    assert explaining.since("2026-11-27T12") == explaining.since("2026-11-27T14:00+02:00") == NOON
    assert explaining.since("2026-11-27") == datetime(2026, 11, 27, tzinfo=UTC)
    assert explaining.since("yesterday") is None
