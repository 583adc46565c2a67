"""A model and rows that do not fit together are refused in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ml.errors import StageError
from ml.kinds import Session, sklearn_boosting
from ml.kinds.onnx_scoring import Scorer
from tests.unit.ml.kinds.tables import mixed, signal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def content() -> bytes:
    settings = sklearn_boosting.Settings(
        rounds=3, learning_rate=0.2, depth=2, min_leaf_rows=5, subsample=1, validation_fraction=0.3
    )
    return sklearn_boosting.fit(mixed(signal()), settings, 1, Session()).export()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"model\.onnx is missing; run the stage train first"):
        Scorer.of(tmp_path / "model.onnx")


def test_a_truncated_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StageError, match=r"model\.onnx is not a usable ONNX model .*train it again") as caught:
        Scorer.of(path)
    assert "\n" not in caught.value.message


def test_rows_without_a_column_the_model_needs(content: bytes) -> None:
    with pytest.raises(StageError, match="needs the column 'kind', which the rows lack; they have id, a, b"):
        Scorer(content, "baseline.onnx").score(signal().drop("kind"))


def test_single_rows_score_as_many_do(content: bytes) -> None:
    rows = signal().head(5)
    scorer = Scorer(content, "model.onnx")
    single = scorer.single(rows)
    scores = [single(i)[0].item() for i in range(7)]  # type: ignore[index]  # a list of arrays, for timing alone
    assert scores[:5] == pytest.approx(scorer.score(rows).tolist(), abs=1e-7)
    assert scores[5:] == scores[:2]
