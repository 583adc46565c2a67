"""Tensors as bytes are held to all that tensors in JSON are held to, and give the same columns."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.serve import protocol
from ml.serve.errors import Refused
from ml.serve.model import Model
from ml.serve.protocol import Question
from tests.unit.ml.serve import models
from tests.unit.ml.serve.test_protocol import RECORD

TEXTS = b"\x01\0\0\0x\x04\0\0\0\xf0\x9f\x98\x80"
GOOD: dict[str, tuple[str, bytes]] = {
    "single": ("FP32", np.array([1.5, -2], "<f4").tobytes()),
    "wide": ("FP64", np.array([0.25, 2], "<f8").tobytes()),
    "whole": ("INT64", np.array([3, -4], "<i8").tobytes()),
    "kind": ("BYTES", TEXTS),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load(models.pack(tmp_path_factory.mktemp("mixed"), models.mixed()))


def request(more: dict[str, Any] | None = None, end: bytes = b"", **changes: tuple[str, bytes]) -> tuple[bytes, int]:
    """A body of two rows, and how much of it is JSON."""
    sent = {**GOOD, **changes}
    inputs = [
        {"name": name, "shape": [2], "datatype": kind, "parameters": {"binary_data_size": len(raw)}}
        for name, (kind, raw) in sent.items()
    ]
    text = orjson.dumps({"inputs": inputs, **(more or {})})
    return text + b"".join(raw for _, raw in sent.values()) + end, len(text)


def ask(body: tuple[bytes, int], model: Model) -> Question:
    return protocol.question(body[0], model, body[1])


def test_columns_come_in_the_types_of_the_model(mixed: Model) -> None:
    asked = ask(request(), mixed)
    assert {name: column.tolist() for name, column in asked.columns.items()} == {
        "single": [1.5, -2],
        "wide": [0.25, 2],
        "whole": [3, -4],
        "kind": ["x", "😀"],
    }
    assert mixed.score(asked.columns).tolist() == [1.5 + 0.25 + 3 - 1, -2 + 2 - 4]


@pytest.mark.parametrize(
    ("name", "datatype", "dtype"),
    [
        ("wide", f"{kind}{bits}", f"<{kind[0].lower()}{bits // 8}")
        for kind in ("INT", "UINT")
        for bits in (8, 16, 32, 64)
    ]
    + [("wide", f"FP{bits}", f"<f{bits // 8}") for bits in (16, 32, 64)]
    + [("whole", "BOOL", "u1"), ("whole", "UINT64", "<u8"), ("single", "FP64", "<f8")],
)
def test_each_datatype(name: str, datatype: str, dtype: str, mixed: Model) -> None:
    raw = np.array([0, 1], dtype).tobytes()
    assert ask(request(None, b"", **{name: (datatype, raw)}), mixed).columns[name].tolist() == [0, 1]


def test_some_inputs_may_come_as_json(mixed: Model) -> None:
    body, header = request()
    message = orjson.loads(body[:header])
    del message["inputs"][0]["parameters"]
    message["inputs"][0]["data"] = [1.5, -2]
    text = orjson.dumps(message)
    assert ask((text + body[header + 8 :], len(text)), mixed).columns["single"].tolist() == [1.5, -2]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (request(single=("FP32", b"12345")), "'single' has 5 bytes; 2 of FP32 are 8"),
        (
            request(single=("FP32", np.array([1, np.nan], "<f4").tobytes())),
            "row 1 of 'single' (FP32) is NaN: every row needs a value",
        ),
        (request(single=("FP32", np.array([1, np.inf], "<f4").tobytes())), "row 1 of 'single' is inf, too large for"),
        (
            request(single=("FP64", np.array([1, 1e39], "<f8").tobytes())),
            "row 1 of 'single' is 1e+39, too large for",
        ),
        (
            request(whole=("UINT64", np.array([2**63, 1], "<u8").tobytes())),
            f"row 0 of 'whole' is {2**63}, too large for INT64",
        ),
        (request(whole=("BOOL", b"\1\2")), "row 1 of 'whole' (BOOL) is the byte 2; expected 0 or 1"),
        (request(whole=("FP64", bytes(16))), "'whole' is sent as 'FP64'; the model takes BOOL, "),
        (request(kind=("BYTES", TEXTS[:-1])), "row 1 of 'kind' goes beyond its 12 bytes"),
        (request(kind=("BYTES", TEXTS[:7])), "row 1 of 'kind' goes beyond its 7 bytes"),
        (request(kind=("BYTES", TEXTS + b"12")), "'kind' has 2 bytes more than its 2 rows"),
        (request(kind=("BYTES", b"\1\0\0\0\xff\0\0\0\0")), "row 0 of 'kind' is not UTF-8 (invalid start byte)"),
        (request(end=b"123"), "3 bytes at the end of the body are no input's"),
        ((request()[0][:-1], request()[1]), "'kind' is to be 13 bytes, but only 12 are left in the body"),
        ((request()[0], 10**6), "inference-header-content-length is 1,000,000, but the body has "),
        ((request()[0], 5), "the body is not JSON"),
        ((request()[0], 0), "the body is not JSON"),
        (request({"parameters": {"binary_data_output": 1}}), "'binary_data_output' is 1; expected true or false"),
        (
            request({"outputs": [{"name": "score", "parameters": {"binary_data": "yes"}}]}),
            "'binary_data' is 'yes'; expected true or false",
        ),
    ],
)
def test_what_is_wrong(body: tuple[bytes, int], words: str, mixed: Model) -> None:
    with pytest.raises(Refused) as caught:
        ask(body, mixed)
    assert (caught.value.code, caught.value.words[: len(words)]) == (400, words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parameters": {"binary_data_size": -1}}, "'binary_data_size' of 'single' is -1; expected a number of bytes"),
        ({"parameters": {"binary_data_size": True}}, "'binary_data_size' of 'single' is True; expected a number"),
        ({"data": [1, 2]}, "'single' has both 'data' and a 'binary_data_size'; send its values once"),
    ],
)
def test_an_input_that_is_wrong(change: dict[str, Any], words: str, mixed: Model) -> None:
    body, header = request()
    message = orjson.loads(body[:header])
    message["inputs"][0] |= change
    text = orjson.dumps(message)
    with pytest.raises(Refused) as caught:
        ask((text + body[header:], len(text)), mixed)
    assert caught.value.words[: len(words)] == words


def test_bytes_without_the_header(mixed: Model) -> None:
    body, header = request()
    with pytest.raises(Refused, match="'single' has a 'binary_data_size', but the request has no header inference-"):
        protocol.question(body[:header], mixed)


def test_nan_counts_as_missing(mixed: Model) -> None:
    body = request(wide=("FP64", np.array([np.nan, np.nan], "<f8").tobytes()))
    with pytest.raises(Refused) as caught:
        ask(body, mixed)
    assert caught.value.missing == ["wide"]


@pytest.mark.parametrize(
    ("more", "as_bytes"),
    [
        ({}, False),
        ({"parameters": {"binary_data_output": True}}, True),
        ({"outputs": [{"name": "score", "parameters": {"binary_data": True}}]}, True),
        ({"parameters": {"binary_data_output": True}, "outputs": [{"name": "score"}]}, True),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "score", "parameters": {"binary_data": False}}],
            },
            False,
        ),
    ],
)
def test_scores_come_as_bytes_where_they_are_asked_for_so(more: dict[str, Any], as_bytes: bool, mixed: Model) -> None:
    asked = ask(request(more), mixed)
    scores = np.array([0.1, 1 / 3])
    content, header = protocol.answer(RECORD, asked, scores)
    assert (header is not None) == as_bytes
    if header is not None:
        output = orjson.loads(content[:header])["outputs"][0]
        assert output == {"name": "score", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
        assert np.frombuffer(content[header:], "<f8").tolist() == [0.1, 1 / 3]


@given(at=st.integers(0, 600), byte=st.integers(0, 255), header=st.integers(0, 600))
def test_any_byte_anywhere_is_taken_or_refused(at: int, byte: int, header: int, mixed: Model) -> None:
    body, length = request()
    changed = bytearray(body)
    changed[at % len(body)] = byte
    for end in (length, header):
        with contextlib.suppress(Refused):
            assert mixed.score(ask((bytes(changed), end), mixed).columns).shape == (2,)
