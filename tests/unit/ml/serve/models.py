"""Small ONNX models whose scores can be worked out by hand, packed as an image holds them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from onnx import helper, parser

if TYPE_CHECKING:
    from pathlib import Path


MATRIX = """
<ir_version: 10, opset_import: ["" : 21]>
matrix (float[n, 3] features) => (float[n, 1] score) {
    axis = Constant <value_ints = [1]> ()
    score = ReduceSum (features, axis)
}
"""
MIXED = """
<ir_version: 10, opset_import: ["" : 21]>
mixed (float[n, 1] single, double[n, 1] wide, int64[n, 1] whole, string[n, 1] kind) => (double[n, 1] score) {
    a = Cast <to = 11> (single)
    c = Cast <to = 11> (whole)
    x = Constant <value_string = "x"> ()
    is_x = Equal (kind, x)
    d = Cast <to = 11> (is_x)
    ab = Add (a, wide)
    cd = Sub (c, d)
    score = Add (ab, cd)
}
"""
# As many rounds of work as the greatest number asks for: a request says itself how long it takes.
SLOW = """
<ir_version: 10, opset_import: ["" : 21]>
slow (int64[n, 1] rounds) => (double[n, 1] score) {
    size = Constant <value_ints = [256, 256]> ()
    start = ConstantOfShape <value: tensor = float[1] {0.00390625}> (size)
    trips = ReduceMax <keepdims = 0> (rounds)
    go = Constant <value: tensor = bool {1}> ()
    end = Loop (trips, go, start) <
        body = round (int64 i, bool on, float[256, 256] x) => (bool still, float[256, 256] y) {
            still = Identity (on)
            y = MatMul (x, x)
        }
    >
    total = ReduceMax <keepdims = 0> (end)
    none = Sub (total, total)
    wide = Cast <to = 11> (none)
    count = Cast <to = 11> (rounds)
    score = Add (count, wide)
}
"""
SHARED = """
<ir_version: 10, opset_import: ["" : 21]>
shared (float[n, 2] wide, float[n, 2] deep) => (float[n, 1] score) {
    axis = Constant <value_ints = [1]> ()
    hundred = Constant <value = float[1] {100}> ()
    wide_sum = ReduceSum (wide, axis)
    deep_sum = ReduceSum (deep, axis)
    hundreds = Mul (deep_sum, hundred)
    score = Add (wide_sum, hundreds)
}
"""
COLUMNS = ("a", "b", "c")


def matrix(text: str = MATRIX) -> bytes:
    """The sum of three columns, which the model takes as one matrix."""
    return of(text, features=json.dumps(COLUMNS))


def mixed() -> bytes:
    """Single + wide + whole, less 1 where kind is x; one input per column, each of another type."""
    return of(MIXED)


def shared() -> bytes:
    """A + b + 100 (b + c): two inputs take b."""
    return of(SHARED, wide=json.dumps(COLUMNS[:2]), deep=json.dumps(COLUMNS[1:]))


def slow() -> bytes:
    """Its score is its input `rounds`; the greater, the longer it takes."""
    return of(SLOW)


def pack(folder: Path, content: bytes, name: str = "toy", **changes: Any) -> Path:
    """A folder with model and record, as the image command leaves it; `changes` to the record."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    found = hashlib.md5(content).hexdigest()
    lineage = {"model": name, "commit": "c" * 40, "lock_hash": "d" * 64, "model_hash": found}
    record = {"schema_version": 1, "model": name, "task": "binary", "model_hash": found, "lineage": lineage}
    (folder / "serving.json").write_text(json.dumps(record | changes))
    return folder


def of(text: str, **metadata: str) -> bytes:
    """The model that a text describes."""
    model = parser.parse_model(text)
    helper.set_model_props(model, metadata)
    content: bytes = model.SerializeToString()
    return content
