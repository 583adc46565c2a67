"""The model runs at once where it is quick; else in threads, together for those who waited together."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from ml.serve.model import Model
from ml.serve.runner import BATCH_ROWS, QUICK_ROWS, QUICK_SECONDS, Runner

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Doubling:
    """A model of one input whose scores are twice its rows; it runs when it may, and remembers how many at a time."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.seconds = seconds
        self.may = threading.Event()
        self.runs: list[int] = []

    def run(self, tensors: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        assert self.may.wait(30)
        values: NDArray[np.float64] = tensors["x"][:, 0]
        self.runs.append(values.size)
        if (values < 0).any():
            raise ValueError("negative")
        return values * 2


def rows(*values: float) -> dict[str, NDArray[np.float64]]:
    return {"x": np.array(values, dtype=np.float64).reshape(-1, 1)}


def of(model: Doubling, threads: int, batches: list[int]) -> Runner:
    return Runner(cast("Model", model), threads, batches.append)


def crowd(*asked: tuple[float, ...], threads: int = 1) -> tuple[list[Any], list[int], list[int]]:
    """What each gets when all ask while the model is busy with the first; the sizes of its runs; what was counted."""
    model = Doubling()
    batches: list[int] = []

    async def ask() -> list[Any]:
        runner = of(model, threads, batches)
        tasks = [asyncio.create_task(runner.score(rows(*values), len(values))) for values in asked]
        await asyncio.sleep(0)
        model.may.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        runner.close()
        return [each if isinstance(each, BaseException) else each.tolist() for each in found]

    return asyncio.run(ask()), model.runs, batches


def test_who_waits_together_is_scored_together_and_gets_its_own() -> None:
    found, runs, batches = crowd((1,), (2, 3), (4,), (5, 6, 7))
    assert found == [[2], [4, 6], [8], [10, 12, 14]]
    assert runs == batches == [1, 6]


def test_nobody_waits_while_a_thread_is_free() -> None:
    assert sorted(crowd((1,), (2,), threads=2)[1]) == [1, 1]


def test_a_batch_is_no_larger_than_batches_may_be() -> None:
    most = tuple(range(BATCH_ROWS))
    assert crowd((1,), most, (2,), (3,))[1] == [1, BATCH_ROWS, 2]


def test_one_whose_rows_cannot_be_scored_does_not_spoil_those_of_others() -> None:
    found, _, _ = crowd((1,), (2,), (-1,), (3,))
    assert [found[0], found[1], found[3]] == [[2], [4], [6]]
    assert isinstance(found[2], ValueError)


def test_work_that_stands_alone_keeps_its_turn() -> None:
    model = Doubling()

    async def ask() -> list[Any]:
        runner = of(model, 1, [])
        tasks = [
            asyncio.create_task(runner.score(rows(1), 1)),
            asyncio.create_task(runner.score(rows(2), 1)),
            asyncio.create_task(runner.do(lambda: len(model.runs))),
            asyncio.create_task(runner.score(rows(3), 1)),
            asyncio.create_task(runner.do(lambda: 1 / 0)),
        ]
        await asyncio.sleep(0)
        model.may.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        runner.close()
        return found

    found = asyncio.run(ask())
    assert found[2] == 2  # runs that came before it
    assert isinstance(found[4], ZeroDivisionError)


def test_a_quick_model_runs_at_once_until_it_is_quick_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Doubling(QUICK_SECONDS / 2)
    batches: list[int] = []
    model.may.set()
    runner = of(model, 1, batches)
    scores = runner.at_once(rows(1, 2), 2)
    assert scores is not None
    assert scores.tolist() == [2, 4]
    assert batches == [2]
    assert runner.at_once(rows(1), QUICK_ROWS + 1) is None
    monkeypatch.setattr(runner, "_seconds", QUICK_SECONDS * 2)
    assert runner.at_once(rows(1), 1) is None

    async def again() -> None:
        while runner.at_once(rows(1), 1) is None:
            await runner.score(rows(1), 1)

    asyncio.run(asyncio.wait_for(again(), 30))
    runner.close()
