"""The short way of a plain request for one row: all that `protocol` checks, and nothing said about what is wrong.

Whatever is out of the ordinary, wrong or only rare, is left to `protocol`, which says so or takes it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from ml.serve.model import OUTPUT, Columns
from ml.serve.protocol import MAX_ID, Question, new_id
from ml.serve.tensors import FLOATS, INT64, TAKEN, VALUES, WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ml.serve.model import Column, Model

Limits = tuple[frozenset[type], Any, Any]
ONE = ([1], [1, 1])
KEYS = 4  # of a plain tensor: name, shape, datatype, data
TEXTS = 2 * (KEYS + 2)  # quotation marks in one: of its keys, its name and its datatype


class Row:
    """A request for one row, checked: its id, and its values in the order of the model's columns."""

    __slots__ = ("_quick", "id", "values")

    def __init__(self, quick: Quick, identity: str, values: list[Any]) -> None:
        self._quick = quick
        self.id = identity
        self.values = values

    @property
    def columns(self) -> Columns:
        """Its values as arrays, made where they are asked for."""
        return self._quick.columns(self.values)

    def as_question(self) -> Question:
        """The same, as `protocol.question` would have it."""
        return Question(self.id, 1, self.columns)


class Quick:
    """Plain requests for one row of one model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._places = {name: place for place, name in enumerate(model.columns)}
        # One table for all columns of a datatype: a table for each would not fit the processor's first cache.
        kinds = {column.datatype: column for column in model.columns.values()}
        limits = {
            wanted: {datatype: _limits(column, datatype) for datatype in TAKEN[wanted]}
            for wanted, column in kinds.items()
        }
        self._limits: list[dict[str, Limits]] = [limits[column.datatype] for column in model.columns.values()]
        # Where two inputs take the same column, its value has no one place in a row.
        self._has_places = len(model.columns) == sum(len(each.columns) for each in model.inputs)
        ends = np.cumsum([len(each.columns) for each in model.inputs]).tolist()
        self.parts = [slice(end - len(each.columns), end) for each, end in zip(model.inputs, ends, strict=True)]
        """Where the values of each of the model's inputs are in a row."""
        self._matrix = next(iter(model.matrices.items())) if len(model.inputs) == 1 and model.matrices else None
        texts = sum(column.datatype == "BYTES" for column in model.columns.values())
        names = orjson.dumps({"model_name": model.record.model, "model_version": model.record.version})
        self._start = names[:-1] + b',"id":'
        self._middle = b',"outputs":[{"name":%b,"shape":[1],"datatype":"FP64","data":[' % orjson.dumps(OUTPUT)
        self._known = [(name, self._places[name], known) for name, known in model.record.categories.items()]
        self._quotes = TEXTS * len(self._places) + 2 * texts

    def row(self, body: bytes | bytearray) -> Row | None:
        """What a body asks; None where that is not a plain request for one row, all in order."""
        try:
            found = orjson.loads(body)
            asked = found.get("id")
            inputs = found["inputs"]
            if asked is None:
                extra, most = 2, 1  # the quotation marks beside the inputs' own, and the keys
            elif type(asked) is str and len(asked) <= MAX_ID:
                extra, most = 6, 2
            else:
                return None
            if len(found) != most or type(inputs) is not list or not self._has_places:
                return None
            if len(inputs) == len(self._places):
                values, quotes = self._values(inputs), self._quotes
            elif len(inputs) == 1 and self._matrix:
                values, quotes = self._row(inputs[0], *self._matrix), TEXTS
            else:
                return None
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        # Where a key is there twice, more text was sent than was found. An escaped quotation mark would hide it.
        if values is None or body.count(b'"') != quotes + extra or b"\\" in body:
            return None
        return Row(self, asked or new_id(), values)

    def columns(self, values: list[Any]) -> Columns:
        """A row's values as the model takes them."""
        tensors: dict[str, NDArray[Any]] = {
            each.name: np.array([values[part]], dtype=each.dtype)
            for each, part in zip(self._model.inputs, self.parts, strict=True)
        }
        return Columns(tensors, self._model.places)

    def answer(self, identity: str, score: float) -> bytes:
        """The answer that `protocol` has for one score as JSON, of parts that were made once."""
        return b"%b%b%b%b]}]}" % (self._start, orjson.dumps(identity), self._middle, orjson.dumps(score))

    def unseen(self, values: list[Any]) -> Mapping[str, int]:
        """The columns whose text the model was not trained on, once each."""
        return {column: 1 for column, place, known in self._known if values[place] not in known}

    def _values(self, inputs: list[dict[str, Any]]) -> list[Any] | None:
        values: list[Any] = [None] * len(inputs)
        for each in inputs:
            place = self._places[each["name"]]
            types, least, most = self._limits[place][each["datatype"]]
            shape, data = each["shape"], each["data"]
            if type(data) is not list or len(data) != 1:
                return None
            value = data[0]
            if type(value) not in types or (least is not None and not least <= value <= most):
                return None
            if shape not in ONE or type(shape[0]) is not int or type(shape[-1]) is not int:
                return None
            if len(each) != KEYS or values[place] is not None:
                return None
            values[place] = value
        return values

    def _row(self, tensor: dict[str, Any], name: str, columns: Sequence[str]) -> list[Any] | None:
        """All columns' values, sent as one tensor."""
        types, least, most = self._limits[0][tensor["datatype"]]
        shape, data = tensor["shape"], tensor["data"]
        if tensor["name"] != name or len(tensor) != KEYS or type(data) is not list or len(data) != len(columns):
            return None
        if shape != [1, len(columns)] or type(shape[0]) is not int or type(shape[1]) is not int:
            return None
        if not types.issuperset(map(type, data)) or min(data) < least or max(data) > most:
            return None
        return data


def _limits(wanted: Column, datatype: str) -> Limits:
    """What values of a datatype have to be: their types, and the least and the most that it and the model can hold."""
    types, _ = VALUES[datatype]
    if wanted.datatype == "BYTES":
        return types, None, None
    if wanted.datatype == "INT64":
        whole = WHOLE.get(datatype, INT64)
        return types, max(whole.min, INT64.min), min(whole.max, INT64.max)
    if datatype in WHOLE:
        return types, WHOLE[datatype].min, WHOLE[datatype].max  # which every float can
    most = min(FLOATS[wanted.datatype], FLOATS.get(datatype, math.inf))
    return types, -most, most
