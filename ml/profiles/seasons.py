"""What the reference does over time: training rows, and what the model says of them, in windows' lengths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ml.profiles.columns import numbers
from ml.profiles.slices import texts
from ml.profiles.stretches import Grouped, Groups, Stretches, of_numbers, of_texts
from ml.profiles.times import EPOCH, MICROSECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ml.profiles.columns import Column

FEW = 12
"""The most groups of a slice's scores, of which there are many."""
VALUES = 10
"""The most values of a column that slices are followed of."""
DECISIONS = (0.5,)
"""Where a score becomes a positive decision: a group of scores begins there."""


@dataclass(frozen=True)
class Scored:
    """Rows with their time: scores and labels [n], the former NaN where there is none, and columns beside them."""

    time: pl.Series
    scores: NDArray[np.float64]
    labels: NDArray[np.float64]
    beside: pl.DataFrame


@dataclass(frozen=True)
class Seasons:
    """Training rows by stretch: columns held to all of them; scores, labels and slices held to the test rows'.

    `joint` are the test rows' scores by label in stretches of the test rows, where these are enough.
    """

    stretches: Stretches
    columns: Mapping[str, Grouped]
    score: Grouped
    label: Grouped
    slices: Mapping[str, Mapping[str, Grouped]] = field(default_factory=dict)
    joint: tuple[Grouped, Grouped] | None = None

    @classmethod
    def of(
        cls,
        taken: pl.DataFrame,
        columns: Mapping[str, Column],
        train: Scored,
        test: Scored,
        days: int,
        values: Mapping[str, tuple[str, ...]],
        *,
        binary: bool,
    ) -> Seasons | None:
        """Of training rows: the features that were `taken` of them, profiled as `columns`. None of too few stretches.

        `values` are the slices wanted. Raises TypeError where the rows' times are none.
        """
        stretches = Stretches.of(train.time, days)
        if stretches is None:
            return None
        later = Stretches.of(test.time, days) if binary else None
        return cls(
            stretches,
            {
                name: of_texts(taken.get_column(name).cast(pl.String), stretches)
                if column.kind == "category"
                else of_numbers(numbers(taken.get_column(name)), stretches)
                for name, column in columns.items()
            },
            of_numbers(train.scores, stretches, test.scores, at=DECISIONS),
            of_numbers(train.labels, stretches, test.labels),
            {name: _slices(name, kept[:VALUES], train, test, stretches) for name, kept in values.items()},
            _joint(test, later) if later else None,
        )

    def record(self) -> dict[str, Any]:
        """As in profile.json."""
        return {
            "days": self.stretches.days,
            "starts": [(EPOCH + start * MICROSECOND).date().isoformat() for start in self.stretches.starts],
            "rows": self.stretches.rows.tolist(),
            "columns": {name: self.columns[name].record() for name in sorted(self.columns)},
            "score": self.score.record(),
            "label": self.label.record(),
            "slices": {
                name: {value: found[value].record() for value in sorted(found)}
                for name, found in sorted(self.slices.items())
            },
            "joint": None if self.joint is None else [each.record() for each in self.joint],
        }


def _slices(
    name: str, values: tuple[str, ...], train: Scored, test: Scored, stretches: Stretches
) -> dict[str, Grouped]:
    """The scores of each of these values of a column, held to the test rows' with the same value."""
    mine, theirs = (texts(each.beside.get_column(name)) for each in (train, test))
    return {
        value: of_numbers(
            np.where((mine == value).to_numpy(), train.scores, np.nan),
            stretches,
            test.scores[(theirs == value).to_numpy()],
            most=FEW,
        )
        for value in values
    }


def _joint(test: Scored, stretches: Stretches) -> tuple[Grouped, Grouped]:
    """The scores of label 0 and of label 1, in the same groups, held to those of all stretches."""
    groups = Groups.of((test.scores,))
    negative, positive = (np.where(test.labels == label, test.scores, np.nan) for label in (0.0, 1.0))
    return groups.counted(negative, stretches, negative), groups.counted(positive, stretches, positive)
