"""Where the model runs: at once where that is quicker than handing it over, else in threads, in batches."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ml.serve.model import Model, Tensors

Result = TypeVar("Result")
QUICK_SECONDS = 0.0005  # what a run may take in the event loop; handing it to a thread and back costs 0.1 to 0.2 ms
QUICK_ROWS = 64
BATCH_ROWS = 256
RECENT = 1 / 16  # the weight of the newest run in what a run is thought to take
MOST_SECONDS = 12 * QUICK_SECONDS  # what one run counts as at most: one that was held up by others tells nothing


@dataclass(eq=False, slots=True)
class Work:
    """What waits for a thread: rows that may be scored together with others', or something to be done alone."""

    future: asyncio.Future[Any]
    tensors: Tensors | None = None
    rows: int = 0
    alone: Callable[[], Any] | None = None


class Runner:
    """Runs one model. Requests that wait while its threads are busy are scored together; none waits for company."""

    def __init__(self, model: Model, threads: int, batched: Callable[[int], None] = lambda _: None) -> None:
        self._model = model
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._free = threads
        self._waiting: deque[Work] = deque()
        self._batched = batched
        self._seconds = model.seconds

    def at_once(self, tensors: Tensors, rows: int) -> NDArray[np.float64] | None:
        """Scores [rows], made here and now; None where that could keep other requests waiting."""
        if rows > QUICK_ROWS or not self.is_quick:
            return None
        begun = time.perf_counter()
        scores = self._model.run(tensors)
        self.took(time.perf_counter() - begun, rows)
        return scores

    @property
    def is_quick(self) -> bool:
        """Whether a run of a few rows keeps nobody waiting for long."""
        return self._seconds <= QUICK_SECONDS

    def took(self, seconds: float, rows: int) -> None:
        """A run of so many rows took so long."""
        self._seconds += (min(seconds, MOST_SECONDS) - self._seconds) * RECENT
        self._batched(rows)

    async def score(self, tensors: Tensors, rows: int) -> NDArray[np.float64]:
        """Scores [rows], made in a thread, with those of others where they waited together."""
        scores: NDArray[np.float64] = await self._queued(tensors=tensors, rows=rows)
        return scores

    async def do(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, done in a thread in its turn. Raises what it raises."""
        result: Result = await self._queued(alone=work)
        return result

    def close(self) -> None:
        """End the threads, once they have done what they have begun."""
        self._pool.shutdown()

    def _queued(self, **work: Any) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(Work(future, **work))
        self._start()
        return future

    def _start(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            batch = self._next()
            running = asyncio.get_running_loop().run_in_executor(self._pool, self._done, batch)
            running.add_done_callback(partial(self._finish, batch))

    def _next(self) -> list[Work]:
        batch = [self._waiting.popleft()]
        rows = batch[0].rows
        while rows and self._waiting and 0 < self._waiting[0].rows <= BATCH_ROWS - rows:
            rows += self._waiting[0].rows
            batch.append(self._waiting.popleft())
        return batch

    def _done(self, batch: Sequence[Work]) -> tuple[list[Any], float]:
        """In a thread: what each of a batch comes to, or the exception that it raised, and the seconds of one run."""
        begun = time.perf_counter()
        if len(batch) == 1:
            return [_outcome(self._one, batch[0])], time.perf_counter() - begun
        try:
            scores = self._model.run(_together([work.tensors for work in batch if work.tensors]))
        except Exception:  # noqa: BLE001  whose rows it is shows when each runs alone
            return [_outcome(self._one, work) for work in batch], (time.perf_counter() - begun) / len(batch)
        seconds = time.perf_counter() - begun
        return np.split(scores, np.cumsum([work.rows for work in batch])[:-1]), seconds

    def _one(self, work: Work) -> Any:
        return work.alone() if work.alone else self._model.run(work.tensors or {})

    def _finish(self, batch: Sequence[Work], running: asyncio.Future[tuple[list[Any], float]]) -> None:
        self._free += 1
        self._start()
        outcomes, seconds = running.result()
        if batch[0].rows:
            self.took(seconds, sum(work.rows for work in batch))
        for work, outcome in zip(batch, outcomes, strict=True):
            if work.future.done():
                continue
            if isinstance(outcome, Exception):
                work.future.set_exception(outcome)
            else:
                work.future.set_result(outcome)


def _outcome(does: Callable[[Work], Any], work: Work) -> Any:
    try:
        return does(work)
    except Exception as error:  # noqa: BLE001  raised again where it is waited for
        return error.with_traceback(None)


def _together(parts: Sequence[Tensors]) -> Tensors:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
