"""A desk lets in as many requests as it has places, holds as many bytes as it has room, and refuses more at once."""

from __future__ import annotations

import pytest

from ml.serve import desk as desks
from ml.serve.desk import Desk, Place
from ml.serve.errors import Refused


def nobody() -> None:
    raise AssertionError("nobody was to go")


def test_requests_beyond_the_places_are_refused() -> None:
    desk = Desk(places=2, most_bytes=1)
    one, two = desk.enter(), desk.enter()
    with pytest.raises(Refused) as caught:
        desk.enter()
    assert caught.value.code == 503
    desk.begin(one)
    assert desk.taken == 2
    desk.end()
    desk.leave(one)
    desk.enter()
    desk.leave(two)
    assert desk.taken == 1


def test_who_stalls_loses_the_place_to_others_and_has_to_take_one_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "STALLED", 0.0)
    desk = Desk(places=1, most_bytes=1)
    slow = desk.enter()
    quick = desk.enter()
    desk.begin(quick)
    with pytest.raises(Refused):
        desk.begin(slow)
    desk.end()
    desk.begin(slow)
    assert desk.taken == 1
    desk.end()
    desk.leave(slow)
    desk.leave(quick)
    assert desk.taken == 0


def test_bytes_are_given_back_once() -> None:
    desk = Desk(places=9, most_bytes=10)
    one, other = desk.enter(), desk.enter()
    desk.hold(one, 6, nobody)
    desk.hold(other, 4, nobody)
    with pytest.raises(Refused, match="requests hold 10 bytes already"):
        desk.hold(other, 1, nobody)
    desk.leave(one)
    desk.leave(one)
    assert desk.held_bytes == 4
    desk.leave(other)
    assert desk.held_bytes == 0


def test_where_room_is_short_those_who_have_been_long_about_it_go(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, gone = Desk(places=9, most_bytes=10), []

    def evicted(place: Place) -> None:
        gone.append(place)

    slow, quick, new = desk.enter(), desk.enter(), desk.enter()
    slow.since -= desks.HURRY + 1
    desk.hold(slow, 6, lambda: evicted(slow))
    desk.hold(quick, 4, nobody)
    with pytest.raises(Refused):
        desk.hold(new, 1, nobody)
    assert gone == [slow]
