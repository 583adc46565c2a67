"""A stream of rows by day, with what is known of when it changes.

It has a reference as training leaves it (features of the rows that were trained on; scores and labels of later rows
that were judged), and then days that are watched. `change` is the first of those days that is another than the
reference; None where nothing changes but the season, and where nobody has written down what does ("unlabelled").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SCORE, LABEL, TIME = "score", "label", "time"
FIRST = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
YEAR = 365
Kind = Literal["stationary", "seasonal", "abrupt", "gradual", "unlabelled"]


@dataclass(frozen=True)
class Stream:
    """`train` has the features, `test` and each of `days` score and label as well. `window` is its length in days.

    Where test rows are as old as those of training, both have TIME, and the latter score and label too.
    """

    name: str
    kind: Kind
    train: Sequence[pl.DataFrame]
    test: pl.DataFrame
    days: Sequence[pl.DataFrame]
    features: tuple[str, ...]
    change: int | None = None
    delay: int = 0
    window: int = 7
    in_labels: bool = False
    """Whether the change shows in labels alone, so that nothing can be known of it before they come."""

    @property
    def start(self) -> datetime:
        """The first watched day."""
        return FIRST


def even(frame: pl.DataFrame, rows: int) -> list[pl.DataFrame]:
    """Days of so many rows each."""
    return [frame[start : start + rows] for start in range(0, frame.height - rows + 1, rows)]


def scored(
    name: str,
    kind: Kind,
    train: Sequence[pl.DataFrame],
    test: Sequence[pl.DataFrame] | None,
    days: Sequence[pl.DataFrame],
    features: tuple[str, ...],
    change: int | None = None,
    delay: int = 0,
    window: int = 7,
    *,
    held: int = 3,
) -> Stream:
    """The stream with the scores of a histogram gradient boosting that learnt from `train`.

    Without `test`, each `held`-th day of the training period is kept for it, so that its seasons are known too.
    """
    learnt, tested = (list(train), list(test)) if test is not None else apart(train, held)
    score = fitted(pl.concat(learnt), features)
    known = learnt if test is not None else [score(day) if day.height else day for day in learnt]
    watched = score(pl.concat(list(days)))
    ends = np.cumsum([day.height for day in days])
    by_day = [watched[end - day.height : end] for day, end in zip(days, ends.tolist(), strict=True)]
    return Stream(name, kind, known, score(pl.concat(tested)), by_day, features, change, delay, window)


def apart(days: Sequence[pl.DataFrame], held: int) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """The days to learn from, as many as all, and each `held`-th one, whose rows are to be judged; rows have TIME."""
    timed = [
        day.with_columns((pl.lit(FIRST + timedelta(days=index - len(days)))).alias(TIME))
        for index, day in enumerate(days)
    ]
    return [day[:0] if index % held == 0 else day for index, day in enumerate(timed)], timed[::held]


def fitted(frame: pl.DataFrame, features: Sequence[str]) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A function that adds the scores of a model that learnt from `frame`."""
    texts = {
        name: frame.get_column(name).unique().sort().to_list() for name in features if frame.schema[name] == pl.String
    }
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)

    def matrix(rows: pl.DataFrame) -> NDArray[np.float64]:
        numbers = [
            pl.col(name).replace_strict(
                dict(zip(known, range(len(known)), strict=True)), default=None, return_dtype=pl.Float64
            )
            if (known := texts.get(name))
            else pl.col(name).cast(pl.Float64)
            for name in features
        ]
        return rows.select(numbers).to_numpy()

    model.fit(matrix(frame), frame.get_column(LABEL).to_numpy())
    return lambda rows: rows.with_columns(pl.Series(SCORE, model.predict_proba(matrix(rows))[:, 1]))
