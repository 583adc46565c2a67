"""The protocol's messages, as functions on bytes: request → columns, scores → answer. No transport, no model."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import orjson

from ml.serve import binary, matrix, tensors
from ml.serve.errors import Refused, shown
from ml.serve.model import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ml.serve.matrix import Matrices
    from ml.serve.model import Column, Columns, Model, Record

MAX_ROWS = 10_000
MAX_ID = 128
KEYS = frozenset({"model_name", "model_version", "id", "parameters", "inputs", "outputs"})
INPUT_KEYS = frozenset({"name", "shape", "datatype", "parameters", "data"})
OUTPUT_KEYS = frozenset({"name", "parameters"})


@dataclass(slots=True)
class Question:
    """A request for scores, checked: arrays [rows] by column, of the columns' own dtypes."""

    id: str
    rows: int
    columns: Columns
    as_bytes: bool = False
    """Whether the scores are to come as bytes."""


def question(
    body: bytes | bytearray,
    model: Model,
    header: int | None = None,
) -> Question:
    """What a request's body asks of a model; its first `header` bytes are JSON, or all. Raises Refused.

    400 when it is wrong anywhere, 413 when it has too many rows. An optional field that is null is as good as absent:
    clients write out the fields that they have no value for.
    """
    if header is not None and header > len(body):
        raise Refused(400, f"{binary.HEADER} is {header:,}, but the body has {len(body):,} bytes")
    text, raw = (body, None) if header is None else (body[:header], memoryview(body)[header:])
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON ({error})") from error
    try:
        return _understood(text, raw, found, model)
    except Refused as refused:
        if not refused.missing and isinstance(found, dict):
            refused.missing = _missing(found.get("inputs"), model.columns, model.matrices)
        raise


def _understood(
    text: bytes | bytearray,
    raw: memoryview | None,
    found: Any,
    model: Model,
) -> Question:
    wanted, matrices = model.columns, model.matrices
    _require_object(found, KEYS, "the request")
    _require_served(found, model.record)
    _require_outputs(found.get("outputs"))
    inputs = found.get("inputs")
    if not isinstance(inputs, list):
        raise Refused(400, f"'inputs' is {shown(inputs)}; expected a list of one tensor per feature")
    known = frozenset((*wanted, *matrices))
    for each in inputs:
        _require_input(each, known)
    laid_out, parts = matrix.split(inputs, binary.parts(inputs, raw), matrices)
    named = _by_name(laid_out, wanted)
    rows = _rows(named)
    columns = {
        name: binary.column(column, named[name].get("datatype"), parts[name], rows)
        if name in parts
        else tensors.column(column, named[name].get("datatype"), named[name].get("data"), rows)
        for name, column in wanted.items()
    }
    texts = sum(rows for name, column in wanted.items() if column.datatype == "BYTES" and name not in parts)
    _require_once(
        text, {**found, "inputs": [{**each, "data": None} if "data" in each else each for each in inputs]}, texts
    )
    return Question(_id(found), rows, model.columned(columns), binary.wants(found))


def _require_once(text: bytes | bytearray, found: object, more: int) -> None:
    """Raise Refused (400) where an object has a key twice: one of the two values would be the one that counts.

    Without escapes, each text of the JSON is two quotation marks, and one that was lost on the way shows in their
    number: `found`'s, and two for each of `more` texts. With escapes, Python's own parser tells.
    """
    with contextlib.suppress(orjson.JSONEncodeError):  # it reads what is nested deeper than it writes
        if b"\\" not in text and text.count(b'"') == orjson.dumps(found).count(b'"') + 2 * more:
            return
    try:
        json.loads(text, object_pairs_hook=_once, parse_int=len, parse_float=len)
    except RecursionError as error:
        raise Refused(400, "the body is nested too deeply") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise Refused(400, f"the key {shown(twice)} is there twice in one object; send it once")
    return found


def new_id() -> str:
    """An id for a request that brought none."""
    return os.urandom(16).hex()


def answer(record: Record, asked: Question, scores: NDArray[np.float64]) -> tuple[bytes, int | None]:
    """The body of an answer with scores [n], and how many of its bytes are JSON; None where all are."""
    output: dict[str, Any] = {"name": OUTPUT, "shape": [asked.rows], "datatype": "FP64"}
    message = {"model_name": record.model, "model_version": record.version, "id": asked.id, "outputs": [output]}
    if not asked.as_bytes:
        output["data"] = scores
        return orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY), None
    raw = scores.astype("<f8").tobytes()
    output["parameters"] = {binary.SIZE: len(raw)}
    text = orjson.dumps(message)
    return text + raw, len(text)


