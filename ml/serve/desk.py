"""Who is let in: a bounded number of requests, bounded room for their bodies, and bounded time to send them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from ml.serve.errors import Refused

STALLED = 0.5  # seconds after which a request that is still being sent keeps no place
HURRY = 1.0  # seconds that a body may take where others wait for its room
BODY_SECONDS = 10.0  # that it may take in any case


@dataclass(eq=False, slots=True)
class Place:
    """One request's: whose task it is, when it came, what its body holds, if that is whole, and if it was sent away."""

    task: asyncio.Task[Any]
    since: float
    held: int = 0
    begun: bool = False
    late: bool = False


class Desk:
    """Takes at most `places` requests and `most_bytes` of bodies at a time; refuses more at once.

    A place is taken as soon as a request's head is there, so that a crowd is refused before it is read. Who does not
    go on to send what it came with loses its place to others, and with it, where room is short, what it has sent.
    All methods are called from one event loop, so the counts need no lock; and one timer watches over all bodies,
    since a timer for each costs more than reading most of them.
    """

    def __init__(self, places: int, most_bytes: int) -> None:
        self._places = places
        self._most_bytes = most_bytes
        self._sending: dict[Place, None] = {}  # in the order in which they came, as are all three
        self._stalled: dict[Place, None] = {}
        self._holding: dict[Place, None] = {}
        self._begun = 0
        self._timer: asyncio.TimerHandle | None = None
        self.held_bytes = 0

    @property
    def taken(self) -> int:
        """Requests that are being sent, wait for the model or are being answered."""
        return len(self._sending) + self._begun

    def enter(self) -> Place:
        """A place for this task's request, whose body is still to come. Raises Refused (503) when all are taken."""
        now = time.monotonic()
        if len(self._sending) + self._begun >= self._places:
            self._require_place(now)
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is answered by a task")
        place = Place(task, now)
        self._sending[place] = None
        if self._timer is None:
            self._watch(BODY_SECONDS)
        return place

    def require_time(self, place: Place) -> None:
        """The task was cancelled while its body was read. Raises Refused (408) where it was for taking too long."""
        if not place.late:
            return
        place.task.uncancel()
        seconds = time.monotonic() - place.since
        hurried = f"; after {seconds:.1f} its room was needed" if seconds < BODY_SECONDS else ""
        raise Refused(408, f"the body did not come within {BODY_SECONDS:g} seconds{hurried}; send it whole")

    def begin(self, place: Place) -> None:
        """The body is there. Raises Refused (503) when it took long and all places are now taken."""
        if place in self._sending:
            del self._sending[place]
        else:
            self._require_place(time.monotonic())
            self._stalled.pop(place, None)
        self._begun += 1
        place.begun = True

    def leave(self, place: Place) -> None:
        """Give back all that is still held; a second time changes nothing."""
        if place.begun:
            self._begun -= 1
            place.begun = False
        else:
            self._sending.pop(place, None)
            self._stalled.pop(place, None)
        if place.held:
            del self._holding[place]
            self.held_bytes -= place.held
            place.held = 0

    def hold(self, place: Place, size: int) -> None:
        """Take room for bytes of a body until the place is left.

        Where there is none, those who have been sending for longer than HURRY are told to go; and as they only go
        later, the one who asks is refused: Refused (503).
        """
        if self.held_bytes + size > self._most_bytes:
            now = time.monotonic()
            for each in self._holding:
                if each is not place and now - each.since > HURRY:
                    self._send_away(each)
            raise Refused(503, f"requests hold {self.held_bytes:,} bytes already; try again in a second")
        if size:
            self._holding[place] = None
            place.held += size
            self.held_bytes += size

    def _require_place(self, now: float) -> None:
        while self._sending and now - (first := next(iter(self._sending))).since > STALLED:
            del self._sending[first]
            self._stalled[first] = None
        if self.taken >= self._places:
            raise Refused(503, f"{self.taken} requests are waiting or being answered; try again in a second")

    def _watch(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Send away those who have had their time; look again when the next will have had it."""
        self._timer = None
        now = time.monotonic()
        for place in (*self._stalled, *self._sending):
            left = place.since + BODY_SECONDS - now
            if left > 0:
                self._watch(left)
                return
            self._send_away(place)

    def _send_away(self, place: Place) -> None:
        if not place.late and (place in self._sending or place in self._stalled):
            place.late = True
            place.task.cancel()
