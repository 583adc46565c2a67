"""What a model's own graph tells of it."""

from __future__ import annotations

import pytest

from ci.adapters.onnx_model import OnnxModel
from ci.core.errors import ConfigurationError
from tests.unit.ml.serve import models

ENCODED = """
<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 3]>
encoded (string[n, 1] kind, string[n, 1] other) => (float[n, 2] score) {
    score = ai.onnx.ml.OneHotEncoder <cats_strings: strings = ["x", "a"], zeros = 1> (kind)
}
"""


def test_the_texts_that_it_encodes_are_those_it_was_trained_on() -> None:
    assert OnnxModel(models.of(ENCODED), "toy").categories == {"kind": ["a", "x"]}
    assert OnnxModel(models.mixed(), "toy").categories == {}


def test_bytes_that_are_no_model() -> None:
    with pytest.raises(ConfigurationError, match=r"toy is no ONNX model: .*\."):
        _ = OnnxModel(b"no model", "toy").categories
