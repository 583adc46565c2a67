"""Tensors as bytes after the JSON: the protocol's binary tensor data extension, little-endian, as Triton defines it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.serve import tensors
from ml.serve.errors import Refused, shown
from ml.serve.tensors import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from ml.serve.model import Column

HEADER = "inference-header-content-length"
EXTENSION = "binary_tensor_data"
SIZE, OUTPUT, OUTPUTS = "binary_data_size", "binary_data", "binary_data_output"
DTYPES = {
    **{name: np.dtype(name.lower()).newbyteorder("<") for name in WHOLE},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BOOL": np.dtype(np.uint8),
}
LENGTH = struct.Struct("<I")  # goes before each text


def parts(inputs: Iterable[Mapping[str, Any]], raw: memoryview | None) -> dict[str, memoryview]:
    """Which bytes are whose, by the name of an input. Raises Refused (400) unless they are all somebody's."""
    found: dict[str, memoryview] = {}
    start = 0
    for each in inputs:
        size = (each.get("parameters") or {}).get(SIZE)
        if size is None:
            continue
        name = each["name"]
        if type(size) is not int or size < 0:
            raise Refused(400, f"'{SIZE}' of '{name}' is {shown(size)}; expected a number of bytes")
        if raw is None:
            raise Refused(400, f"'{name}' has a '{SIZE}', but the request has no header {HEADER}")
        if "data" in each:
            raise Refused(400, f"'{name}' has both 'data' and a '{SIZE}'; send its values once")
        if start + size > len(raw):
            raise Refused(400, f"'{name}' is to be {size:,} bytes, but only {len(raw) - start:,} are left in the body")
        found[name] = raw[start : start + size]
        start += size
    if raw is not None and start != len(raw):
        raise Refused(400, f"{len(raw) - start:,} bytes at the end of the body are no input's")
    return found


def column(wanted: Column, datatype: object, raw: memoryview, rows: int) -> NDArray[Any]:
    """The values [n] in the model's dtype. Raises Refused (400) at the first value that is none of its datatype."""
    kind = tensors.require_taken(wanted, datatype)
    if kind == "BYTES":
        return np.array(list(_texts(wanted.name, raw, rows)), dtype=np.object_)
    dtype = DTYPES[kind]
    if len(raw) != rows * dtype.itemsize:
        raise Refused(400, f"'{wanted.name}' has {len(raw):,} bytes; {rows:,} of {kind} are {rows * dtype.itemsize:,}")
    values = np.frombuffer(raw, dtype)
    if kind == "BOOL" and (values > 1).any():
        row = int(np.flatnonzero(values > 1)[0])
        raise Refused(400, f"row {row} of '{wanted.name}' (BOOL) is the byte {values[row]}; expected 0 or 1")
    if values.dtype.kind == "f" and np.isnan(values).any():
        row = int(np.flatnonzero(np.isnan(values))[0])
        words = f"row {row} of '{wanted.name}' ({kind}) is NaN: every row needs a value"
        raise Refused(400, words, [wanted.name])
    return tensors.held(wanted, values)


def wants(found: Mapping[str, Any]) -> bool:
    """Whether a request wants its scores as bytes."""
    for each in found.get("outputs") or []:
        asked = (each.get("parameters") or {}).get(OUTPUT)
        if asked is not None:
            return _yes_or_no(OUTPUT, asked)
    return _yes_or_no(OUTPUTS, (found.get("parameters") or {}).get(OUTPUTS, False))


def _yes_or_no(name: str, asked: object) -> bool:
    if not isinstance(asked, bool):
        raise Refused(400, f"'{name}' is {shown(asked)}; expected true or false")
    return asked


def _texts(name: str, raw: memoryview, rows: int) -> Iterator[str]:
    at = 0
    for row in range(rows):
        end = at + LENGTH.size
        if end > len(raw) or (end := end + LENGTH.unpack_from(raw, at)[0]) > len(raw):
            raise Refused(400, f"row {row} of '{name}' goes beyond its {len(raw):,} bytes")
        try:
            yield str(raw[at + LENGTH.size : end], "utf-8")
        except UnicodeDecodeError as error:
            raise Refused(400, f"row {row} of '{name}' is not UTF-8 ({error.reason})") from error
        at = end
    if at != len(raw):
        raise Refused(400, f"'{name}' has {len(raw) - at:,} bytes more than its {rows:,} rows")
