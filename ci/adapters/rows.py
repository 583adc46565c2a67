"""The door to labelled rows that came since a model's data was pinned: Parquet in a folder or at any fsspec URL."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import labels, parquet
from ci.adapters.stores import line
from ci.core.errors import ConfigurationError, EnvironmentFault, did_you_mean
from ci.core.retraining.records import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl


@dataclass(frozen=True)
class Columns:
    """The columns of raw rows that say which row it is, whether its label is known, and when it happened."""

    id: str
    label: str
    time: str | None = None


@dataclass(frozen=True)
class Later:
    """Where labels lie that come after their rows, and whether they are 0 and 1 alone."""

    url: str
    binary: bool


@dataclass(frozen=True)
class Fresh:
    """Rows that the data lacks, in its own columns and types."""

    frame: pl.DataFrame
    told: Rows


def fresh(url: str, data: Path, columns: Columns, until: datetime, later: Later | None = None) -> Fresh:
    """The rows at `url` with a label that `data`, a Parquet file, lacks by id; sorted, each once.

    Labels that came later win over those of the rows, as they do in a window.

    With a time they are later than the newest there, and before `until`, from which on labels are not final. Raises
    ConfigurationError for rows of another shape, EnvironmentFault for a store that does not answer.
    """
    import polars as pl  # noqa: PLC0415 - only where rows are read

    there = pl.scan_parquet(data)
    schema = there.collect_schema()
    ids = there.select(columns.id).unique().collect()
    newest = there.select(pl.col(columns.time).max()).collect().item() if columns.time else None
    found = pl.DataFrame(schema=schema)
    known = None if later is None else labels.read(later.url, binary=later.binary)
    for name, source in parquet.files(url, "drift.rows"):
        try:
            rows = pl.scan_parquet(source, glob=False)
            rows = rows if known is None else labels.joined(rows, known, columns.id, columns.label)
            if rows.collect_schema().get(columns.label, pl.Null()).is_float():
                rows = rows.with_columns(pl.col(columns.label).fill_nan(None))  # not known, as a window has it
            rows = _as_pinned(rows, schema, name, data)
            rows = rows.filter(pl.col(columns.label).is_not_null() & pl.col(columns.id).is_not_null())
            if columns.time:
                at = pl.col(columns.time)
                zone = getattr(schema[columns.time], "time_zone", None)
                last = pl.lit(until).dt.convert_time_zone(zone) if zone else pl.lit(until.replace(tzinfo=None))
                rows = rows.filter((at < last) & (True if newest is None else at > newest))
            found = found.vstack(rows.join(ids.lazy(), on=columns.id, how="anti", maintain_order="left").collect())
        except pl.exceptions.PolarsError as wrong:
            raise ConfigurationError(f"{name} cannot be read as rows of {data.name}: {line(wrong)}.") from wrong
    order = [*([columns.time] if columns.time else []), columns.id]
    once = found.unique(subset=columns.id, keep="first", maintain_order=True).sort(order, maintain_order=True)
    return Fresh(once, _told(once, columns.time))


def append(data: Path, new: Fresh) -> None:
    """Put rows behind those in `data`: the same bytes for the same rows. The file is replaced, never written into."""
    import polars as pl  # noqa: PLC0415 - as above

    whole = pl.concat([pl.read_parquet(data), new.frame])
    handle, name = tempfile.mkstemp(dir=data.parent.parent, prefix=f".{data.name}.")
    os.close(handle)
    try:
        whole.write_parquet(name)
        Path(name).replace(data)  # which may be a link into DVC's cache
    except OSError as fault:
        Path(name).unlink(missing_ok=True)
        raise EnvironmentFault(f"{data} could not be written: {fault.strerror}; free some space.", file=data) from fault


def _as_pinned(rows: pl.LazyFrame, schema: pl.Schema, name: str, data: Path) -> pl.LazyFrame:
    """The columns of `data` in its types; other columns are left out. Raises ConfigurationError."""
    import polars as pl  # noqa: PLC0415 - as above

    has = rows.collect_schema()
    for column in schema:
        if column not in has:
            raise ConfigurationError(
                f"{name} has no column '{column}', which {data.name} has; {did_you_mean(column, has)}"
            )
    for column, kind in schema.items():
        if has[column] != kind and has[column].is_temporal() != kind.is_temporal():
            raise ConfigurationError(f"{name} has '{column}' as {has[column]}, and {data.name} as {kind}; write it so.")
    narrowed = {
        column: kind
        for column, kind in schema.items()
        if has[column].is_float() and (kind.is_integer() or kind == pl.Boolean)
    }
    if narrowed:
        _require_uncut(rows, narrowed, name, data)
    return rows.select(pl.col(column).cast(kind, strict=True) for column, kind in schema.items())


def _require_uncut(rows: pl.LazyFrame, kinds: Mapping[str, pl.DataType], name: str, data: Path) -> None:
    """Raise ConfigurationError where a float is none of these columns' numbers; the rows are read once for all."""
    import polars as pl  # noqa: PLC0415 - as above

    firsts = (
        pl.col(column).filter(pl.col(column) != pl.col(column).cast(kind, strict=False).cast(pl.Float64)).first()
        for column, kind in kinds.items()
    )
    for column, value in rows.select(firsts).collect().row(0, named=True).items():
        if value is not None:
            raise ConfigurationError(
                f"{name} has a '{column}' of {value}, which {data.name} would cut to {kinds[column]}; mend the rows, "
                "or write that column of the data as Float64."
            )


def _told(frame: pl.DataFrame, time: str | None) -> Rows:
    if time is None or frame.is_empty():
        return Rows(rows=frame.height)
    first, last = frame[time].min(), frame[time].max()
    return Rows(rows=frame.height, first=_iso(first), last=_iso(last))


def _iso(moment: Any) -> str:
    whole = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    zoned = whole if whole.tzinfo else whole.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).isoformat(timespec="seconds")
