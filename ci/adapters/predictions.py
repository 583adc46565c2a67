"""The door to predictions.parquet: rows as arrays, with every oddity told in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ci.core.errors import ConfigurationError, did_you_mean
from ci.core.statistics.rows import Column, Rows

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import polars as pl

    from ci.core.statistics.rows import Ints

OWN = ("row_id", "label", "score")


def read(path: Path, *, words: Collection[str] = (), days: Collection[str] = ()) -> Rows:
    """The evaluation rows of one model, with the columns named: as `words`, and as `days`.

    A score that is NaN is kept: a gate tells it. Raises ConfigurationError for a missing, unreadable or empty file, a
    column that is missing, of another type or with gaps, and a row_id given twice.
    """
    table = _table(path)
    for name in (*OWN, *sorted({*words, *days})):
        if name not in table.columns:
            raise _missing(path, name, table.columns)
    for name in OWN:
        gaps = table[name].null_count()
        if gaps:
            raise _error(path, f"column {name} has {gaps:,} empty cells; expected none")
    ids = table["row_id"]
    twice = table.height - ids.n_unique()
    if twice:
        first = ids.filter(ids.is_duplicated())[0]
        raise _error(path, f"column row_id repeats itself in {twice:,} rows, first {first!r}; expected unique ids")
    return Rows(
        ids=ids.cast(_id_type(path, ids)).to_numpy(),
        label=_numbers(path, table["label"]),
        score=_numbers(path, table["score"]),
        columns={name: _words(table[name]) for name in words},
        days={name: _days(path, table[name]) for name in days},
    )


def columns(path: Path) -> frozenset[str]:
    """The columns that a file has. Raises ConfigurationError for one that is missing or unreadable."""
    return frozenset(_table(path).columns)


def dated(path: Path) -> frozenset[str]:
    """The columns that hold a date or time in every row. Raises ConfigurationError as `columns` does."""
    import polars as pl  # noqa: PLC0415 - as below

    table = _table(path)
    times = (name for name in table.columns if isinstance(table[name].dtype, pl.Date | pl.Datetime))
    return frozenset(name for name in times if not table[name].null_count())


def _table(path: Path) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - a quarter of a second that only reading costs

    if not path.is_file():
        raise ConfigurationError(f"{path} is missing; run `trunkline check` to make it.", file=path)
    try:
        table = pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError) as wrong:
        said = str(wrong).splitlines()[0]
        raise _error(path, f"it is not a whole Parquet file ({said}); delete it and run again") from wrong
    if table.is_empty():
        raise _error(path, "it has no rows; expected at least one evaluation row")
    return table


def _id_type(path: Path, ids: pl.Series) -> type[pl.DataType]:
    import polars as pl  # noqa: PLC0415 - as above

    if ids.dtype.is_integer():
        return pl.Int64
    if ids.dtype == pl.String:
        return pl.String
    raise _error(path, f"column row_id is of type {ids.dtype}; expected whole numbers or text")


def _numbers(path: Path, column: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if not column.dtype.is_numeric():
        raise _error(path, f"column {column.name} is of type {column.dtype}; expected numbers")
    return column.to_numpy().astype(np.float64)


def _words(column: pl.Series) -> Column:
    """The column's values as text, an empty cell being the word `null`."""
    import polars as pl  # noqa: PLC0415 - as above

    text = column.cast(pl.String).fill_null("null")
    values = text.unique().sort()
    codes = text.cast(pl.Enum(values)).to_physical().to_numpy().astype(np.int64)
    return Column(tuple(values), codes)


def _days(path: Path, column: pl.Series) -> Ints:
    """Days since 1970 of a date or time; whole numbers are days already."""
    import polars as pl  # noqa: PLC0415 - as above

    if column.null_count():
        raise _error(path, f"column {column.name} has {column.null_count():,} empty cells; expected none")
    if column.dtype.is_integer():
        return column.to_numpy().astype(np.int64)
    if not isinstance(column.dtype, pl.Date | pl.Datetime):
        raise _error(path, f"column {column.name} is of type {column.dtype}; expected dates, times or whole days")
    return column.cast(pl.Date).to_physical().to_numpy().astype(np.int64)


def _missing(path: Path, name: str, columns: Collection[str]) -> ConfigurationError:
    if name in OWN:
        return _error(path, f"column {name} is missing; delete the file and run `trunkline check`")
    others = [column for column in columns if column not in OWN]
    hint = did_you_mean(name, others) if others else "it keeps none."
    return _error(path, f"column {name}, which a gate reads, is missing; add it to data.keep in params.yaml, or {hint}")


def _error(path: Path, words: str) -> ConfigurationError:
    return ConfigurationError(f"{path}: {words.rstrip('.')}.", file=path)
