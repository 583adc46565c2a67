from __future__ import annotations

import polars as pl
import pytest

from ci.adapters.onnx_model import OnnxModel
from ci.core.errors import ConfigurationError
from tests.unit.ml.serve import models


def test_its_columns_are_those_of_its_matrix_or_its_inputs() -> None:
    assert OnnxModel(models.matrix(), "m").columns == models.COLUMNS
    assert OnnxModel(models.mixed(), "m").columns == ("single", "wide", "whole", "kind")


def test_it_scores_many_rows_as_it_scores_few(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pl.DataFrame(
        {"single": [0.5] * 5, "wide": [float(row) for row in range(5)], "whole": [1] * 5, "kind": ["x"] * 5}
    )
    model = OnnxModel(models.mixed(), "m")
    whole = model.score(rows).tolist()
    monkeypatch.setattr("ci.adapters.onnx_model.ROWS", 2)
    assert model.score(rows).tolist() == whole == [0.5, 1.5, 2.5, 3.5, 4.5]


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(ConfigurationError, match="m is no ONNX model"):
        _ = OnnxModel(b"nothing", "m").columns
    with pytest.raises(ConfigurationError, match=r"m cannot score these rows: .*kind"):
        OnnxModel(models.mixed(), "m").score(pl.DataFrame({"single": [0.5], "wide": [0.5], "whole": [1]}))
