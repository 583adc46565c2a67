"""Who is let in: a bounded number of requests, and bounded room for the bodies that they are still sending."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.serve.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

STALLED = 0.5  # seconds after which a request that is still being sent keeps no place
HURRY = 1.0  # seconds that a body may take where others wait for its room


@dataclass(eq=False, slots=True)
class Place:
    """One request's: when it came, what its body holds, and how to send it away."""

    since: float
    held: int = 0
    evict: Callable[[], None] | None = None


class Desk:
    """Takes at most `places` requests and `most_bytes` of bodies at a time; refuses more at once.

    A place is taken as soon as a request's head is there, so that a crowd is refused before it is read. Who does not
    go on to send what it came with loses its place to others, and with it, where room is short, what it has sent.
    All methods are called from one event loop, so the counts need no lock.
    """

    def __init__(self, places: int, most_bytes: int) -> None:
        self._places = places
        self._most_bytes = most_bytes
        self._sending: dict[Place, None] = {}  # in the order in which they came
        self._holding: dict[Place, None] = {}
        self._begun = 0
        self.held_bytes = 0

    @property
    def taken(self) -> int:
        """Requests that are being sent, wait for the model or are being answered."""
        return len(self._sending) + self._begun

    def enter(self) -> Place:
        """A place for a request whose body is still to come. Raises Refused (503) when all are taken."""
        place = Place(time.monotonic())
        if len(self._sending) + self._begun >= self._places:
            self._require_place(place.since)
        self._sending[place] = None
        return place

    def begin(self, place: Place) -> None:
        """The body is there. Raises Refused (503) when it took long and all places are now taken."""
        if self._sending.pop(place, place) is place and self._begun + len(self._sending) >= self._places:
            self._require_place(time.monotonic())
        self._begun += 1

    def end(self) -> None:
        """A request that had begun is answered."""
        self._begun -= 1

    def leave(self, place: Place) -> None:
        """Give back all that is still held; a second time changes nothing."""
        self._sending.pop(place, None)
        self._holding.pop(place, None)
        self.held_bytes -= place.held
        place.held = 0

    def hold(self, place: Place, size: int, evict: Callable[[], None]) -> None:
        """Take room for bytes of a body until the place is left.

        Where there is none, those who have been sending for longer than HURRY are told to go, by their `evict`; and as
        they only go later, the one who asks is refused: Refused (503).
        """
        if self.held_bytes + size > self._most_bytes:
            now = time.monotonic()
            for each in self._holding:
                if each.evict and now - each.since > HURRY:
                    each.evict()
            raise Refused(503, f"requests hold {self.held_bytes:,} bytes already; try again in a second")
        place.held += size
        place.evict = evict
        self.held_bytes += size
        self._holding[place] = None

    def _require_place(self, now: float) -> None:
        while self._sending and now - (first := next(iter(self._sending))).since > STALLED:
            del self._sending[first]
        if self.taken >= self._places:
            raise Refused(503, f"{self.taken} requests are waiting or being answered; try again in a second")
