"""Rows of the inference log as Parquet, and where their file belongs. Sensitive columns are hashed or left out here."""

from __future__ import annotations

import hashlib
import hmac
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import arro3.core as arrow
import orjson
from arro3.io import write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HOUR = 3600
HASHED = "hmac:"
DIGITS = 32  # of an HMAC's 64: 128 bits
TYPES = {
    "FP32": arrow.DataType.float32(),
    "FP64": arrow.DataType.float64(),
    "INT64": arrow.DataType.int64(),
    "BYTES": arrow.DataType.string(),
}
TIME = arrow.DataType.timestamp("us", tz="UTC")
SLICE = 2_000  # pieces that are turned into Arrow at a time: as Python's objects they take many times the room


@dataclass(frozen=True)
class Header:
    """What holds for all rows of one server."""

    model: str
    model_hash: str
    version: str
    track: str
    columns: Mapping[str, str]
    sensitive: Mapping[str, str]


def by_hour(lines: Sequence[bytes]) -> dict[int, list[bytes]]:
    """The lines of each hour since 1970 in which their requests were received."""
    found: dict[int, list[bytes]] = {}
    for line in lines:
        found.setdefault(int(orjson.loads(line)[2] // HOUR), []).append(line)
    return found


def path(header: Header, hour: int, name: str) -> str:
    """Where a file of that hour belongs in the log: Hive's partitions, so that a reader opens only what it needs."""
    start = datetime.fromtimestamp(hour * HOUR, UTC)
    return f"model={header.model}/date={start:%Y-%m-%d}/hour={start:%H}/{name}.parquet"


def parquet(header: Header, lines: Sequence[bytes], key: bytes) -> bytes:
    """The rows in `lines` as one Parquet file."""
    batches = [
        _batch(header, [orjson.loads(line) for line in lines[start : start + SLICE]], key)
        for start in range(0, len(lines), SLICE)
    ]
    file = io.BytesIO()
    # An id is seldom there twice: a dictionary of ids would only be thrown away.
    write_parquet(
        arrow.Table.from_batches(batches), file, compression="zstd(3)", column_dictionary_enabled={"request_id": False}
    )
    return file.getvalue()


def hashed(key: bytes, column: str, value: object) -> str | None:
    """A value that only the key's holder can tell, the same for the same value of the same column."""
    if value is None:
        return None
    text = value if isinstance(value, str) else repr(value)
    digest = hmac.new(key, f"{column}\0{text}".encode(), hashlib.sha256).hexdigest()
    return HASHED + digest[:DIGITS]


def _batch(header: Header, pieces: Sequence[Sequence[Any]], key: bytes) -> arrow.RecordBatch:
    sizes = [len(piece[4]) for piece in pieces]
    rows = sum(sizes)
    micros = [round(piece[2] * 1e6) for piece in pieces]
    columns = {
        "request_id": _strings(_repeated([piece[0] for piece in pieces], sizes)),
        "row": arrow.Array(
            [piece[1] + row for piece, size in zip(pieces, sizes, strict=True) for row in range(size)],
            type=arrow.DataType.int32(),
        ),
        "time": arrow.Array(list(_repeated(micros, sizes)), type=arrow.DataType.int64()).cast(TIME),
        **{name: _strings([getattr(header, name)] * rows) for name in ("model", "model_hash", "version", "track")},
        **_features(header, pieces, key),
        "score": arrow.Array([score for piece in pieces for score in piece[4]], type=arrow.DataType.float64()),
    }
    return arrow.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _features(header: Header, pieces: Sequence[Sequence[Any]], key: bytes) -> dict[str, arrow.Array]:
    """One struct, so that no feature's name is in the way of a column of the log; none where all are left out."""
    arrays, fields = [], []
    for index, (name, datatype) in enumerate(header.columns.items()):
        how = header.sensitive.get(name)
        if how == "drop":
            continue
        values: list[Any] = [value for piece in pieces for value in piece[3][index]]
        kind = TYPES[datatype]
        if how == "hash":
            values, kind = [hashed(key, name, value) for value in values], arrow.DataType.string()
        arrays.append(arrow.Array(values, type=kind))
        fields.append(arrow.Field(name, kind, nullable=True))
    return {"features": arrow.struct_array(arrays, fields=fields)} if arrays else {}


def _strings(values: Any) -> arrow.Array:
    return arrow.Array(list(values), type=arrow.DataType.string())


def _repeated(values: Sequence[Any], sizes: Sequence[int]) -> Iterator[Any]:
    return (value for value, size in zip(values, sizes, strict=True) for _ in range(size))
