"""A module of a model that is missing, or lacks what is read of it, is one sentence."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from ml.errors import StageError
from ml.kinds import modules
from ml.params import Section

FEATURES: dict[str, Any] = {"FEATURES": ("a",), "CATEGORICAL": (), "features": lambda raw: raw}
MODEL: dict[str, Any] = {"Hyperparameters": Section, "fit": lambda *_: None, "smoke_checks": lambda *_: ()}


def define(monkeypatch: pytest.MonkeyPatch, name: str, content: dict[str, Any]) -> None:
    module = ModuleType(f"ml.models.toy.{name}")
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, "ml.models.toy", ModuleType("ml.models.toy"))
    monkeypatch.setitem(sys.modules, f"ml.models.toy.{name}", module)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"FEATURES": None}, r"FEATURES is missing; expected a tuple of column names: FEATURES: tuple"),
        ({"FEATURES": "amount"}, r"FEATURES is 'amount'; expected a tuple of column names"),
        ({"FEATURES": (1,)}, r"FEATURES is \(1,\); expected a tuple of column names"),
        ({"FEATURES": ()}, r"FEATURES and CATEGORICAL are both empty"),
        (
            {"CATEGORICAL": ("b", "a")},
            r"'a' is named twice; name numbers and booleans in FEATURES, texts in CATEGORICAL",
        ),
        ({"CATEGORICAL": None}, r"CATEGORICAL is missing; expected .* = \(\)$"),
        ({"features": None}, r"the function features is missing; define features\(raw"),
    ],
)
def test_features_lacks_something(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], words: str) -> None:
    define(monkeypatch, "features", FEATURES)
    assert modules.features_of("toy").FEATURES == ("a",)
    define(monkeypatch, "features", {name: value for name, value in (FEATURES | change).items() if value is not None})
    with pytest.raises(StageError, match=rf"^ml/models/toy/features\.py: {words}"):
        modules.features_of("toy")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fit": None}, r"the function fit is missing; define fit\(table, params, seed, session\)"),
        ({"smoke_checks": None}, "the function smoke_checks is missing"),
        ({"Hyperparameters": None}, r"Hyperparameters is missing; expected a class derived from ml\.params\.Section"),
        ({"Hyperparameters": dict}, r"Hyperparameters is <class 'dict'>; expected a class derived from"),
    ],
)
def test_model_lacks_something(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], words: str) -> None:
    define(monkeypatch, "model", MODEL)
    assert modules.model_of("toy").Hyperparameters is Section
    define(monkeypatch, "model", {name: value for name, value in (MODEL | change).items() if value is not None})
    with pytest.raises(StageError, match=rf"^ml/models/toy/model\.py: {words}"):
        modules.model_of("toy")


@pytest.mark.parametrize("name", ["features", "model"])
def test_a_module_that_is_missing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    package = ModuleType("ml.models.toy")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "ml.models.toy", package)
    find = modules.features_of if name == "features" else modules.model_of
    with pytest.raises(StageError, match=rf"^ml/models/toy/{name}\.py is missing; write it"):
        find("toy")
