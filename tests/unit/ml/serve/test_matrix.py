"""A matrix that the model takes may come as one tensor, and is held to all that its columns are held to."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given

from ml.serve import openapi, protocol
from ml.serve.errors import Refused
from ml.serve.model import Columns, Model
from ml.serve.protocol import Question
from ml.serve.quick import Quick, Row
from tests.unit.ml.serve import models
from tests.unit.ml.serve.test_protocol import RECORD, values

ROWS = [[1.5, -2.0, 0.25], [3.0, 4.5, -1.0]]
NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load(models.pack(tmp_path_factory.mktemp("matrix"), models.matrix()))


def request(rows: list[list[Any]], **changes: Any) -> dict[str, Any]:
    flat = [value for row in rows for value in row]
    return {"inputs": [{"name": "features", "shape": [len(rows), 3], "datatype": "FP32", "data": flat} | changes]}


def ask(message: Any, model: Model) -> Question:
    return protocol.question(json.dumps(message).encode(), model)


@pytest.mark.parametrize("changes", [{}, {"data": ROWS}, {"datatype": "FP64"}])
def test_it_is_as_good_as_its_columns(changes: dict[str, Any], model: Model) -> None:
    asked = ask(request(ROWS, **changes), model)
    assert (asked.rows, {name: column.tolist() for name, column in asked.columns.items()}) == (
        2,
        {name: list(column) for name, column in zip(NAMES, zip(*ROWS, strict=True), strict=True)},
    )
    assert model.score(asked.columns).tolist() == [sum(row) for row in ROWS]


def test_it_may_come_as_bytes(model: Model) -> None:
    raw = np.array(ROWS, "<f8").tobytes()
    tensor = {"name": "features", "shape": [2, 3], "datatype": "FP64", "parameters": {"binary_data_size": len(raw)}}
    text = orjson.dumps({"inputs": [tensor]})
    asked = protocol.question(text + raw, model, len(text))
    assert model.score(asked.columns).tolist() == [sum(row) for row in ROWS]
    raw = np.array([[1, np.nan, 3], [1, 2, 3]], "<f8").tobytes()
    with pytest.raises(Refused, match=r"row 0 of 'b'.*NaN") as refused:
        protocol.question(text + raw, model, len(text))
    assert refused.value.missing == ["b"]
    tensor["shape"] = [3, 3]
    text = orjson.dumps({"inputs": [tensor]})
    with pytest.raises(Refused, match="48 bytes; 3 rows of 3 FP64 are 72"):
        protocol.question(text + raw, model, len(text))


@pytest.mark.parametrize(
    ("changes", "words", "missing"),
    [
        ({"shape": [6]}, r"has the shape \[6\]; expected \[n, 3\]", []),
        ({"shape": [3, 2]}, r"expected \[n, 3\]", []),
        ({"shape": [True, 3]}, r"expected \[n, 3\]", []),
        ({"data": [1, 2, 3]}, "has 3 values, but its shape says 6", []),
        ({"data": [[1, 2, 3], [4, 5]]}, "expected 3 values in each row", []),
        ({"data": None}, "has the data None", []),
        ({"data": [1, 2, None, 4, 5, 6]}, r"row 0 of 'c' \(FP32\) is null", ["c"]),
        ({"data": [1, 2, 3, "4", 5, 6]}, "row 1 of 'a'", []),
        ({"data": [1, 2, 3, 1e39, 5, 6]}, "row 1 of 'a' is 1e[+]39, which FP32 cannot hold", []),
        ({"datatype": "BYTES"}, "'a' is sent as 'BYTES'", []),
        ({"name": "feature"}, "did you mean 'features'", NAMES),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], words: str, missing: list[str], model: Model) -> None:
    with pytest.raises(Refused, match=words) as refused:
        ask(request(ROWS, **changes), model)
    assert refused.value.code == 400
    assert refused.value.missing == missing


def test_a_column_does_not_come_beside_its_matrix(model: Model) -> None:
    message = request(ROWS)
    message["inputs"].append({"name": "b", "shape": [2], "datatype": "FP32", "data": [1, 2]})
    with pytest.raises(Refused, match="'b' is among the inputs twice"):
        ask(message, model)


@pytest.mark.parametrize(
    ("message", "is_plain"),
    [
        (request(ROWS[:1]), True),
        (request(ROWS[:1]) | {"id": "seven"}, True),
        (request(ROWS[:1], datatype="INT8", data=[1, 2, -128]), True),
        (request(ROWS), False),
        (request(ROWS[:1], data=[1, 2]), False),
        (request(ROWS[:1], data=ROWS[:1]), False),
        (request(ROWS[:1], data=[1, 2, None]), False),
        (request(ROWS[:1], data=[1, 2, 1e39]), False),
        (request(ROWS[:1], data=[1, 2, True]), False),
        (request(ROWS[:1], datatype="INT8", data=[1, 2, 128]), False),
        (request(ROWS[:1], shape=[1.0, 3]), False),
        (request(ROWS[:1], shape=[3]), False),
        (request(ROWS[:1], name="a"), False),
        (request(ROWS[:1], more=1), False),
    ],
)
def test_one_row_goes_the_short_way(message: Any, is_plain: bool, model: Model) -> None:
    assert (both(orjson.dumps(message), model) is not None) == is_plain


@given(value=values)
def test_whatever_the_short_way_takes_the_long_way_takes(value: Any, model: Model) -> None:
    for key in sorted(protocol.INPUT_KEYS):
        both(json.dumps(request(ROWS[:1], **{key: value})).encode(), model)
    both(json.dumps(request([[1, value, 3]])).encode(), model)


def test_the_order_of_its_columns_is_told(model: Model) -> None:
    told = protocol.metadata(RECORD, model.columns.values(), model.matrices)["parameters"]
    assert orjson.loads(told["columns of features"]) == NAMES
    schemas = openapi.description(RECORD, model.columns.values(), model.matrices)["components"]["schemas"]
    inputs = schemas["Question"]["properties"]["inputs"]
    assert [each["properties"]["name"]["const"] for each in inputs["items"]["oneOf"]] == [*NAMES, "features"]
    assert (inputs["minItems"], inputs["maxItems"]) == (1, 3)


def both(body: bytes, model: Model) -> Row | None:
    """What the short way finds, held to what the long way finds."""
    found = Quick(model).row(body)
    if found is not None:
        other = protocol.question(body, model)
        assert isinstance(found.columns, Columns)
        assert {name: column.tolist() for name, column in found.columns.items()} == {
            name: column.tolist() for name, column in other.columns.items()
        }
    else:
        with contextlib.suppress(Refused):
            protocol.question(body, model)
    return found
