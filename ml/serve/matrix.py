"""One tensor for all columns of a matrix that the model takes: as good as a tensor for each, and held to the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml.serve.binary import DTYPES
from ml.serve.errors import Refused, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Matrices = Mapping[str, Sequence[str]]
    """By the name of the model's input: its columns, in the order in which a row has them."""


def split(
    inputs: Iterable[Any], parts: Mapping[str, memoryview], matrices: Matrices
) -> tuple[list[Any], dict[str, memoryview]]:
    """Inputs, and which bytes are whose, with each column in the place of the matrix that it came in.

    Raises Refused (400) where a matrix is not [n, columns].
    """
    laid_out: list[Any] = []
    raw = dict(parts)
    for each in inputs:
        name = each.get("name") if isinstance(each, dict) else None
        if not isinstance(name, str) or name not in matrices:
            laid_out.append(each)
            continue
        columns = matrices[name]
        rows = _rows(name, each.get("shape"), len(columns))
        one = {"shape": [rows], "datatype": each.get("datatype")}
        if name in raw:
            laid_out += [{**one, "name": column} for column in columns]
            raw |= zip(columns, _bytes(name, one["datatype"], raw.pop(name), (rows, len(columns))), strict=True)
        else:
            values = _flat(name, each.get("data"), rows, len(columns))
            laid_out += [
                {**one, "name": column, "data": values[place :: len(columns)]} for place, column in enumerate(columns)
            ]
    return laid_out, raw


def _rows(name: str, shape: object, width: int) -> int:
    whole = isinstance(shape, list) and all(type(size) is int for size in shape)
    if not (whole and isinstance(shape, list) and len(shape) == 2 and shape[0] >= 1 and shape[1] == width):
        raise Refused(400, f"'{name}' has the shape {shown(shape)}; expected [n, {width}], with at least one row")
    rows: int = shape[0]
    return rows


def _flat(name: str, data: object, rows: int, width: int) -> list[Any]:
    """`data` row by row; the protocol lets it come nested as well."""
    if not isinstance(data, list):
        raise Refused(400, f"'{name}' has the data {shown(data)}; expected a list of {rows * width:,} values")
    if data and type(data[0]) is list:
        if not all(type(each) is list and len(each) == width for each in data):
            raise Refused(400, f"'{name}' has nested data; expected {width} values in each row, or all of them flat")
        data = [value for each in data for value in each]
    if len(data) != rows * width:
        raise Refused(400, f"'{name}' has {len(data):,} values, but its shape says {rows * width:,}")
    return data


def _bytes(name: str, datatype: object, raw: memoryview, shape: tuple[int, int]) -> list[memoryview]:
    dtype = DTYPES.get(datatype) if isinstance(datatype, str) else None
    if dtype is None:
        raise Refused(400, f"'{name}' is sent as {shown(datatype)}; a matrix holds numbers: {', '.join(DTYPES)}")
    size = shape[0] * shape[1] * dtype.itemsize
    if len(raw) != size:
        raise Refused(400, f"'{name}' has {len(raw):,} bytes; {shape[0]:,} rows of {shape[1]} {datatype} are {size:,}")
    return [memoryview(column.tobytes()) for column in np.frombuffer(raw, dtype).reshape(shape).T]
