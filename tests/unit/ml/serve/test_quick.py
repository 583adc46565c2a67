"""The short way takes what the long way takes and finds the same there; whatever else comes, it leaves alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.serve import protocol
from ml.serve.model import Columns, Model
from ml.serve.quick import Quick
from tests.unit.ml.serve import models
from tests.unit.ml.serve.test_protocol import values

if TYPE_CHECKING:
    from ml.serve.quick import Row

GOOD = {"single": ("FP32", 1.5), "wide": ("FP64", 0.25), "whole": ("INT64", 3), "kind": ("BYTES", "x")}
FLOAT32 = float(np.finfo(np.float32).max)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load(models.pack(tmp_path_factory.mktemp("mixed"), models.mixed()))


def request(more: dict[str, Any] | None = None, **changes: dict[str, Any]) -> dict[str, Any]:
    plain = {name: {"name": name, "shape": [1], "datatype": kind, "data": [v]} for name, (kind, v) in GOOD.items()}
    return {"inputs": [tensor | changes.get(name, {}) for name, tensor in plain.items()], **(more or {})}


def both(body: bytes, model: Model) -> Row | None:
    """What the short way finds, held to what the long way finds."""
    found = Quick(model).row(body)
    if found is not None:
        other = protocol.question(body, model)
        assert (1, len(found.id)) == (other.rows, len(other.id))
        assert isinstance(found.columns, Columns)
        assert {name: column.tolist() for name, column in found.columns.items()} == {
            name: column.tolist() for name, column in other.columns.items()
        }
        long = other.columns.tensors
        assert {name: (tensor.dtype, tensor.shape) for name, tensor in found.columns.tensors.items()} == {
            name: (tensor.dtype, tensor.shape) for name, tensor in long.items()
        }
    return found


@pytest.mark.parametrize(
    "message",
    [
        request(),
        request({"id": "seven"}),
        request({"id": None}),
        request(single={"shape": [1, 1]}),
        request(single={"datatype": "BOOL", "data": [True]}),
        request(single={"data": [FLOAT32]}, wide={"data": [-1.7e308]}),
        request(whole={"datatype": "UINT64", "data": [2**63 - 1]}),
        request(whole={"datatype": "INT8", "data": [-128]}),
        {"inputs": request()["inputs"][::-1]},
    ],
)
def test_plain_requests_go_the_short_way(message: Any, mixed: Model) -> None:
    found = both(orjson.dumps(message), mixed)
    assert (found is not None) == ("id" not in message or message["id"] is not None)
    both(json.dumps(message, indent=2).encode(), mixed)


@pytest.mark.parametrize(
    "message",
    [
        [],
        None,
        1,
        {},
        {"inputs": None},
        {"inputs": []},
        request({"id": 1}),
        request({"id": "7" * 129}),
        request({"outputs": []}),
        request({"more": 1}),
        request(single={"more": 1}),
        request(single={"shape": [True]}),
        request(single={"shape": [1.0]}),
        request(single={"shape": [1, True]}),
        request(single={"shape": [1, 1.0]}),
        request(single={"shape": [2], "data": [1, 2]}),
        request(single={"data": [1, 2]}),
        request(single={"data": [None]}),
        request(single={"data": ["1"]}),
        request(single={"data": [True]}),
        request(single={"data": [[1]]}),
        request(single={"data": "1"}),
        request(single={"data": {"1": 1}}),
        request(single={"data": [1e39]}),
        request(single={"datatype": "FP16", "data": [7e4]}),
        request(wide={"datatype": "FP32", "data": [1e39]}),
        request(single={"datatype": "INT8", "data": [128]}),
        request(single={"datatype": "BYTES", "data": ["1"]}),
        request(whole={"datatype": "UINT64", "data": [2**63]}),
        request(whole={"data": [1.0]}),
        request(kind={"data": [1]}),
        request(kind={"data": "x"}),
        request(kind={"data": {"x": 1}}),
        request(kind={"name": "single"}),
        request(kind={"name": []}),
        request(kind={"data": ['a "word"']}),
    ],
)
def test_all_others_are_left_to_the_long_way(message: Any, mixed: Model) -> None:
    assert both(orjson.dumps(message), mixed) is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"inputs": NaN}'])
def test_what_is_no_json_too(body: bytes, mixed: Model) -> None:
    assert both(body, mixed) is None


@given(name=st.sampled_from(sorted(GOOD)), key=st.sampled_from(sorted(protocol.INPUT_KEYS)), value=values)
def test_any_value_anywhere(name: str, key: str, value: Any, mixed: Model) -> None:
    both(json.dumps(request(**{name: {key: value}})).encode(), mixed)


@given(identity=st.text(st.characters(exclude_categories=["Cs"])), score=st.floats(-1e300, 1e300))
def test_one_score_is_answered_as_any_number_of_them(identity: str, score: float, mixed: Model) -> None:
    asked = protocol.Question(identity, 1, mixed.columned({name: np.zeros(1) for name in mixed.columns}))
    expected = orjson.loads(protocol.answer(mixed.record, asked, np.array([score]))[0])
    assert orjson.loads(Quick(mixed).answer(identity, score)) == expected
