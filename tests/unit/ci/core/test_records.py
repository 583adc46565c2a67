"""What records refuse, so that no reader has to."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ci.core.records import Timings


@pytest.mark.parametrize("value", [-1.0, 1.7e308, float("inf"), float("nan")])
def test_seconds_are_such_that_their_sum_is_too(value: float) -> None:
    with pytest.raises(ValidationError, match=r"seconds\.train"):
        Timings(model="fraud", mode="smoke", seconds={"train": value})


def test_seconds_of_a_long_training() -> None:
    assert Timings(model="fraud", mode="full", seconds={"train": 1e9}).seconds == {"train": 1e9}
