"""A desk lets in as many requests as it has places, holds as many bytes as it has room, and refuses more at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from ml.serve import desk as desks
from ml.serve.desk import Desk
from ml.serve.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def does() -> None:
        await test()

    asyncio.run(does())


def test_requests_beyond_the_places_are_refused() -> None:
    async def test() -> None:
        desk = Desk(places=2, most_bytes=1)
        one, two = desk.enter(), desk.enter()
        with pytest.raises(Refused) as caught:
            desk.enter()
        assert caught.value.code == 503
        desk.begin(one)
        assert desk.taken == 2
        desk.leave(one)
        desk.enter()
        desk.leave(two)
        assert desk.taken == 1

    run(test)


def test_who_stalls_loses_the_place_to_others_and_has_to_take_one_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "STALLED", -1.0)

    async def test() -> None:
        desk = Desk(places=1, most_bytes=1)
        slow = desk.enter()
        quick = desk.enter()
        desk.begin(quick)
        with pytest.raises(Refused):
            desk.begin(slow)
        desk.leave(quick)
        desk.begin(slow)
        assert desk.taken == 1
        desk.leave(slow)
        desk.leave(slow)
        assert desk.taken == 0

    run(test)


def test_bytes_are_given_back_once() -> None:
    async def test() -> None:
        desk = Desk(places=9, most_bytes=10)
        one, other = desk.enter(), desk.enter()
        desk.hold(one, 6)
        desk.hold(other, 4)
        with pytest.raises(Refused, match="requests hold 10 bytes already"):
            desk.hold(other, 1)
        desk.leave(one)
        desk.leave(one)
        assert desk.held_bytes == 4
        desk.leave(other)
        assert desk.held_bytes == 0

    run(test)


def test_who_finds_no_room_is_refused_and_not_sent_away_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "HURRY", -1.0)

    async def test() -> None:
        desk = Desk(places=9, most_bytes=10)
        slow = desk.enter()
        desk.hold(slow, 9)
        with pytest.raises(Refused, match="requests hold 9 bytes already"):
            desk.hold(slow, 2)
        assert slow.task.cancelling() == 0

    run(test)


async def sending(desk: Desk, size: int = 0, since: float = 0.0, told: asyncio.Event | None = None) -> str:
    """The words with which one is sent away that never comes to its end."""
    place = desk.enter()
    place.since -= since
    try:
        desk.hold(place, size)
        if told:
            told.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            desk.require_time(place)
            raise
    except Refused as refused:
        return f"{refused.code}: {refused.words}"
    finally:
        desk.leave(place)
    raise AssertionError


def test_where_room_is_short_those_who_have_been_long_about_it_go() -> None:
    async def test() -> None:
        desk = Desk(places=9, most_bytes=10)
        slow = asyncio.create_task(sending(desk, 6, desks.HURRY + 1))
        quick = asyncio.create_task(sending(desk, 4))
        await asyncio.sleep(0)
        assert (await sending(desk, 1)).startswith("503: requests hold 10 bytes already")
        assert (await slow).startswith("408: the body did not come within 10 seconds; after 2.0 its room was needed")
        assert not quick.done()
        assert (desk.held_bytes, desk.taken) == (4, 1)
        quick.cancel()
        with pytest.raises(asyncio.CancelledError):
            await quick
        assert (desk.held_bytes, desk.taken) == (0, 0)

    run(test)


def test_each_is_sent_away_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "BODY_SECONDS", 0.02)
    monkeypatch.setattr(desks, "STALLED", -1.0)

    async def test() -> None:
        desk, order = Desk(places=1, most_bytes=10), []

        async def one(number: int) -> Any:
            found = await sending(desk)
            order.append(number)
            return found

        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(3):
                tasks.append(group.create_task(one(number)))
                await asyncio.sleep(0.005)
        assert {task.result() for task in tasks} == {"408: the body did not come within 0.02 seconds; send it whole"}
        assert order == [0, 1, 2]
        assert desk.taken == 0

    run(test)
