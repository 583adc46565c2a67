"""The server's own description, OpenAPI 3.1: what it takes, what it answers, with which codes."""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, Any

from ml.serve import protocol
from ml.serve.binary import HEADER
from ml.serve.model import OUTPUT
from ml.serve.tensors import NUMBERS, TAKEN
from ml.serve.web import BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ml.serve.matrix import Matrices
    from ml.serve.model import Column, Record

Schema = dict[str, Any]
REFUSALS = {
    400: "The request is wrong; the error says where.",
    404: "This server has no such model.",
    408: "The body did not come in time.",
    413: "Too many rows or bytes for one request.",
    415: "The body is of another type, or compressed.",
    422: "A score is not finite.",
    503: "Too many requests are waiting; try again.",
}

_HEADER = {
    "name": HEADER,
    "in": "header",
    "description": "How many bytes of the body are JSON; after it come tensors as bytes.",
    "schema": {"type": "integer", "minimum": 1},
}


def description(record: Record, columns: Iterable[Column], matrices: Matrices) -> Schema:
    """The OpenAPI document of a server of this model."""
    model = f"/v2/models/{record.model}"
    ready = {200: _answer("Ready.", "Ready"), 503: _answer("Going away; send requests elsewhere.", "Ready")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{record.model}: Open Inference Protocol, version 2",
            "version": record.version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/v2": _get("Server", {200: _answer("What this server is.", "Server")}),
            "/v2/health/live": _get("Live", {200: _answer("The process answers.", "Live")}),
            "/v2/health/ready": _get("ServerReady", ready),
            **_of_model(model, "", ready),
            **_of_model(f"{model}/versions/{record.version}", "Version", ready),
            "/metrics": _get("Metrics", {200: {"description": "For Prometheus.", "content": {"text/plain": {}}}}),
            "/openapi.json": _get("Description", {200: _answer("This document.", "Description")}),
        },
        "components": {"schemas": _schemas(record, list(columns), matrices)},
    }


def _get(name: str, responses: Mapping[int, Schema]) -> Schema:
    return {"get": {"operationId": f"get{name}", "responses": {str(code): each for code, each in responses.items()}}}


def _of_model(path: str, name: str, ready: Mapping[int, Schema]) -> Schema:
    return {
        path: _get(f"Model{name}", {200: _answer("The model's tensors and lineage.", "Model")}),
        f"{path}/ready": _get(f"Model{name}Ready", ready),
        f"{path}/infer": {"post": _infer(f"infer{name}")},
    }


def _infer(name: str) -> Schema:
    responses = {200: _answer("One score per row.", "Answer")}
    responses[200]["content"][BYTES] = {}
    responses |= {code: _answer(words, "Error") for code, words in REFUSALS.items()}
    responses[503]["headers"] = {"retry-after": {"schema": {"type": "string"}}}
    return {
        "operationId": name,
        "parameters": [_HEADER],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("Question")}, BYTES: {}}},
        "responses": {str(code): each for code, each in responses.items()},
    }


def _answer(words: str, schema: str) -> Schema:
    return {"description": words, "content": {"application/json": {"schema": _ref(schema)}}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas(record: Record, columns: list[Column], matrices: Matrices) -> Schema:
    text, parameters = {"type": "string"}, {"type": ["object", "null"]}
    score = {"type": "string", "enum": [OUTPUT]}
    tensor = _object(name=text, datatype=text, shape=_list({"type": "integer"}))
    return {
        "Server": _object(name=text, version=text, extensions=_list(text)),
        "Live": _object(live={"type": "boolean"}),
        "Ready": _object(("name",), name=text, ready={"type": "boolean"}),
        "Model": _object(
            name=text,
            versions=_list(text),
            platform=text,
            inputs=_list(tensor),
            outputs=_list(tensor),
            parameters={"type": "object", "additionalProperties": text},
        ),
        "Question": _object(
            ("model_name", "model_version", "id", "parameters", "outputs"),
            model_name={"enum": [record.model, None]},
            model_version={"enum": [record.version, None]},
            id={"type": ["string", "null"], "maxLength": protocol.MAX_ID},
            parameters=parameters,
            inputs={
                "type": "array",
                "description": "One tensor per feature, each once, all with the same number of rows; features that the "
                "model takes as a matrix may come as one tensor.",
                "items": {"oneOf": [*map(_tensor, columns), *starmap(_matrix, matrices.items())]},
                "minItems": len(columns) - sum(len(names) - 1 for names in matrices.values()),
                "maxItems": len(columns),
            },
            outputs=_list(_object(("parameters",), name=score, parameters=parameters)) | {"type": ["array", "null"]},
        ),
        "Answer": _object(
            model_name=text,
            model_version=text,
            id=text,
            outputs=_list(
                _object(
                    name=score,
                    shape=_list({"type": "integer", "minimum": 1}),
                    datatype={"const": "FP64"},
                    data=_list({"type": "number"}),
                )
            ),
        ),
        "Error": _object(error=text),
        "Description": {"type": "object"},
    }


def _tensor(column: Column) -> Schema:
    value = {"type": "string"} if column.datatype == "BYTES" else {"type": ["number", "boolean"]}
    one = {"type": "array", "items": value, "minItems": 1, "maxItems": 1}
    size = {"type": "integer", "minimum": 1, "maximum": protocol.MAX_ROWS}
    return _object(
        ("parameters",),
        name={"const": column.name},
        shape={"type": "array", "prefixItems": [size, {"const": 1}], "items": False, "minItems": 1},
        datatype={"enum": sorted(TAKEN[column.datatype])},
        parameters={"type": ["object", "null"]},
        data={"anyOf": [_list(value), _list(one)]},
    )


def _matrix(name: str, columns: Sequence[str]) -> Schema:
    value = {"type": ["number", "boolean"]}
    size = {"type": "integer", "minimum": 1, "maximum": protocol.MAX_ROWS}
    row = _list(value) | {"minItems": len(columns), "maxItems": len(columns)}
    return _object(
        ("parameters",),
        name={"const": name},
        shape={"type": "array", "prefixItems": [size, {"const": len(columns)}], "items": False, "minItems": 2},
        datatype={"enum": sorted(NUMBERS)},
        parameters={"type": ["object", "null"]},
        data={"anyOf": [_list(value), _list(row)]},
    )


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(optional: Iterable[str] = (), /, **properties: Schema) -> Schema:
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
