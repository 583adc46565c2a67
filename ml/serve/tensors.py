"""One tensor of a request → one column of numbers or text, or a sentence about what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml.serve.errors import Refused, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ml.serve.model import Column

FLOATS = {f"FP{bits}": float(np.finfo(f"float{bits}").max) for bits in (16, 32, 64)}
WHOLE = {name: np.iinfo(name.lower()) for bits in (8, 16, 32, 64) for name in (f"INT{bits}", f"UINT{bits}")}
INT64 = WHOLE["INT64"]
# What a JSON value of a datatype has to be, and how it is called.
VALUES: dict[str, tuple[frozenset[type], str]] = {
    **dict.fromkeys(FLOATS, (frozenset({int, float}), "a number")),
    **dict.fromkeys(WHOLE, (frozenset({int}), "a whole number")),
    "BOOL": (frozenset({bool}), "true or false"),
    "BYTES": (frozenset({str}), "text"),
}
TEXT = frozenset({"BYTES"})
WHOLE_NUMBERS = frozenset(WHOLE) | {"BOOL"}
NUMBERS = WHOLE_NUMBERS | frozenset(FLOATS)
# What a request may send for a column of the model's datatype: all that holds its values without loss of meaning.
TAKEN = {"FP32": NUMBERS, "FP64": NUMBERS, "INT64": WHOLE_NUMBERS, "BYTES": TEXT}


def rows_of(name: str, shape: object) -> int:
    """How many rows a tensor's shape tells of. Raises Refused (400) unless it is [n] or [n, 1]."""
    whole = isinstance(shape, list) and all(type(size) is int for size in shape)
    if not (whole and isinstance(shape, list) and len(shape) in {1, 2} and shape[0] >= 1 and shape[1:] in ([], [1])):
        raise Refused(400, f"'{name}' has the shape {shown(shape)}; expected [n] or [n, 1], with at least one row")
    rows: int = shape[0]
    return rows


def column(wanted: Column, datatype: object, data: object, rows: int) -> NDArray[Any]:
    """The values [n] in the model's dtype. Raises Refused (400) at the first value that is none of its datatype.

    Nothing is guessed: no null and no NaN is filled, no text read as a number, no fraction rounded.
    """
    kind = require_taken(wanted, datatype)
    values = _flat(wanted.name, data, rows)
    allowed, called = VALUES[kind]
    if not allowed.issuperset(map(type, values)):
        row, found = next((row, value) for row, value in enumerate(values) if type(value) not in allowed)
        what = "null: every row needs a value" if found is None else f"{shown(found)}, not {called}"
        raise Refused(400, f"row {row} of '{wanted.name}' ({kind}) is {what}")
    if kind in WHOLE or kind in FLOATS:
        _require_range(wanted.name, kind, values)
    return np.array(values, dtype=np.object_) if kind == "BYTES" else _numbers(wanted, values)


def require_taken(wanted: Column, datatype: object) -> str:
    """The datatype that a tensor is sent as. Raises Refused (400) unless the model's column can be made of it."""
    if not isinstance(datatype, str) or datatype not in TAKEN[wanted.datatype]:
        known = ", ".join(sorted(TAKEN[wanted.datatype]))
        raise Refused(400, f"'{wanted.name}' is sent as {shown(datatype)}; the model takes {known}")
    return datatype


def missing(inputs: Iterable[Any], wanted: Iterable[str]) -> list[str]:
    """The columns of which a refused request lacks a value, or all of them."""
    sent = {
        each["name"]: each.get("data", [] if each.get("parameters") else None)  # where they are bytes, `binary` tells
        for each in inputs
        if isinstance(each, dict) and isinstance(each.get("name"), str)
    }
    return [name for name in wanted if name not in sent or _has_null(sent[name])]


def _has_null(data: object) -> bool:
    if not isinstance(data, list):
        return data is None
    return any(value is None or value == [None] for value in data)


def _flat(name: str, data: object, rows: int) -> Sequence[Any]:
    """`data` as a flat list; the protocol lets a tensor [n, 1] come nested as well."""
    if not isinstance(data, list):
        raise Refused(400, f"'{name}' has the data {shown(data)}; expected a list of {rows:,} values")
    if data and type(data[0]) is list:
        if not all(type(each) is list and len(each) == 1 for each in data):
            raise Refused(400, f"'{name}' has nested data; expected one value in each row: [[1], [2]], or flat: [1, 2]")
        data = [each[0] for each in data]
    if len(data) != rows:
        raise Refused(400, f"'{name}' has {len(data):,} values, but its shape says {rows:,}")
    return data


def _require_range(name: str, datatype: str, values: Sequence[float]) -> None:
    least, most = (
        (-FLOATS[datatype], FLOATS[datatype]) if datatype in FLOATS else (WHOLE[datatype].min, WHOLE[datatype].max)
    )
    if min(values) < least or max(values) > most:
        row, found = next((r, value) for r, value in enumerate(values) if not least <= value <= most)
        raise Refused(400, f"row {row} of '{name}' is {shown(found)}, which {datatype} cannot hold")


def _numbers(wanted: Column, values: Sequence[float]) -> NDArray[Any]:
    if wanted.datatype == "INT64":
        _require_range(wanted.name, "INT64", [int(value) for value in values])
        return np.array(values, dtype=np.int64)
    return held(wanted, np.array(values, dtype=np.float64))


def held(wanted: Column, values: NDArray[Any]) -> NDArray[Any]:
    """Numbers [n] in the column's dtype. Raises Refused (400) at the first that it cannot hold."""
    with np.errstate(over="ignore"):
        numbers: NDArray[Any] = values.astype(wanted.dtype)
    lost = (values > INT64.max) if values.dtype.kind == "u" and wanted.datatype == "INT64" else ~np.isfinite(numbers)
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        raise Refused(
            400, f"row {row} of '{wanted.name}' is {shown(values[row].item())}, too large for {wanted.datatype}"
        )
    return numbers
