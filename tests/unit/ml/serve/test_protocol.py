"""A request is understood wholly or refused in a sentence that says where it is wrong; nothing in it is guessed."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.serve import protocol
from ml.serve.errors import Refused
from ml.serve.model import Model, Record
from tests.unit.ml.serve import models

RECORD = Record("toy", "0123456789abcdef", {})
GOOD: dict[str, tuple[str, list[Any]]] = {
    "single": ("FP32", [1.5, -2]),
    "wide": ("FP64", [0.25, 2]),
    "whole": ("INT64", [3, -4]),
    "kind": ("BYTES", ["x", "anything"]),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Model:
    found = Model.load(models.pack(tmp_path_factory.mktemp("mixed"), models.mixed()))
    found.record = RECORD
    return found


def request(**changes: dict[str, Any]) -> dict[str, Any]:
    """A good request, changed in some of its tensors."""
    plain = {
        name: {"name": name, "shape": [len(data)], "datatype": kind, "data": data}
        for name, (kind, data) in GOOD.items()
    }
    return {"inputs": [tensor | changes.get(name, {}) for name, tensor in plain.items()]}


def ask(message: Any, model: Model) -> protocol.Question:
    return protocol.question(json.dumps(message).encode(), model)


def refused(message: Any, model: Model) -> Refused:
    with pytest.raises(Refused) as caught:
        ask(message, model)
    return caught.value


def test_columns_come_in_the_types_of_the_model(mixed: Model) -> None:
    asked = ask({"id": "7", **request()}, mixed)
    assert (asked.id, asked.rows) == ("7", 2)
    assert {name: column.dtype for name, column in asked.columns.items()} == {
        "single": np.float32,
        "wide": np.float64,
        "whole": np.int64,
        "kind": np.object_,
    }
    assert mixed.score(asked.columns).tolist() == [1.5 + 0.25 + 3 - 1, -2 + 2 - 4]


@pytest.mark.parametrize(
    "change",
    [
        {"single": {"datatype": "INT8", "data": [1, 2]}},
        {"single": {"datatype": "BOOL", "data": [True, False]}},
        {"single": {"shape": [2, 1]}},
        {"single": {"shape": [2, 1], "data": [[1.5], [-2.5]]}},
        {"whole": {"datatype": "BOOL", "data": [False, True]}},
        {"whole": {"datatype": "UINT8", "data": [0, 255]}},
        {"wide": {"datatype": "UINT64", "data": [0, 2**63]}},
        {"kind": {"data": ["", "\0 nul, emoji 😀"]}},
        {"kind": {"parameters": {"unknown to us": 1}}},
        {"kind": {"parameters": None}},
    ],
)
def test_what_is_taken(change: dict[str, Any], mixed: Model) -> None:
    asked = ask(request(**change), mixed)
    assert np.isfinite(mixed.score(asked.columns)).all()
    ((name, changed),) = change.items()
    sent = changed.get("data", GOOD[name][1])
    assert asked.columns[name].tolist() == [value[0] if isinstance(value, list) else value for value in sent]


@pytest.mark.parametrize(
    "more",
    [
        {"model_name": "toy"},
        {"model_name": "toy", "model_version": "0123456789ab"},
        dict.fromkeys(sorted(protocol.KEYS - {"inputs"})),
        {"outputs": []},
        {"outputs": [{"name": "score", "parameters": None}]},
    ],
)
def test_what_a_client_may_add(more: dict[str, Any], mixed: Model) -> None:
    assert ask({**request(), **more}, mixed).rows == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"single": {"data": [1.5, None]}}, "row 1 of 'single' (FP32) is null: every row needs a value"),
        ({"single": {"data": [1.5, "2"]}}, "row 1 of 'single' (FP32) is '2', not a number"),
        ({"single": {"data": [True, 2]}}, "row 0 of 'single' (FP32) is True, not a number"),
        ({"single": {"data": [1, 1e39]}}, "row 1 of 'single' is 1e+39, which FP32 cannot hold"),
        ({"single": {"datatype": "BYTES", "data": ["1", "2"]}}, "'single' is sent as 'BYTES'; the model takes BOOL, "),
        ({"single": {"datatype": "fp32"}}, "'single' is sent as 'fp32'; the model takes BOOL, FP16"),
        ({"single": {"datatype": ["FP32"]}}, "'single' is sent as ['FP32']; the model takes"),
        ({"single": {"datatype": "FP16", "data": [1, 7e4]}}, "row 1 of 'single' is 70000.0, which FP16 cannot hold"),
        ({"wide": {"datatype": "FP32", "data": [1, 1e39]}}, "row 1 of 'wide' is 1e+39, which FP32 cannot hold"),
        ({"single": {"datatype": "INT8", "data": [1, 128]}}, "row 1 of 'single' is 128, which INT8 cannot hold"),
        ({"single": {"datatype": "UINT8", "data": [-1, 1]}}, "row 0 of 'single' is -1, which UINT8 cannot hold"),
        ({"single": {"shape": []}}, "'single' has the shape []; expected [n] or [n, 1]"),
        ({"single": {"shape": [2, 2]}}, "'single' has the shape [2, 2]; expected [n] or [n, 1]"),
        ({"single": {"shape": [2, 1, 1]}}, "'single' has the shape [2, 1, 1]"),
        (
            {"single": {"shape": [0], "data": []}},
            "'single' has the shape [0]; expected [n] or [n, 1], with at least one",
        ),
        ({"single": {"shape": [True]}}, "'single' has the shape [True]"),
        ({"single": {"shape": [2.0]}}, "'single' has the shape [2.0]"),
        ({"single": {"shape": 2}}, "'single' has the shape 2"),
        ({"single": {"shape": [3], "data": [1, 2, 3]}}, "'wide' has 2 rows, but 'single' has 3"),
        ({"single": {"data": [1]}}, "'single' has 1 values, but its shape says 2"),
        ({"single": {"data": "12"}}, "'single' has the data '12'; expected a list of 2 values"),
        ({"single": {"data": None}}, "'single' has the data None"),
        ({"single": {"shape": [2, 1], "data": [[1], [2, 3]]}}, "'single' has nested data; expected one value in each"),
        ({"single": {"shape": [2, 1], "data": [[1], 2]}}, "'single' has nested data"),
        ({"single": {"shape": [2, 1], "data": [1, [2]]}}, "row 1 of 'single' (FP32) is [2], not a number"),
        ({"single": {"Data": []}}, "an input has the key 'Data'; did you mean 'data'?"),
        ({"single": {"parameters": []}}, "'parameters' of an input is []; expected a JSON object"),
        ({"single": {"name": "singel"}}, "the model has no input 'singel'; did you mean 'single'?"),
        ({"single": {"name": "zzz"}}, "the model has no input 'zzz'; known are: kind, single, whole, wide"),
        ({"single": {"name": None}}, "the model has no input None; expected the name of a feature"),
        ({"single": {"name": "wide"}}, "'wide' is among the inputs twice; send each feature once"),
        ({"whole": {"data": [1.0, 2.0]}}, "row 0 of 'whole' (INT64) is 1.0, not a whole number"),
        ({"whole": {"datatype": "FP64"}}, "'whole' is sent as 'FP64'; the model takes BOOL, INT16"),
        (
            {"whole": {"datatype": "UINT64", "data": [1, 2**63]}},
            f"row 1 of 'whole' is {2**63}, which INT64 cannot hold",
        ),
        ({"kind": {"data": ["x", 1]}}, "row 1 of 'kind' (BYTES) is 1, not text"),
        ({"kind": {"data": ["x", None]}}, "row 1 of 'kind' (BYTES) is null"),
        ({"kind": {"datatype": "FP32", "data": [1, 2]}}, "'kind' is sent as 'FP32'; the model takes BYTES"),
    ],
)
def test_a_tensor_that_is_wrong(change: dict[str, Any], words: str, mixed: Model) -> None:
    found = refused(request(**change), mixed)
    assert (found.code, found.words[: len(words)]) == (400, words)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ([], "the request is []; expected a JSON object"),
        (None, "the request is None; expected a JSON object"),
        ({}, "'inputs' is None; expected a list of one tensor per feature"),
        ({"inputs": {}}, "'inputs' is {}"),
        ({"inputs": [1]}, "an input is 1; expected a JSON object"),
        ({"inputs": []}, "the input 'single' and 3 more is missing"),
        ({"inputs": request()["inputs"][:3]}, "the input 'kind' is missing"),
        ({**request(), "input": []}, "the request has the key 'input'; did you mean 'inputs'?"),
        ({**request(), "id": 7}, "'id' is 7; expected text of at most 128 characters"),
        ({**request(), "id": "7" * 129}, "'id' is '777"),
        ({**request(), "parameters": 1}, "'parameters' of the request is 1"),
        ({**request(), "parameters": 0}, "'parameters' of the request is 0"),
        ({**request(), "model_name": "teddy"}, "'model_name' is 'teddy'; this server has 'toy'"),
        ({**request(), "model_name": ["toy"]}, "'model_name' is ['toy']; this server has 'toy'"),
        ({**request(), "model_version": "1"}, "'model_version' is '1'; this server has '0123456789ab'"),
        ({**request(), "outputs": False}, "'outputs' is False; expected a list"),
        ({**request(), "outputs": {"name": "score"}}, "'outputs' is {'name': 'score'}; expected a list"),
        ({**request(), "outputs": ["score"]}, "an output is 'score'; expected a JSON object"),
        ({**request(), "outputs": [{"name": "label"}]}, "there is no output 'label'; the model's only one is 'score'"),
    ],
)
def test_a_request_that_is_wrong(message: Any, words: str, mixed: Model) -> None:
    found = refused(message, mixed)
    assert (found.code, found.words[: len(words)]) == (400, words)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"NaN", b'{"inputs": [NaN]}', b"\xff\xfe", b"[" * 100_000, b'{"id": "\\ud800"}']
)
def test_a_body_that_is_no_json(body: bytes, mixed: Model) -> None:
    with pytest.raises(Refused, match="the body is not JSON") as caught:
        protocol.question(body, mixed)
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("change", "twice"),
    [
        ((b'"inputs"', b'"inputs": [], "inputs"'), "inputs"),
        ((b'"shape"', b'"shape":[9], "shape"'), "shape"),
        ((b'"shape"', b'"shape":[9], "sh\\u0061pe"'), "shape"),
        ((b'"inputs"', b'"parameters": {"a": {"b": 1, "b": "1"}}, "inputs"'), "b"),
    ],
)
@pytest.mark.parametrize("kind", ["x", 'a "word", and \\'])
def test_a_key_that_is_there_twice(change: tuple[bytes, bytes], twice: str, kind: str, mixed: Model) -> None:
    body = json.dumps(request(kind={"data": [kind, "é"]}), ensure_ascii=False).encode()
    assert protocol.question(body, mixed).columns["kind"].tolist() == [kind, "é"]
    with pytest.raises(Refused, match=f"the key '{twice}' is there twice in one object; send it once") as caught:
        protocol.question(body.replace(*change, 1), mixed)
    assert caught.value.code == 400


def test_a_key_among_very_many_is_found_at_once(mixed: Model) -> None:
    """Within the time that a request may take: to compare each key with each would take an hour."""
    keys = b",".join(b'"k%d":0' % number for number in range(100_000))
    body = b'{"parameters": {%s, "k99999": 0}, %s' % (keys, json.dumps(request()).encode()[1:])
    begun = time.process_time()
    with pytest.raises(Refused, match="the key 'k99999' is there twice"):
        protocol.question(body, mixed)
    assert time.process_time() - begun < 10


@pytest.mark.parametrize("depth", [100, 300, 900])
def test_parameters_may_be_nested(depth: int, mixed: Model) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    rest = json.dumps(request()).encode()[1:]
    assert protocol.question(b'{"parameters": %s, %s' % (deep, rest), mixed).rows == 2
    twice = b'{"parameters": {"a": %s, "b": 1, "b": 2}, %s' % (deep, rest)
    with pytest.raises(Refused, match="the key 'b' is there twice"):
        protocol.question(twice, mixed)


def test_an_empty_id_is_none(mixed: Model) -> None:
    assert len(ask({"id": "", **request()}, mixed).id) == 32


def test_what_a_refused_request_lacks_is_told_by_column(mixed: Model) -> None:
    message = request(single={"data": [None, None]}, wide={"data": [1, None]}, whole={"data": None})
    del message["inputs"][3]
    assert refused(message, mixed).missing == ["single", "wide", "whole", "kind"]
    assert refused({"inputs": 5}, mixed).missing == []


def test_more_rows_than_one_request_may_bring(mixed: Model) -> None:
    def of(rows: int) -> dict[str, Any]:
        return request(**{name: {"shape": [rows], "data": GOOD[name][1][:1] * rows} for name in GOOD})

    assert ask(of(protocol.MAX_ROWS), mixed).rows == protocol.MAX_ROWS
    found = refused(of(protocol.MAX_ROWS + 1), mixed)
    assert (found.code, found.words) == (
        413,
        "10,001 rows in one request; at most 10,000 are taken: send them in parts",
    )


def test_words_stay_short_whatever_was_sent(mixed: Model) -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    for value in ("y" * 10**6, [1] * 10**6, {str(key): key for key in range(10**5)}, deep):
        for change in ({"shape": value}, {"datatype": value}, {"data": [value, None]}, {"name": value}):
            assert len(refused(request(kind=change), mixed).words) < 300


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(protocol.INPUT_KEYS)), inner),
    max_leaves=6,
)


@given(name=st.sampled_from(sorted(GOOD)), key=st.sampled_from(sorted(protocol.INPUT_KEYS)), value=values)
def test_any_value_anywhere_is_taken_or_refused(name: str, key: str, value: Any, mixed: Model) -> None:
    with contextlib.suppress(Refused):
        assert mixed.score(ask(request(**{name: {key: value}}), mixed).columns).shape == (2,)


@given(body=st.binary(max_size=200))
def test_any_bytes_are_refused(body: bytes, mixed: Model) -> None:
    with pytest.raises(Refused):
        protocol.question(body, mixed)


def test_an_answer_names_what_gave_it(mixed: Model) -> None:
    asked = ask({"id": "seven", **request()}, mixed)
    scores = np.array([0.1, 1 / 3])
    assert orjson.loads(protocol.answer(RECORD, asked, scores)[0]) == {
        "model_name": "toy",
        "model_version": "0123456789ab",
        "id": "seven",
        "outputs": [{"name": "score", "shape": [2], "datatype": "FP64", "data": [0.1, 1 / 3]}],
    }


def test_a_request_without_an_id_gets_one_of_its_own(mixed: Model) -> None:
    given_ids = {ask(request(), mixed).id for _ in range(100)}
    assert len(given_ids) == 100
    assert "" not in given_ids
