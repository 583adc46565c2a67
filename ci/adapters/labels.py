"""Labels that come after their rows, by the id of the row: Parquet with id, label, perhaps row and time.

Read as `ml.windows.labels` reads them for a window, but that a file which cannot be read stops: what is trained is
pinned, and a row that was passed over is not looked for again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.adapters import parquet
from ci.adapters.stores import line
from ci.core.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

KEY = "drift.labels"
ID, LABEL = "\0id", "\0label"  # no column of anybody's rows


def read(url: str, *, binary: bool) -> pl.DataFrame:
    """The label of each row, once, by its id as text.

    Of several for one row the latest counts, by time where all files have one, else the last in the order of files and
    rows. Raises ConfigurationError for labels that are none, EnvironmentFault for a store that does not answer.
    """
    import polars as pl  # noqa: PLC0415 - only where rows are read

    parts = []
    for name, source in parquet.files(url, KEY):
        try:
            parts.append(_part(pl.read_parquet(source, glob=False), name, binary=binary))
        except pl.exceptions.PolarsError as wrong:
            raise ConfigurationError(f"{name} cannot be read as labels: {line(wrong)}.") from wrong
    if not parts:
        raise ConfigurationError(f"{KEY} names a place without a Parquet file; write the labels there, or mend it.")
    timed = all("time" in part.columns for part in parts)
    whole = pl.concat(part.select(ID, LABEL, *(["time"] if timed else [])) for part in parts)
    whole = whole.sort("time", nulls_last=False, maintain_order=True) if timed else whole
    return whole.unique(ID, keep="last", maintain_order=True).select(ID, LABEL)


def joined(rows: pl.LazyFrame, known: pl.DataFrame, identity: str, label: str) -> pl.LazyFrame:
    """The rows with the labels that are known by now; a row's own stays where none is.

    Raises ConfigurationError for labels that the type of the rows' own would cut.
    """
    import polars as pl  # noqa: PLC0415 - as above

    has = rows.collect_schema()
    if identity not in has:
        return rows
    own = pl.col(label) if label in has else pl.lit(None)
    kind = has.get(label, pl.Null())
    kind = pl.Float64() if kind == pl.Null else kind  # none is known yet
    kept = pl.col(LABEL).is_in([0.0, 1.0]) if kind == pl.Boolean else pl.col(LABEL) == pl.col(LABEL).round()
    if (kind.is_integer() or kind in {pl.Boolean, pl.String}) and (cut := known.filter(~kept)).height:
        raise ConfigurationError(
            f"a label of {KEY} is {cut.item(0, LABEL)!r} (id {cut.item(0, ID)}), and the rows have '{label}' as "
            f"{kind}, which would cut it; write that column as Float64, in the data too, or mend the labels."
        )
    later = pl.col(LABEL).cast(pl.Int64).cast(pl.String) if kind == pl.String else pl.col(LABEL).cast(kind)
    return (
        rows.with_columns(pl.col(identity).cast(pl.String).alias(ID))
        .join(known.lazy(), on=ID, how="left", maintain_order="left")
        .with_columns(pl.coalesce(later, own).alias(label))
        .drop(ID, LABEL)
    )


def _part(rows: pl.DataFrame, name: str, *, binary: bool) -> pl.DataFrame:
    """The labels of one file. Raises ConfigurationError."""
    import polars as pl  # noqa: PLC0415 - as above

    for column in ("id", "label"):
        if column not in rows.columns:
            raise ConfigurationError(
                f"the labels {name} have no column '{column}'; {did_you_mean(column, rows.columns)}"
            )
    rows = rows.filter(pl.col("id").is_not_null() & pl.col("label").is_not_null())
    rows = rows.filter(pl.col("row") == 0) if "row" in rows.columns else rows  # others are rows of a request
    value = pl.col("label").cast(pl.Float64, strict=False)
    wrong = ~value.is_finite().fill_null(value=False) | (~value.is_in([0.0, 1.0]) & binary)
    strange = rows.filter(wrong)
    if strange.height:
        expected = "0 or 1" if binary else "a number"
        found = f"a label is {strange.item(0, 'label')!r} (id {strange.item(0, 'id')})"
        raise ConfigurationError(f"{name}: {found}; expected {expected}; mend the labels.")
    if "time" in rows.columns and not isinstance(rows.schema["time"], pl.Datetime | pl.Date | pl.Null):
        raise ConfigurationError(f"{name}: 'time' is {rows.schema['time']}; expected times; mend the labels.")
    ids = rows.get_column("id")
    if ids.dtype.is_float() and (ids == ids.round()).all():  # what pandas makes of integers where one is missing
        ids = ids.cast(pl.Int64)
    return rows.select(
        ids.cast(pl.String).alias(ID),
        value.alias(LABEL),
        *([_micros(rows.schema["time"])] if "time" in rows.columns else []),
    )


def _micros(kind: pl.DataType) -> pl.Expr:
    import polars as pl  # noqa: PLC0415 - as above

    time = pl.col("time")
    zoned = isinstance(kind, pl.Datetime) and kind.time_zone is not None
    return (time.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zoned else time).cast(pl.Datetime("us"))
