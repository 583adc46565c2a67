"""A trained model as MLflow keeps one: the very bytes of model.onnx, with their signature and an example of input."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    from onnxruntime import InferenceSession

EXAMPLE_ROWS = 3
RUNTIME = ("numpy", "onnxruntime")
"""What a prediction needs, at the versions that training was pinned to."""
TENSORS = {
    "tensor(string)": "object",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
}


def write(artifact: Path, rows: Path, constraints: Path, into: Path) -> None:
    """Write an MLflow model to the folder `into`, which must not exist; `rows` is a table with the model's inputs.

    Raises ConfigurationError when the model cannot be run on those rows.
    """
    import onnx  # noqa: PLC0415 - as much as MLflow itself, only where a model is packed
    import onnxruntime  # noqa: PLC0415 - as above
    import polars as pl  # noqa: PLC0415 - as above
    from mlflow import onnx as flavor  # noqa: PLC0415 - as above
    from mlflow.models import ModelSignature  # noqa: PLC0415 - as above

    content = artifact.read_bytes()
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        example = feeds(session, pl.read_parquet(rows, n_rows=EXAMPLE_ROWS))
        session.run(None, example)
    except Exception as error:  # ONNX Runtime's and polars' exceptions share no base
        said = str(error).strip().partition("\n")[0]
        raise ConfigurationError(
            f"{artifact} cannot score the rows of {rows} ({said}); train it again.", file=artifact
        ) from error
    flavor.save_model(
        onnx.load_from_string(content),
        into,
        signature=ModelSignature(inputs=_schema(session.get_inputs()), outputs=_schema(session.get_outputs())),
        input_example=example,
        pip_requirements=requirements(constraints.read_text()),
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    shutil.copyfile(artifact, into / "model.onnx")  # not what another protobuf library makes of it


def feeds(session: InferenceSession, rows: pl.DataFrame) -> dict[str, Any]:
    """The model's inputs by name: a matrix of the columns that its metadata names, or one column [n, 1]."""
    named = session.get_modelmeta().custom_metadata_map
    inputs = {}
    for each in session.get_inputs():
        columns = json.loads(named[each.name]) if each.name in named else [each.name]
        inputs[each.name] = rows.select(columns).to_numpy().astype(TENSORS[each.type])
    return inputs


def requirements(constraints: str) -> list[str]:
    """The lines of constraints.txt that a prediction needs."""
    wanted = re.compile(rf"({'|'.join(RUNTIME)})==\S+", re.IGNORECASE)
    return [line for line in constraints.splitlines() if wanted.fullmatch(line.strip())]


def _schema(tensors: list[Any]) -> Any:
    import numpy as np  # noqa: PLC0415 - as above
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415 - as above

    return Schema(
        [
            TensorSpec(
                np.dtype(TENSORS[each.type]), [size if isinstance(size, int) else -1 for size in each.shape], each.name
            )
            for each in tensors
        ]
    )
