"""A broken rule of a schema: as it is counted while chunks go by, and as it is recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

Scalar = bool | int | float | str | None
SHOWN = 5  # first offending rows that are kept


@dataclass(frozen=True)
class Violation:
    """One broken rule. `rows` are the first offenders, each with its number in the file (from 0) under `row`."""

    column: str | None
    check: str
    count: int
    message: str
    rows: tuple[dict[str, Scalar], ...] = ()


@dataclass
class Tally:
    """How many rows broke a rule so far, and the first of them with their values in the columns `shown`."""

    shown: tuple[str, ...]
    count: int = 0
    rows: list[dict[str, Scalar]] = field(default_factory=list)

    def add(self, chunk: pl.DataFrame, offset: int, broken: pl.Series) -> None:
        """Count the rows of `chunk` where `broken` is true; its first row is row `offset` of the file."""
        self.count += int(broken.sum())
        first = broken.arg_true().head(SHOWN - len(self.rows))
        self.show(chunk.select(self.shown)[first], [offset + at for at in first])

    def show(self, rows: pl.DataFrame, numbers: list[int]) -> None:
        """Keep these rows as offenders; `numbers` are their row numbers in the file."""
        for number, values in zip(numbers, rows.rows(named=True), strict=True):
            self.rows.append({"row": number} | {name: _scalar(value) for name, value in values.items()})

    def violation(self, column: str | None, check: str, message: str) -> Violation:
        """The record of what was counted."""
        return Violation(column, check, self.count, message, tuple(self.rows))


def _scalar(value: Any) -> Scalar:
    """A cell as JSON can say it; NaN, infinities, times and nested values become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
