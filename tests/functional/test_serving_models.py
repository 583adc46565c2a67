"""The models of this repository, served: what the server answers is what the gates saw, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from ml.kinds.onnx_scoring import Scorer
from tests.functional.serving import asking, served
from tests.unit.ml.serve import models

if TYPE_CHECKING:
    from pathlib import Path

    from tests.project import Project


@pytest.mark.parametrize("name", ["churn", "fraud"])
def test_scores_are_those_of_the_evaluation(name: str, checked: Project, tmp_path: Path) -> None:
    made = checked.root / "artifacts" / name / "smoke"
    content = (made / "model.onnx").read_bytes()
    rows = pl.read_parquet(made / "test.parquet").head(3000)
    expected = Scorer(content, name).score(rows).tolist()
    with served(models.pack(tmp_path / name, content, name)) as server:
        described = server.http.get(f"/v2/models/{name}").json()["inputs"]
        columns = {}
        for each in described:
            column = rows[each["name"]]
            columns[each["name"]] = (
                ("BYTES", column.cast(pl.String).to_list())
                if each["datatype"] == "BYTES"
                else ("FP64", column.cast(pl.Float64).to_list())
            )
        batch = server.http.post(f"/v2/models/{name}/infer", json=asking(**columns))
        assert batch.json()["outputs"][0]["data"] == expected
        for row in range(0, rows.height, 300):
            one = asking(**{column: (kind, data[row : row + 1]) for column, (kind, data) in columns.items()})
            answer = server.http.post(f"/v2/models/{name}/infer", json=one).json()
            assert answer["outputs"][0]["data"] == pytest.approx(expected[row : row + 1], abs=1e-6)
