"""Where requests wait for the model: a small thread pool behind a bounded queue, and a bound on what they hold."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ml.serve.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Result = TypeVar("Result")


class Desk:
    """Takes at most `threads` + `queue` pieces of work and `most_bytes` of bodies at a time; refuses more at once.

    All methods are called from one event loop, so the counts need no lock.
    """

    def __init__(self, threads: int, queue: int, most_bytes: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._places = threads + queue
        self._most_bytes = most_bytes
        self.taken = 0
        self.held_bytes = 0

    def require_place(self) -> None:
        """Raise Refused (503) when all places are taken."""
        if self.taken >= self._places:
            raise Refused(503, f"{self.taken} requests are waiting or being answered; try again in a second")

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """A function that takes room for bytes of one body until the block ends, or raises Refused (503)."""
        held = 0

        def hold(size: int) -> None:
            nonlocal held
            if self.held_bytes + size > self._most_bytes:
                raise Refused(503, f"requests hold {self.held_bytes:,} bytes already; try again in a second")
            self.held_bytes += size
            held += size

        try:
            yield hold
        finally:
            self.held_bytes -= held

    async def do(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, done in the pool. Raises Refused (503) when all places are taken, and what it raises.

        A place is free again when the work is done, not when its caller has gone away.
        """
        self.require_place()
        self.taken += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._leave)
        return await asyncio.shield(future)

    def close(self) -> None:
        """End the threads, once they have done what they have begun."""
        self._pool.shutdown()

    def _leave(self, _: object) -> None:
        self.taken -= 1
