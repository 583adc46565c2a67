"""Judges a Parquet file by a pandera model, chunk by chunk, so that memory does not grow with the file.

A model's schema.py declares `Raw`, a pandera.polars DataFrameModel. Whatever looks at one row at a time is plain
pandera: dtypes, nullability, ranges, categories, `@pandera.dataframe_check` across columns. What concerns the whole
table stands on its field, and is accumulated over the chunks: `unique=True` (or `Config.unique` for several columns),
`metadata={"sorted": True}` and `metadata={"label_rate": (low, high)}`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import polars as pl
from pandera.errors import SchemaErrorReason

from ml.accumulators import Accumulator, LabelRate, Sorted, Unique
from ml.errors import StageError, did_you_mean
from ml.row_rules import RowRules, cannot_run, check_name
from ml.violations import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pandera.api.polars.container import DataFrameSchema
    from pandera.errors import SchemaError
    from pandera.polars import DataFrameModel

CHUNK_ROWS = 524_288
"""Large enough that pandera's fixed cost per chunk weighs little; two are held, of 20 columns some 100 MB each."""
WHOLE_TABLE = ("label_rate", "sorted")


@dataclass(frozen=True)
class Result:
    """What was found in the file."""

    rows: int
    columns: int
    violations: tuple[Violation, ...]

    @property
    def passed(self) -> bool:
        """No rule was broken."""
        return not self.violations


def validate(path: Path, model: type[DataFrameModel], *, chunk_rows: int = CHUNK_ROWS) -> Result:
    """Every rule of `model` that the Parquet file at `path` breaks; the same for any `chunk_rows`.

    Where columns are missing or of another type, that alone is told. Raises StageError when the file cannot be read
    or a rule of the model cannot be judged chunk by chunk.
    """
    if not path.is_file():
        found = "is not a file" if path.exists() else "is missing"
        raise StageError(f"{path} {found}; pull the data (dvc pull) or make it with the model's simulator", file=path)
    with _reading(path):
        scan = pl.scan_parquet(path, glob=False)
        empty = pl.DataFrame(schema=scan.collect_schema())
        rows = int(scan.select(pl.len()).collect().item())
    schema = model.to_schema()
    ids = tuple(name for name, column in schema.columns.items() if column.unique and name in empty.columns)
    rules = RowRules(schema, ids)
    violations = tuple(_structure(rules.errors(empty), schema, empty))
    if not violations and not rows:
        words = f"the table has no rows, the schema of {schema.name} expects some"
        violations = (Violation(None, "not_empty", 0, words),)
    if not violations:
        rules.require_row_wise(empty)
        violations = tuple(_contents(path, scan, rows, rules, _accumulators(schema, ids, empty), chunk_rows))
    return Result(rows, empty.width, violations)


def _structure(errors: list[SchemaError], schema: DataFrameSchema, empty: pl.DataFrame) -> Iterator[Violation]:
    """What pandera's errors on no rows say of the columns; where they are right, a check that failed cannot run."""
    structural = [error for error in errors if error.reason_code is not SchemaErrorReason.CHECK_ERROR]
    if errors and not structural:
        raise cannot_run(errors[0], schema)
    for error in structural:
        if error.reason_code is SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME:
            name, check = str(error.failure_cases), "column_present"
            near = get_close_matches(name, empty.columns, n=1)
            there = f"the nearest in the file is '{near[0]}'" if near else f"the file has {', '.join(empty.columns)}"
            words = f"is missing, the schema of {schema.name} expects it; {there}"
        elif error.reason_code is SchemaErrorReason.WRONG_DATATYPE:
            name, check = str(error.schema.name), "dtype"
            words = f"is {empty.schema[name]}, the schema of {schema.name} expects {error.schema.dtype}"
        else:
            name, check = str(error.failure_cases), check_name(error.check)
            words = f"is not where the schema of {schema.name} expects it: {error.reason_code.value.replace('_', ' ')}"
        yield Violation(name, check, 1, f"column '{name}' {words}")


def _contents(
    path: Path, scan: pl.LazyFrame, rows: int, rules: RowRules, accumulators: list[Accumulator], chunk_rows: int
) -> Iterator[Violation]:
    """The broken rules in the schema's order: those of one row at a time, then those of the whole table."""
    for offset, chunk in _chunks(path, scan, rows, chunk_rows):
        rules.see(chunk, offset)
        for accumulator in accumulators:
            accumulator.see(chunk, offset)
    yield from rules.conclude(rows)
    for accumulator in accumulators:
        with _reading(path):
            violation = accumulator.conclude(scan, rows)
        if violation:
            yield violation


def _chunks(path: Path, scan: pl.LazyFrame, rows: int, chunk_rows: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """The table in slices with their offsets; the next one is read while one is judged."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        ahead = reader.submit(scan.slice(0, chunk_rows).collect)
        for offset in range(0, rows, chunk_rows):
            with _reading(path):
                chunk = ahead.result()
            ahead = reader.submit(scan.slice(offset + chunk_rows, chunk_rows).collect)
            yield offset, chunk


def _accumulators(schema: DataFrameSchema, ids: tuple[str, ...], empty: pl.DataFrame) -> list[Accumulator]:
    """The rules about the whole table. Raises StageError for one that is declared wrongly."""
    result: list[Accumulator] = [Unique((name,)) for name in ids]
    if schema.unique:
        result.append(Unique(tuple(schema.unique)))
    for name, column in schema.columns.items():
        declared = (column.metadata or {}) if name in empty.columns else {}
        where = f"column '{name}' of the schema of {schema.name}"
        for key in declared:
            if key not in WHOLE_TABLE:
                raise StageError(f"{where} has unknown metadata '{key}'; {did_you_mean(key, WHOLE_TABLE)}")
        if declared.get("sorted"):
            result.append(Sorted(name, tuple(dict.fromkeys((*ids, name)))))
        if "label_rate" in declared:
            result.append(_label_rate(name, declared["label_rate"], empty.schema[name], where))
    return result


def _label_rate(name: str, bounds: Any, dtype: pl.DataType, where: str) -> LabelRate:
    if not (dtype.is_integer() or dtype == pl.Boolean):
        raise StageError(f"{where} is {dtype}; a label rate needs integers 0 and 1, or booleans")
    try:
        low, high = map(float, bounds)
    except (TypeError, ValueError) as error:
        raise StageError(f"{where} has label_rate {bounds!r}; expected two numbers (low, high)") from error
    return LabelRate(name, low, high)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell in one sentence that a file is not whole Parquet."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        message = f"{path} cannot be read as Parquet ({reason}); it may be truncated: pull or make it again"
        raise StageError(message, file=path) from error
