"""A desk takes as much work as it has places, keeps what it took to its end, and refuses the rest at once."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest

from ml.serve.desk import Desk
from ml.serve.errors import Refused


def test_work_beyond_the_places_is_refused() -> None:
    desk, go_on = Desk(threads=2, queue=3, most_bytes=1), threading.Event()

    async def crowd() -> list[bool | BaseException]:
        work = [asyncio.create_task(desk.do(go_on.wait)) for _ in range(8)]
        while sum(task.done() for task in work) < 3:
            await asyncio.sleep(0)
        assert desk.taken == 5
        go_on.set()
        return await asyncio.gather(*work, return_exceptions=True)

    found = asyncio.run(crowd())
    assert found[:5] == [True] * 5
    assert [each.code for each in found[5:] if isinstance(each, Refused)] == [503, 503, 503]
    assert desk.taken == 0
    desk.close()


def test_a_place_is_taken_until_the_work_is_done_even_if_its_caller_went_away() -> None:
    desk, go_on = Desk(threads=1, queue=0, most_bytes=1), threading.Event()

    async def leave() -> None:
        left = asyncio.create_task(desk.do(go_on.wait))
        await asyncio.sleep(0)
        left.cancel()
        with suppress(asyncio.CancelledError):
            await left
        with pytest.raises(Refused):
            desk.require_place()
        go_on.set()
        while desk.taken:
            await asyncio.sleep(0)
        assert await desk.do(lambda: "next") == "next"

    asyncio.run(leave())
    desk.close()


def test_work_that_fails_gives_its_place_back() -> None:
    desk = Desk(threads=1, queue=0, most_bytes=1)

    async def fail() -> None:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await desk.do(lambda: 1 // 0)

    asyncio.run(fail())
    assert desk.taken == 0
    desk.close()


def test_bytes_are_given_back_whatever_happens() -> None:
    desk = Desk(threads=1, queue=0, most_bytes=10)
    with desk.holding() as one, desk.holding() as other:
        one(6)
        other(4)
        with pytest.raises(Refused, match="requests hold 10 bytes already"):
            other(1)
    assert desk.held_bytes == 0
    with suppress(ZeroDivisionError), desk.holding() as hold:
        hold(10)
        raise ZeroDivisionError
    assert desk.held_bytes == 0
    desk.close()
