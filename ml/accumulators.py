"""Rules about a table as a whole, kept exactly while its chunks go by: unique values, order, label rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import polars as pl

from ml.violations import SHOWN, Tally, Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

PART_ROWS = 4_194_304  # about the rows of the key columns that the search for duplicates holds at once
ROW = "row number"


class Accumulator(Protocol):
    """A rule about the whole table: sees every chunk in order, then says what was wrong."""

    def see(self, chunk: pl.DataFrame, offset: int, /) -> None:
        """Take in a chunk whose first row is row `offset` of the file."""
        ...

    def conclude(self, scan: pl.LazyFrame, rows: int, /) -> Violation | None:
        """The violation, if any, of the table of `rows` rows that `scan` reads."""
        ...


@dataclass
class Unique:
    """No two rows have the same values in `columns`; rows with a null there are not compared.

    Values that rise from row to row, as ids mostly do, prove it as they go by. Otherwise the key columns alone are read
    again, in parts by hash, so that memory stays bounded and the answer exact.
    """

    columns: tuple[str, ...]
    _rising: bool = True
    _last: pl.Series | None = None

    def see(self, chunk: pl.DataFrame, _offset: int, /) -> None:
        """See whether the values go on rising."""
        if len(self.columns) > 1 or not self._rising:
            self._rising = False
            return
        values = _after(self._last, chunk[self.columns[0]].drop_nulls())
        self._rising = bool((values > values.shift(1)).all())
        self._last = values.tail(1)

    def conclude(self, scan: pl.LazyFrame, rows: int, /) -> Violation | None:
        """All rows that have a double count, the first of them as well."""
        if self._rising:
            return None
        tally = Tally(self.columns)
        first: list[pl.DataFrame] = []
        for repeated in self._repeated(scan, rows):
            tally.count += len(repeated)
            first.append(repeated.head(SHOWN))
        if not tally.count:
            return None
        shown = pl.concat(first).sort(ROW).head(SHOWN)
        tally.show(shown.select(self.columns), shown[ROW].to_list())
        names = " and ".join(f"'{name}'" for name in self.columns)
        message = (
            f"column {names}: {tally.count:,} of {rows:,} rows share their value with another, each must be unique"
        )
        return tally.violation(self.columns[0], "unique", message)

    def _repeated(self, scan: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
        key = pl.struct(self.columns) if len(self.columns) > 1 else pl.col(self.columns[0])
        known = pl.all_horizontal(pl.col(name).is_not_null() for name in self.columns)
        numbered = scan.select(self.columns).with_row_index(ROW).filter(known)
        parts = rows // PART_ROWS + 1
        for part in range(parts):
            own = numbered.filter(key.hash() % parts == part).collect(engine="streaming")
            yield own.filter(key.is_duplicated()).sort(ROW)


@dataclass
class Sorted:
    """The values of `column` never fall from one row to the next; nulls are skipped."""

    column: str
    shown: tuple[str, ...]
    _last: pl.Series | None = None
    _tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        self._tally = Tally(self.shown)

    def see(self, chunk: pl.DataFrame, offset: int, /) -> None:
        """Count the rows that are lower than the one before."""
        values = _after(self._last, chunk[self.column]).fill_null(strategy="forward")
        falls = values < values.shift(1)
        self._tally.add(chunk, offset, falls.tail(len(chunk)))
        self._last = values.tail(1)

    def conclude(self, _scan: pl.LazyFrame, rows: int, /) -> Violation | None:
        """A row that is lower than the last known value before it counts."""
        if not self._tally.count:
            return None
        message = (
            f"column '{self.column}': {self._tally.count:,} of {rows:,} rows are lower than the row before, "
            "the file must be sorted by it"
        )
        return self._tally.violation(self.column, "sorted", message)


@dataclass
class LabelRate:
    """The share of ones in a 0/1 `column` is from `low` to `high`, and both classes are there; nulls do not count."""

    column: str
    low: float
    high: float
    _known: int = 0
    _ones: int = 0

    def see(self, chunk: pl.DataFrame, _offset: int, /) -> None:
        """Count this chunk's labels."""
        values = chunk[self.column]
        self._known += len(values) - values.null_count()
        self._ones += int(values.sum())

    def conclude(self, _scan: pl.LazyFrame, _rows: int, /) -> Violation | None:
        """The count is that of all labels: no single row is to blame."""
        if not self._known:
            return None  # nothing but nulls, which another rule tells
        rate = self._ones / self._known
        one_class = self._ones in {0, self._known}
        if self.low <= rate <= self.high and not one_class:
            return None
        found = f"all {self._known:,} labels are {rate:.0f}" if one_class else f"the share of ones is {rate:.6g}"
        message = (
            f"column '{self.column}': {found}, expected both classes and a share from {self.low:g} to {self.high:g}"
        )
        return Violation(self.column, "label_rate", self._known, message)


def _after(last: pl.Series | None, values: pl.Series) -> pl.Series:
    """A column's next values with the last one of the chunk before in front."""
    return values if last is None else pl.concat([last, values])
