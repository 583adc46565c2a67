"""The modules `features` and `model` of a model: there, and holding what the kind `tabular` reads of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from ml.errors import StageError
from ml.params import Section

if TYPE_CHECKING:
    from types import ModuleType

    from ml.kinds.fitting import FeaturesModule, ModelModule


def path_of(model: str, name: str) -> str:
    """Where a model's module stands, relative to the repository's root."""
    return f"ml/models/{model}/{name}.py"


def features_of(model: str) -> FeaturesModule:
    """`ml.models.<model>.features`. Raises StageError when it is missing or lacks something."""
    path = path_of(model, "features")
    module = _load(model, "features")
    _require_function(module, "features(raw: pl.DataFrame) -> pl.DataFrame", path)
    for name, example in (("FEATURES", '("amount",)'), ("CATEGORICAL", "()")):
        found = getattr(module, name, None)
        if not isinstance(found, tuple | list) or not all(isinstance(each, str) for each in found):
            what = "is missing" if found is None else f"is {found!r}"
            words = f"{path}: {name} {what}; expected a tuple of column names: {name}: tuple[str, ...] = {example}"
            raise StageError(words, file=path)
    code = cast("FeaturesModule", module)
    if not (*code.FEATURES, *code.CATEGORICAL):
        raise StageError(f"{path}: FEATURES and CATEGORICAL are both empty; name at least one column", file=path)
    named = (*code.FEATURES, *code.CATEGORICAL)
    if twice := [name for place, name in enumerate(named) if name in named[:place]]:
        words = f"{path}: '{twice[0]}' is named twice; name numbers and booleans in FEATURES, texts in CATEGORICAL"
        raise StageError(words, file=path)
    return code


def model_of(model: str) -> ModelModule:
    """`ml.models.<model>.model`. Raises StageError when it is missing or lacks something."""
    path = path_of(model, "model")
    module = _load(model, "model")
    _require_function(module, "fit(table, params, seed, session)", path)
    _require_function(module, "smoke_checks(table, params, seed, limits)", path)
    found = getattr(module, "Hyperparameters", None)
    if not (isinstance(found, type) and issubclass(found, Section)):
        what = "is missing" if found is None else f"is {found!r}"
        raise StageError(f"{path}: Hyperparameters {what}; expected a class derived from ml.params.Section", file=path)
    return cast("ModelModule", module)


def _load(model: str, name: str) -> ModuleType:
    wanted, path = f"ml.models.{model}.{name}", path_of(model, name)
    try:
        return import_module(wanted)
    except ModuleNotFoundError as error:
        if error.name != wanted:  # something that the module itself imports: its traceback says what
            raise
        raise StageError(f"{path} is missing; write it, as the other models have it", file=path) from error


def _require_function(module: ModuleType, signature: str, path: str) -> None:
    name = signature.partition("(")[0]
    if not callable(getattr(module, name, None)):
        raise StageError(f"{path}: the function {name} is missing; define {signature}", file=path)
