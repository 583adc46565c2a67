"""A row that is scored in place has the score that the model's usual run gives it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.serve.model import Model
from ml.serve.quick import Quick
from ml.serve.single import single
from tests.unit.ml.serve import models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A matrix, a float of its own, and a whole number: their weighted sum.
NUMBERS = """
<ir_version: 10, opset_import: ["" : 22]>
numbers (float[n, 2] pair, double[n, 1] wide, int64[n, 1] whole) => (double[n, 1] score) {
    ones = Constant <value = double[2, 1] {1, 100}> ()
    double_pair = Cast <to = 11> (pair)
    both = MatMul (double_pair, ones)
    more = Cast <to = 11> (whole)
    sum = Add (both, wide)
    score = Add (sum, more)
}
"""
# Linear models that say of their score another shape than it has, and one of text: ONNX Runtime runs them all the same.
MISLABELLED = """
<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 3]>
linear (float[n, 3] features) => ({output} score) {{
    sum = ai.onnx.ml.LinearRegressor <coefficients = [1.0, 1.0, 1.0]> (features)
    score = {made} (sum)
}}
"""
LARGEST = float(np.finfo(np.float32).max)
numbers = st.floats(-LARGEST, LARGEST, width=32) | st.booleans()

Scoring = tuple[Model, Quick, "Callable[[list[Any]], float]"]


@pytest.fixture(scope="module", params=["numbers", "matrix", "mixed"])
def scoring(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scoring:
    content = {
        "numbers": lambda: models.of(NUMBERS, pair=json.dumps(["left", "right"])),
        "matrix": models.matrix,
        "mixed": models.mixed,
    }[request.param]()
    model = Model.load(models.pack(tmp_path_factory.mktemp(request.param), content))
    quick = Quick(model)
    return model, quick, single(model, quick)


@given(data=st.data())
def test_it_is_the_usual_score(data: st.DataObject, scoring: Scoring) -> None:
    model, quick, score = scoring
    kinds = {"INT64": st.integers(-(2**40), 2**40) | st.booleans(), "BYTES": st.sampled_from(["x", "y"])}
    rows = st.lists(st.tuples(*(kinds.get(each.datatype, numbers) for each in model.columns.values())), min_size=2)
    for row in data.draw(rows):
        expected = float(model.run(quick.columns(list(row)).tensors)[0])
        assert score(list(row)) == pytest.approx(expected, nan_ok=True, rel=0, abs=0)


def test_what_is_kept_of_a_row_is_not_written_over_by_the_next(scoring: Scoring) -> None:
    model, quick, score = scoring
    rows = [[("x" if each.datatype == "BYTES" else start) for each in model.columns.values()] for start in (1, 2)]
    score(rows[0])
    columns = quick.columns(rows[0])
    score(rows[1])
    assert columns.lists(0, 1) == [[value] for value in rows[0]]


@pytest.mark.parametrize(
    ("output", "made"), [("float[n]", "Identity"), ("float[2, 1]", "Identity"), ("string[n, 1]", "Cast <to = 8>")]
)
def test_an_output_that_cannot_be_bound_is_made_in_the_usual_way(output: str, made: str, tmp_path: Path) -> None:
    model = Model.load(models.pack(tmp_path, models.matrix(MISLABELLED.format(output=output, made=made))))
    assert single(model, Quick(model))([1, 2.5, True]) == 4.5
