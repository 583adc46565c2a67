"""ONNX files as Trunkline keeps them: nothing of the machine inside, and told apart by part."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import onnx
from onnx import helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def clean(content: bytes, columns: Mapping[str, Sequence[str]]) -> bytes:
    """The model's bytes without stack traces and paths, with the columns of each matrix input as metadata."""
    model = onnx.load_from_string(content)
    del model.metadata_props[:]
    model.doc_string = ""
    for part in (model.graph, *model.functions):
        del part.metadata_props[:]
        part.doc_string = ""
        for item in part.node:
            del item.metadata_props[:]
            item.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    opsets = sorted(model.opset_import, key=lambda opset: opset.domain)  # skl2onnx: in the order of a set of strings
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    helper.set_model_props(model, {name: json.dumps(list(names)) for name, names in sorted(columns.items())})
    cleaned: bytes = model.SerializeToString(deterministic=True)
    return cleaned


def differences(one: bytes, two: bytes) -> list[str]:
    """What differs between two models, by name; empty when the bytes are the same."""
    if one == two:
        return []
    parts = [_parts(onnx.load_from_string(content)) for content in (one, two)]
    names = sorted(set(parts[0]) | set(parts[1]))
    found = [name for name in names if parts[0].get(name) != parts[1].get(name)]
    shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    return [f"model bytes differ in {shown or 'metadata'}"]


def _parts(model: onnx.ModelProto) -> dict[str, bytes]:
    tensors = {f"weights {tensor.name}": tensor.SerializeToString() for tensor in model.graph.initializer}
    nodes = {
        f"{attribute.name} of {node.op_type} {node.name}".rstrip(): attribute.SerializeToString()
        for node in model.graph.node
        for attribute in node.attribute
    }
    return tensors | nodes
