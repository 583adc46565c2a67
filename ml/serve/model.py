"""The model that is served: the bytes its record names, open in ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from ml.serve.errors import CannotStart, shown

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Tensors = Mapping[str, NDArray[Any]]
    """By the name of an input of the ONNX model: arrays [n, columns]."""

RECORD, MODEL = "serving.json", "model.onnx"
OUTPUT = "score"
REPACK = "pack the model again: trunkline image"
# ONNX Runtime's name of an element type: the protocol's, and numpy's
TYPES: dict[str, tuple[str, type]] = {
    "tensor(float)": ("FP32", np.float32),
    "tensor(double)": ("FP64", np.float64),
    "tensor(int64)": ("INT64", np.int64),
    "tensor(string)": ("BYTES", np.object_),
}


@dataclass(frozen=True)
class Record:
    """`serving.json`: what the packer says of the model beside it."""

    model: str
    model_hash: str
    lineage: Mapping[str, str]
    categories: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The texts that the model was trained on, of those columns of which the packer knew."""
    sensitive: Mapping[str, str] = field(default_factory=dict)
    """What the inference log does with a feature that it must not show: `hash` or `drop`."""

    @property
    def version(self) -> str:
        """What answers and metrics call this version: as much of the model's hash as people read."""
        return self.model_hash[:12]

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record in a file. Raises CannotStart when it is missing or not whole."""
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise CannotStart(f"{path} is missing; set MODEL_DIR to the folder that holds it, or {REPACK}") from error
        except (OSError, ValueError) as error:
            raise CannotStart(f"{path} cannot be read as JSON ({error}); {REPACK}") from error
        if not isinstance(found, dict) or found.get("schema_version") != 1:
            raise CannotStart(f"{path} is no serving record of schema_version 1; {REPACK}")
        for name, kind in (("model", str), ("model_hash", str), ("lineage", dict)):
            if not isinstance(found.get(name), kind):
                raise CannotStart(f"{path}: '{name}' is {shown(found.get(name))}, not a {kind.__name__}; {REPACK}")
        known, sensitive = found.get("categories", {}), found.get("sensitive", {})
        if not isinstance(known, dict) or not all(isinstance(texts, list) for texts in known.values()):
            raise CannotStart(f"{path}: 'categories' is {shown(known)}, not lists of texts by column; {REPACK}")
        if not isinstance(sensitive, dict) or not {"hash", "drop"}.issuperset(map(str, sensitive.values())):
            raise CannotStart(f"{path}: 'sensitive' is {shown(sensitive)}; expected hash or drop by column; {REPACK}")
        return cls(
            found["model"],
            found["model_hash"],
            {key: str(text) for key, text in found["lineage"].items()},
            {column: frozenset(map(str, texts)) for column, texts in known.items()},
            sensitive,
        )


@dataclass(frozen=True)
class Column:
    """One feature that a request has to bring."""

    name: str
    datatype: str
    dtype: type


@dataclass(frozen=True)
class Input:
    """One input of the ONNX model and the columns it is made of: one, or a matrix of several."""

    name: str
    dtype: type
    columns: tuple[str, ...]


class Columns(Mapping[str, "NDArray[Any]"]):
    """Arrays [n] by column, each a view of the tensor that the model takes it in, made when it is looked at."""

    def __init__(self, tensors: Tensors, places: Mapping[str, tuple[str, int]]) -> None:
        self.tensors = tensors
        self._places = places

    def __getitem__(self, column: str) -> NDArray[Any]:
        name, place = self._places[column]
        return self.tensors[name][:, place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def lists(self, first: int, end: int) -> list[list[Any]]:
        """Some of the rows as lists, one for each column."""
        found = [column for tensor in self.tensors.values() for column in tensor[first:end].T.tolist()]
        if len(found) == len(self):
            return found
        return [self[column][first:end].tolist() for column in self]  # once, where two inputs take the same


class Model:
    """A record and its ONNX model on the CPU, one thread within an operator. Safe to use from several threads.

    Inputs are one tensor [n, 1] per column, named as the column, or a matrix [n, columns] whose column names are JSON
    in the model's metadata under the input's name, as `ml.kinds.onnx_file` writes them.
    """

    def __init__(self, record: Record, session: onnxruntime.InferenceSession) -> None:
        self.record = record
        self.session = session
        metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
        self.inputs = [_input(each, metadata) for each in session.get_inputs()]
        self.seconds = 0.0  # of one run on one row, once it has been tried
        self.places = {name: (each.name, place) for each in self.inputs for place, name in enumerate(each.columns)}
        outputs = [output.name for output in session.get_outputs()]
        self.output = OUTPUT if OUTPUT in outputs else outputs[0]
        datatypes = {dtype: datatype for datatype, dtype in TYPES.values()}
        self.columns = {
            name: Column(name, datatypes[each.dtype], each.dtype) for each in self.inputs for name in each.columns
        }

        self.matrices = {
            each.name: each.columns
            for each in self.inputs
            if len(each.columns) > 1 and each.dtype is not np.object_ and each.name not in self.columns
        }
        """The inputs that are made of several columns of numbers, by name."""

    @classmethod
    def load(cls, folder: Path) -> Model:
        """The model in a folder, tried once. Raises CannotStart unless it is the one that its record names."""
        record = Record.read(folder / RECORD)
        path = folder / MODEL
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CannotStart(f"{path} cannot be read ({error.strerror}); {REPACK}") from error
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != record.model_hash:
            raise CannotStart(
                f"{path} has the md5 {found}, but {RECORD} names {record.model_hash}: these are not the bytes that "
                f"were gated; {REPACK}"
            )
        model = cls(record, _open(content, path))
        for name in record.categories:
            if name not in model.columns:
                raise CannotStart(
                    f"{RECORD} has categories of {shown(name)}, which is no feature of the model; {REPACK}"
                )
        model.try_once(path)
        return model

    def score(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Scores [n] of one array [n] per column, each of its column's dtype."""
        return self.run(self.columned(columns).tensors)

    def columned(self, columns: Mapping[str, NDArray[Any]]) -> Columns:
        """Columns as the model takes them: copied side by side into its tensors, unless they are already there."""
        if isinstance(columns, Columns):
            return columns
        tensors = {each.name: np.stack([columns[name] for name in each.columns], axis=1) for each in self.inputs}
        return Columns(tensors, self.places)

    def run(self, tensors: Tensors) -> NDArray[np.float64]:
        """Scores [n] of the model's tensors."""
        return np.asarray(self.session.run([self.output], tensors)[0], dtype=np.float64).reshape(-1)

    def try_once(self, path: Path) -> None:
        """Score two rows, and one, for its time. Raises CannotStart when there is not one score per row."""
        rows = 2
        try:
            scores = self.score(self._example(rows))
            self.seconds = min(self._timed() for _ in range(3))
        except Exception as error:  # ONNX Runtime's exceptions share no public base
            raise CannotStart(f"{path} does not run ({_first_line(error)}); train it again") from error
        if scores.size != rows:
            raise CannotStart(f"{path} gave {scores.size} scores for {rows} rows; its output must be [n] or [n, 1]")

    def _timed(self) -> float:
        one = self.columned(self._example(1)).tensors
        begun = time.perf_counter()
        self.run(one)
        return time.perf_counter() - begun

    def _example(self, rows: int) -> dict[str, NDArray[Any]]:
        return {
            name: np.full(rows, "" if column.dtype is np.object_ else 0, dtype=column.dtype)
            for name, column in self.columns.items()
        }


def _open(content: bytes, path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        raise CannotStart(f"{path} is not a usable ONNX model ({_first_line(error)}); train it again") from error


def _input(found: onnxruntime.NodeArg, metadata: Mapping[str, str]) -> Input:
    if found.type not in TYPES:
        raise CannotStart(
            f"{MODEL}: input '{found.name}' is a {found.type}; the server understands {', '.join(TYPES)}; "
            "export the model with one of them"
        )
    names = json.loads(metadata[found.name]) if found.name in metadata else [found.name]
    return Input(found.name, TYPES[found.type][1], tuple(str(name) for name in names))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
