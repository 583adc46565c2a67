"""The door to a model's ONNX file: which columns it takes, and its scores, by ONNX Runtime."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    import polars as pl
    from onnxruntime import InferenceSession

    from ci.core.statistics.rows import Floats

OUTPUT = "score"
ENCODERS, CATEGORIES = ("OneHotEncoder", "LabelEncoder"), ("cats_strings", "keys_strings")
ROWS = 20_000  # that are scored at a time


class OnnxModel:
    """A model by its bytes; `name` is what it is called where it is of no use."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content, self._name = content, name

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The features that it takes. Raises ConfigurationError where the bytes are no ONNX model."""
        named = self._session.get_modelmeta().custom_metadata_map
        inputs = [str(each.name) for each in self._session.get_inputs()]
        return tuple(
            str(column) for each in inputs for column in (json.loads(named[each]) if each in named else [each])
        )

    @cached_property
    def categories(self) -> dict[str, list[str]]:
        """The texts that it was trained on, by column, as far as its graph says: of columns that it encodes itself.

        Raises ConfigurationError where the bytes are no ONNX model.
        """
        import onnx  # noqa: PLC0415 - as above

        try:
            graph = onnx.load_from_string(self._content).graph
        except Exception as error:  # protobuf's exceptions are not part of its interface
            raise ConfigurationError(f"{self._name} is no ONNX model: {_first_line(error)}.") from error
        texts = {
            node.input[0]: [
                text.decode() for each in node.attribute if each.name in CATEGORIES for text in each.strings
            ]
            for node in graph.node
            if node.op_type in ENCODERS
        }
        return {each.name: sorted(texts[each.name]) for each in graph.input if texts.get(each.name)}

    def score(self, rows: pl.DataFrame) -> Floats:
        """Scores [n] of rows that have all its columns. Raises ConfigurationError where it cannot score them."""
        from ci.adapters import mlflow_model  # noqa: PLC0415 - with polars

        outputs = [each.name for each in self._session.get_outputs()]
        output = OUTPUT if OUTPUT in outputs else outputs[0]
        try:
            scores = [
                np.asarray(self._session.run([output], mlflow_model.feeds(self._session, part))[0], dtype=np.float64)
                for part in rows.iter_slices(ROWS)
            ]
        except Exception as error:  # ONNX Runtime's and polars' exceptions share no base
            raise ConfigurationError(f"{self._name} cannot score these rows: {_first_line(error)}.") from error
        return np.concatenate([part.reshape(-1) for part in scores])

    @cached_property
    def _session(self) -> InferenceSession:
        import onnxruntime  # noqa: PLC0415 - a quarter of a second, only where a model is opened

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(self._content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no public base
            raise ConfigurationError(f"{self._name} is no ONNX model: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
