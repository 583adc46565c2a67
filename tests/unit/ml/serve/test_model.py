"""The server starts with the bytes that its record names, or says in one sentence why it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from ml.kinds.onnx_scoring import Scorer
from ml.serve.errors import CannotStart
from ml.serve.model import Model
from tests.unit.ml.serve import models

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def test_a_matrix_is_put_together_in_the_order_of_its_columns(tmp_path: Path) -> None:
    model = Model.load(models.pack(tmp_path, models.matrix()))
    assert list(model.columns) == list(models.COLUMNS)
    columns = {name: np.array([n, 10 * n], dtype=np.float32) for n, name in enumerate(models.COLUMNS, start=1)}
    assert model.score(columns).tolist() == [6.0, 60.0]


def test_the_version_is_the_beginning_of_the_hash(tmp_path: Path) -> None:
    record = Model.load(models.pack(tmp_path, models.matrix())).record
    assert record.model == "toy"
    assert (len(record.version), record.model_hash[:12]) == (12, record.version)
    assert record.lineage["commit"] == "c" * 40


def test_another_model_than_the_record_names(tmp_path: Path) -> None:
    models.pack(tmp_path, models.matrix())
    (tmp_path / "model.onnx").write_bytes(models.mixed())
    with pytest.raises(
        CannotStart, match=r"model\.onnx has the md5 \w{32}, but serving\.json names \w{32}: these are not"
    ):
        Model.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 2}, "is no serving record of schema_version 1"),
        ({"model": None}, "'model' is None, not a str"),
        ({"model_hash": 5}, "'model_hash' is 5, not a str"),
        ({"lineage": []}, r"'lineage' is \[\], not a dict"),
        ({"categories": {"kind": []}}, "has categories of 'kind', which is no feature of the model"),
    ],
)
def test_a_record_that_is_not_whole(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=words):
        Model.load(models.pack(tmp_path, models.matrix(), **changes))


def test_files_that_are_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"serving\.json is missing; set MODEL_DIR"):
        Model.load(tmp_path)
    models.pack(tmp_path, models.matrix())
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(CannotStart, match=r"model\.onnx cannot be read \(No such file or directory\)"):
        Model.load(tmp_path)
    (tmp_path / "serving.json").write_text("{")
    with pytest.raises(CannotStart, match=r"serving\.json cannot be read as JSON"):
        Model.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no model", r"is not a usable ONNX model \(.*\); train it again"),
        (models.matrix()[:60], "is not a usable ONNX model"),
        (models.matrix(models.MATRIX.replace("Sum (features, axis)", "Max (features)")), "gave 1 scores for 2 rows"),
        (models.matrix(models.MATRIX.replace("[n, 3]", "[1, 3]")), r"does not run \(.*train it again"),
    ],
)
def test_a_model_that_cannot_be_served(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=words) as caught:
        Model.load(models.pack(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_a_type_of_input_that_the_server_does_not_understand(tmp_path: Path) -> None:
    content = models.of(models.MIXED.replace("int64[n, 1] whole", "int16[n, 1] whole"))
    with pytest.raises(
        CannotStart, match=r"input 'whole' is a tensor\(int16\); the server understands tensor\(float\)"
    ):
        Model.load(models.pack(tmp_path, content))


@pytest.mark.parametrize("content", [models.matrix(), models.mixed()])
def test_scores_are_those_that_the_gates_saw(content: bytes, tmp_path: Path) -> None:
    """What the stages score with and what production serves are two pieces of code that must say the same."""
    rng = np.random.default_rng(1)
    numbers = {name: rng.normal(0, 1e4, 50) for name in ("a", "b", "c", "single", "wide")}
    rows = pl.DataFrame({**numbers, "whole": np.arange(50), "kind": ["x", "y"] * 25})
    model = Model.load(models.pack(tmp_path, content))
    columns: dict[str, NDArray[Any]] = {
        name: np.asarray(rows[name].to_numpy(), dtype=each.dtype) for name, each in model.columns.items()
    }
    assert model.score(columns).tolist() == Scorer(content, "toy").score(rows).tolist()


def test_the_texts_that_it_was_trained_on_come_with_the_record(tmp_path: Path) -> None:
    folder = models.pack(tmp_path, models.mixed(), categories={"kind": ["x", "y"]})
    assert Model.load(folder).record.categories == {"kind": frozenset({"x", "y"})}
    models.pack(tmp_path, models.mixed(), categories={"kind": "x"})
    with pytest.raises(CannotStart, match="'categories' is "):
        Model.load(tmp_path)
