"""Stage validate: does the raw data keep to the model's schema? `python -m ml.stages.validate MODEL [--data PATH]`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from pandera.polars import DataFrameModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ml import params
from ml.errors import REFUSED, StageError
from ml.files import md5, write_json
from ml.stages.run import parser, run
from ml.validation import validate

if TYPE_CHECKING:
    import argparse

    from ml.stages.run import Place
    from ml.validation import Result
    from ml.violations import Scalar


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Write validation.json. Raises StageError when the data breaks the schema, after that was written."""
    record = place.artifacts / "validation.json"
    record.unlink(missing_ok=True)  # a stage that stops leaves no verdict on other data behind
    schema = load(place)
    declared = params.load(place.code / "params.yaml", "smoke").data  # alike in all modes
    data = arguments.data or place.data / declared.file
    result = validate(data, schema)
    shown = data.relative_to(place.root) if data.is_relative_to(place.root) else Path(data.name)
    write_json(
        record,
        {
            "schema_version": 1,
            "model": place.model,
            "file": shown.as_posix(),
            "data_hash": md5(data),
            "rows": result.rows,
            "columns": result.columns,
            "period": period(data, declared.time) if result.passed else None,
            "passed": result.passed,
            "violations": [asdict(violation) for violation in result.violations],
        },
    )
    if not result.passed:
        console = Console(stderr=True)
        console.print(table(result))
        first, more = result.violations[0], len(result.violations) - 1
        others = f" (and {more} more)" if more else ""
        message = f"{data} breaks {place.code / 'schema.py'}: {first.message}{others}; mend the data or the schema"
        raise StageError(message, exit_code=REFUSED, file=place.code / "schema.py")


def period(data: Path, column: str | None) -> dict[str, str] | None:
    """The first and the last moment in a column of times; None where there is no such column."""
    if column is None:
        return None
    rows = pl.scan_parquet(data, glob=False)
    if not rows.collect_schema().get(column, pl.Null).is_temporal():
        return None  # the stage prepare says so, where a split needs it
    start, end = rows.select(pl.col(column).min().alias("start"), pl.col(column).max().alias("end")).collect().row(0)
    return None if start is None else {"column": column, "start": start.isoformat(), "end": end.isoformat()}


def load(place: Place) -> type[DataFrameModel]:
    """`Raw` of the model's schema.py. Raises StageError when there is none or it is broken."""
    path = place.code / "schema.py"
    if not path.is_file():
        message = (
            f"{path} is missing; write it with a pandera.polars.DataFrameModel named Raw, as the other models have"
        )
        raise StageError(message, file=path)
    try:
        raw = getattr(import_module(f"ml.models.{place.model}.schema"), "Raw", None)
        if isinstance(raw, type) and issubclass(raw, DataFrameModel):
            raw.to_schema()  # so that a mistake in it is told here
            return raw
    except Exception as error:
        raise StageError(f"{path} cannot be used: {type(error).__name__}: {error}", file=path) from error
    found = "has none" if raw is None else f"has {raw!r}"
    raise StageError(f"{path} must define Raw, a pandera.polars.DataFrameModel, and {found}", file=path)


def table(result: Result) -> Table:
    """The violations for a person, with their first rows."""
    drawn = Table("column", "check", "count", "first rows", title=f"broken rules: {len(result.violations)}")
    for violation in result.violations:
        rows = "\n".join(_line(row) for row in violation.rows)
        cells = (violation.column or "", violation.check, f"{violation.count:,}", rows or violation.message)
        drawn.add_row(*map(escape, cells))
    return drawn


def _line(row: dict[str, Scalar]) -> str:
    return " ".join(f"{name}={value}" for name, value in row.items())


def main() -> int:
    """Run the stage on the arguments of the command line."""
    arguments = parser("validate", moded=False)
    arguments.add_argument("--data", type=Path, metavar="PATH", help="another Parquet file than the one in params.yaml")
    return run("validate", body, arguments.parse_args())


if __name__ == "__main__":
    sys.exit(main())
