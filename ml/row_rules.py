"""The rules that pandera judges row by row, on one chunk after the other, with what they found added up."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from pandera.config import ValidationDepth, config_context
from pandera.constants import CHECK_OUTPUT_KEY
from pandera.errors import SchemaErrorReason, SchemaErrors
from polars.exceptions import ColumnNotFoundError

from ml.errors import StageError
from ml.violations import SHOWN, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from pandera.api.checks import Check
    from pandera.api.polars.container import DataFrameSchema
    from pandera.errors import SchemaError

    from ml.violations import Violation


class RowRules:
    """Dtypes, nulls, the checks of columns and those across columns; unique values are not among them."""

    def __init__(self, schema: DataFrameSchema, ids: tuple[str, ...]) -> None:
        self._schema = _rows_only(schema)
        self._ids = ids
        self._broken: dict[tuple[int, int], tuple[SchemaError, Tally]] = {}

    def errors(self, chunk: pl.DataFrame) -> list[SchemaError]:
        """All that pandera has to say about `chunk`, even where the environment switches pandera off."""
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            try:
                self._schema.validate(chunk, lazy=True)
            except SchemaErrors as found:
                return list(found.schema_errors)
        return []

    def require_row_wise(self, empty: pl.DataFrame) -> None:
        """Raise StageError when a check answers once for the whole table: chunks would change its answer."""
        keyed = [(check, name) for name, column in self._schema.columns.items() for check in column.checks]
        for check, name in [*keyed, *((check, "*") for check in self._schema.checks)]:
            if name in {"*", *empty.columns} and check(empty.lazy(), name).check_output.collect().height:
                message = (
                    f"check '{check_name(check)}' of the schema of {self._schema.name} gives one answer for the whole "
                    "table; rows are read in chunks, so it must give one for each row"
                )
                raise StageError(message)

    def see(self, chunk: pl.DataFrame, offset: int) -> None:
        """Count what `chunk`, whose first row is row `offset` of the file, breaks. Raises StageError."""
        for error in self.errors(chunk):
            if error.reason_code is SchemaErrorReason.CHECK_ERROR:
                raise cannot_run(error, self._schema)
            place = self._place(error)
            if place not in self._broken:
                self._broken[place] = error, Tally(self._shown(error, chunk))
            self._broken[place][1].add(chunk, offset, ~error.check_output[CHECK_OUTPUT_KEY])

    def conclude(self, rows: int) -> Iterator[Violation]:
        """The broken rules in the schema's order; `rows` is how many the table has."""
        for place in sorted(self._broken):
            error, tally = self._broken[place]
            column, name = column_of(error), check_name(error.check)
            share = f"{tally.count:,} of {rows:,}"
            if column is None:
                meaning = " ".join((error.check.description or "").split())
                message = f"{share} rows break {name}" + (f": {meaning}" if meaning else "")
            elif name == "not_nullable":
                message = f"column '{column}': {share} values are missing (null or NaN), the schema allows none"
            else:
                message = f"column '{column}': {share} values break {name}"
            yield tally.violation(column, name, message)

    def _place(self, error: SchemaError) -> tuple[int, int]:
        column, columns = column_of(error), list(self._schema.columns)
        at = columns.index(column) if column in columns else len(columns)
        return at, -1 if error.check_index is None else error.check_index

    def _shown(self, error: SchemaError, chunk: pl.DataFrame) -> tuple[str, ...]:
        column = column_of(error)
        own = _columns_read(error.check, chunk.clear()) if column is None else (column,)
        return tuple(dict.fromkeys((*self._ids, *own)))


def column_of(error: SchemaError) -> str | None:
    """The column an error is about, or None when it is about the table."""
    return None if hasattr(error.schema, "columns") else str(error.schema.name)


def check_name(check: Check | str) -> str:
    """How a check is called in records: pandera's words with their arguments, or the name of the author's method."""
    if isinstance(check, str):
        return check
    for values in (check.statistics or {}).values():
        if isinstance(values, set | frozenset):  # whose order differs from run to run
            return f"{check.name}({sorted(values, key=str)})"
    return str(check.error or check.name)


def cannot_run(error: SchemaError, schema: DataFrameSchema) -> StageError:
    """The failure to raise for a check that raised."""
    reason = str(error.failure_cases).splitlines()[0]
    return StageError(f"check '{check_name(error.check)}' of the schema of {schema.name} cannot run: {reason}")


def _columns_read(check: Check, empty: pl.DataFrame) -> tuple[str, ...]:
    """The columns a check across columns cannot do without, found by leaving out one at a time."""
    read = []
    for name in empty.columns:
        try:
            check(empty.drop(name).lazy())
        except ColumnNotFoundError:
            read.append(name)
    return tuple(read)


def _rows_only(schema: DataFrameSchema) -> DataFrameSchema:
    """A copy of the schema without unique values, and without what would change the table that it judges."""
    result = copy.deepcopy(schema)
    result.unique = None
    result.coerce = result.drop_invalid_rows = result.add_missing_columns = False
    for column in result.columns.values():
        column.unique = column.coerce = column.drop_invalid_rows = False
        column.default = None
        for check in column.checks:
            check.n_failure_cases = SHOWN
    for check in result.checks:
        check.n_failure_cases = SHOWN  # pandera makes a dict of each failing row; counts come from check_output
    return result
