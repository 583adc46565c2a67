"""An exported model's scores, by ONNX Runtime alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import polars as pl

from ml.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

OUTPUT = "score"
TYPES = {"tensor(float)": pl.Float32, "tensor(int64)": pl.Int64, "tensor(string)": pl.String}  # others are Float64


class Scorer:
    """An ONNX model in ONNX Runtime on the CPU, one thread within an operator.

    Inputs are one tensor [n, 1] per column, named as the column, or a float32 matrix [n, columns] whose column names
    are JSON in the model's metadata under the input's name.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no public base
            reason = str(error).strip().splitlines()[0]
            raise StageError(f"{name} is not a usable ONNX model ({reason}); train it again", file=name) from error
        metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        self._inputs = [(each.name, each.type, each.shape) for each in self._session.get_inputs()]
        self._columns = {name: _columns(metadata.get(name), name) for name, _, _ in self._inputs}
        outputs = [output.name for output in self._session.get_outputs()]
        self._output = OUTPUT if OUTPUT in outputs else outputs[0]

    @classmethod
    def of(cls, path: Path) -> Scorer:
        """The model in a file. Raises StageError when it is missing or no ONNX model."""
        try:
            return cls(path.read_bytes(), str(path))
        except FileNotFoundError as error:
            raise StageError(f"{path} is missing; run the stage train first: dvc repro", file=path) from error

    def feeds(self, rows: pl.DataFrame) -> dict[str, NDArray[Any]]:
        """The model's inputs for these rows. Raises StageError when a column it needs is not among them."""
        self._require_columns(rows)
        return {name: _tensor(rows, self._columns[name], kind) for name, kind, _ in self._inputs}

    def taken(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The columns that go into the model, in the types of its inputs. Raises StageError when one is missing."""
        self._require_columns(rows)
        return rows.select(
            pl.col(column).cast(TYPES.get(kind, pl.Float64))
            for name, kind, _ in self._inputs
            for column in self._columns[name]
        )

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Scores [n] of prepared inputs."""
        return np.asarray(self._session.run([self._output], feeds)[0], dtype=np.float64).reshape(-1)

    def score(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """Scores [n] of a table. Raises StageError when a column is missing or the scores are not one per row."""
        scores = self.run(self.feeds(rows))
        if scores.size != rows.height:
            words = f"{self.name} gave {scores.size} scores for {rows.height} rows; its output must be [n] or [n, 1]"
            raise StageError(words, file=self.name)
        return scores

    def single(self, rows: pl.DataFrame) -> Callable[[int], object]:
        """A function that scores row i (modulo their number) alone, its inputs already made."""
        feeds = self.feeds(rows)
        each = [{name: tensor[i : i + 1] for name, tensor in feeds.items()} for i in range(rows.height)]
        return lambda i: self._session.run([self._output], each[i % len(each)])

    def _require_columns(self, rows: pl.DataFrame) -> None:
        missing = sorted({name for names in self._columns.values() for name in names} - set(rows.columns))
        if missing:
            raise StageError(
                f"{self.name} needs the column '{missing[0]}', which the rows lack; they have "
                f"{', '.join(rows.columns)}; prepare the rows with this model's features",
                file=self.name,
            )


def _columns(metadata: str | None, name: str) -> list[str]:
    return [name] if metadata is None else [str(column) for column in json.loads(metadata)]


def _tensor(rows: pl.DataFrame, columns: Sequence[str], kind: str) -> NDArray[Any]:
    table = rows.select(columns)
    if kind == "tensor(string)":
        return table.to_numpy().astype(object)
    return table.to_numpy().astype({"tensor(float)": np.float32, "tensor(int64)": np.int64}.get(kind, np.float64))