def metadata(record: Record, columns: Iterable[Column], matrices: Matrices) -> dict[str, Any]:
    """What the protocol tells of a model: its tensors, and beside them its lineage and what may come as a matrix."""
    return {
        "name": record.model,
        "versions": [record.version],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": each.name, "datatype": each.datatype, "shape": [-1]} for each in columns],
        "outputs": [{"name": OUTPUT, "datatype": "FP64", "shape": [-1]}],
        "parameters": {
            "model_hash": record.model_hash,
            **record.lineage,
            **{f"columns of {name}": orjson.dumps(names).decode() for name, names in matrices.items()},
        },
    }


def _require_object(found: object, known: frozenset[str], what: str) -> None:
    if not isinstance(found, dict):
        raise Refused(400, f"{what} is {shown(found)}; expected a JSON object")
    unknown = found.keys() - known
    if unknown:
        raise Refused(400, f"{what} has the key {shown(min(unknown))}; {_nearest(min(unknown), known)}")
    parameters = found.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise Refused(400, f"'parameters' of {what} is {shown(parameters)}; expected a JSON object, or nothing")


def _require_served(found: Mapping[str, Any], record: Record) -> None:
    """A body may say again which model it is for, as KServe's client does; then it has to be this one."""
    for key, served in (("model_name", record.model), ("model_version", record.version)):
        asked = found.get(key)
        if asked is not None and asked != served:
            raise Refused(400, f"'{key}' is {shown(asked)}; this server has '{served}'")


def _require_outputs(found: object) -> None:
    if found is None:
        return
    if not isinstance(found, list):
        raise Refused(400, f"'outputs' is {shown(found)}; expected a list, or nothing")
    for each in found:
        _require_object(each, OUTPUT_KEYS, "an output")
        if each.get("name") != OUTPUT:
            raise Refused(400, f"there is no output {shown(each.get('name'))}; the model's only one is '{OUTPUT}'")


def _id(found: Mapping[str, Any]) -> str:
    given = found.get("id")
    if given is None or given == "":
        return new_id()
    if not isinstance(given, str) or len(given) > MAX_ID:
        raise Refused(400, f"'id' is {shown(given)}; expected text of at most {MAX_ID} characters")
    return given


def _require_input(found: object, known: frozenset[str]) -> None:
    _require_object(found, INPUT_KEYS, "an input")
    name = found["name"] if isinstance(found, dict) and "name" in found else None
    if not isinstance(name, str) or name not in known:
        hint = _nearest(name, known) if isinstance(name, str) else "expected the name of a feature"
        raise Refused(400, f"the model has no input {shown(name)}; {hint}")


def _missing(inputs: object, wanted: Iterable[str], matrices: Matrices) -> list[str]:
    """The columns of which a refused request lacks a value; none where a matrix is too wrong to tell."""
    if not isinstance(inputs, list):
        return []
    try:
        return tensors.missing(matrix.split(inputs, {}, matrices)[0], wanted)
    except Refused:
        return []


def _by_name(inputs: list[dict[str, Any]], wanted: Mapping[str, Column]) -> dict[str, dict[str, Any]]:
    """Tensors by name: each column's, once."""
    named: dict[str, dict[str, Any]] = {}
    for each in inputs:
        name: str = each["name"]
        if name in named:
            raise Refused(400, f"'{name}' is among the inputs twice; send each feature once")
        named[name] = each
    missing = [name for name in wanted if name not in named]
    if missing:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise Refused(400, f"the input '{missing[0]}'{more} is missing; send every feature of the model")
    return named


def _rows(named: Mapping[str, Mapping[str, Any]]) -> int:
    sizes = {name: tensors.rows_of(name, each.get("shape")) for name, each in named.items()}
    first, rows = next(iter(sizes.items()))
    for name, size in sizes.items():
        if size != rows:
            raise Refused(400, f"'{name}' has {size:,} rows, but '{first}' has {rows:,}; all need the same number")
    if rows > MAX_ROWS:
        raise Refused(413, f"{rows:,} rows in one request; at most {MAX_ROWS:,} are taken: send them in parts")
    return rows


def _nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the nearest known word, or all of them when none is near."""
    near = get_close_matches(word[:100], known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(sorted(known))}"
