"""A Parquet file opened lazily, and the questions every table is asked before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ml.errors import StageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def scan(path: Path, columns: Iterable[str]) -> pl.LazyFrame:
    """The table at `path`, not read yet. Raises StageError if it is missing, unreadable, empty or lacks a column."""
    if not path.is_file():
        raise StageError(f"{path} is missing; get it with: dvc pull, or make it with the model's simulator", file=path)
    try:
        frame = pl.scan_parquet(path)
        names = frame.collect_schema().names()
        rows = int(frame.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from error
    if rows == 0:
        raise StageError(f"{path} has 0 rows; expected at least one; make or pull the data again", file=path)
    for column in columns:
        if column not in names:
            raise StageError(f"{path} has no column '{column}'; {did_you_mean(column, names)}", file=path)
    return frame


def collect(frame: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """The rows of a lazy table. Raises StageError if the file turns out to be damaged."""
    try:
        return frame.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> StageError:
    """The sentence for a file that is no whole Parquet file."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    size = path.stat().st_size if path.exists() else 0
    what = f"{path} is not a whole Parquet file ({size:,} bytes; {first.rstrip('.')})"
    return StageError(f"{what}; make or pull the data again", file=path)


def require_both_classes(frame: pl.DataFrame, label: str, what: str, path: Path) -> None:
    """Raise StageError unless the binary `label` holds zeros and ones, and nothing else."""
    counts = dict(frame.group_by(label).len().sort(label).iter_rows())
    strange = sorted(str(value) for value in counts if value not in (0, 1))
    if strange:
        raise StageError(f"{path}: '{label}' of the {what} rows holds {strange[0]}; expected 0 or 1 alone", file=path)
    if len(counts) < 2:
        only = next(iter(counts), "nothing")
        raise StageError(
            f"{path}: '{label}' of all {frame.height:,} {what} rows is {only}; expected both 0 and 1; "
            "check the labels, or widen the split",
            file=path,
        )


def require_finite(frame: pl.DataFrame, columns: Iterable[str], identity: str, path: Path) -> None:
    """Raise StageError at the first column with a null, NaN or infinite value."""
    for column in columns:
        values = frame.get_column(column)
        bad = values.is_null()
        if values.dtype.is_float():
            bad = bad | ~values.is_finite().fill_null(value=False)
        if bad.any():
            found = frame.filter(bad)
            raise StageError(
                f"{path}: column '{column}' is null, NaN or infinite after feature making in {found.height:,} of "
                f"{frame.height:,} rows, first where {identity} is {found.item(0, identity)} "
                f"(found {found.item(0, column)}); fill it in features.py or mend the data",
                file=path,
            )
