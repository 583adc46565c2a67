"""A scikit-learn gradient boosting pipeline with categorical columns, fitted and exported column by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import polars.selectors as cs
from onnx import TensorProto, helper
from pydantic import Field, NonNegativeFloat, PositiveInt
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from ml.errors import StageError
from ml.kinds import LossPoint, onnx_file
from ml.params import Fraction, Section

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml.kinds import Session
    from ml.kinds.checks import Check
    from ml.kinds.fitting import Table

OPSET = {"": 21, "ai.onnx.ml": 3}
PROBABILITIES = "probabilities"


class Settings(Section):
    """Hyperparameters of GradientBoostingClassifier, in scikit-learn's meaning of them."""

    rounds: PositiveInt
    learning_rate: NonNegativeFloat
    depth: PositiveInt
    min_leaf_rows: PositiveInt
    subsample: float = Field(gt=0, le=1)
    validation_fraction: Fraction


@dataclass(frozen=True)
class FittedPipeline:
    """A trained pipeline with its loss per round."""

    pipeline: Pipeline
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    loss: tuple[LossPoint, ...]
    checks: tuple[Check, ...] = ()

    def predict(self, table: Table) -> NDArray[np.float64]:
        """Probability of class 1, shape [n]."""
        scores: NDArray[np.float64] = self.pipeline.predict_proba(_inputs(table))[:, 1]
        return scores

    def export(self) -> bytes:
        """ONNX with one input [n, 1] per column, text or float32, and the output `score` [n, 1]."""
        types = [(name, FloatTensorType([None, 1])) for name in self.numeric]
        types += [(name, StringTensorType([None, 1])) for name in self.categorical]
        model = to_onnx(self.pipeline, initial_types=types, options={"zipmap": False}, target_opset=OPSET)
        graph = model.graph
        graph.initializer.append(helper.make_tensor("class_1", TensorProto.INT64, [1], [1]))
        graph.node.append(helper.make_node("Gather", [PROBABILITIES, "class_1"], ["score"], name="score", axis=1))
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1]))
        return onnx_file.clean(model.SerializeToString(), {})


def fit(table: Table, settings: Settings, seed: int, session: Session) -> FittedPipeline:
    """Fit on all rows but a stable validation part, which is only watched; `session.tick` after each round."""
    held_out = table.fold < settings.validation_fraction
    inputs, labels = _inputs(table), table.labels()
    if not held_out.any() or len(np.unique(labels[~held_out])) < 2:
        validated = (
            f"{int(held_out.sum())} of {len(labels)} rows to validate on, {int(labels[~held_out].sum())} positives"
        )
        raise StageError(f"{validated} among the rest; expected some of each; raise modes.*.rows or bring more data")
    encoder = ColumnTransformer(
        [
            ("numeric", "passthrough", list(table.numeric)),
            ("categorical", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(table.categorical)),
        ]
    )
    booster = GradientBoostingClassifier(
        n_estimators=settings.rounds,
        learning_rate=settings.learning_rate,
        max_depth=settings.depth,
        min_samples_leaf=settings.min_leaf_rows,
        subsample=settings.subsample,
        random_state=seed,
    )
    pipeline = Pipeline([("columns", encoder), ("booster", booster)])

    def watch(index: int, fitted: GradientBoostingClassifier, _: dict[str, Any]) -> bool:
        mean = float(fitted.train_score_[index]) / 2  # it holds the deviance, twice the log loss
        session.tick(index + 1, mean, None)
        return False  # True would stop the training

    pipeline.fit(inputs.filter(~held_out), labels[~held_out], booster__monitor=watch)
    losses = [_staged(pipeline, inputs.filter(part), labels[part]) for part in (~held_out, held_out)]
    points = (LossPoint(step, *pair) for step, pair in enumerate(zip(*losses, strict=True)))
    return FittedPipeline(pipeline, table.numeric, table.categorical, tuple(points))


def _inputs(table: Table) -> pl.DataFrame:
    """The features as ONNX will see them: float32, so that no split falls on the other side of a rounding."""
    return table.frame.select(table.features).with_columns(cs.numeric().cast(pl.Float32))


def _staged(pipeline: Pipeline, inputs: pl.DataFrame, labels: NDArray[np.float64]) -> list[float]:
    """Log loss after 0, 1, 2 ... rounds; 0 is the base rate of the rows fitted on."""
    encoded = pipeline[:-1].transform(inputs)
    booster = pipeline[-1]
    prior = np.tile(booster.init_.predict_proba(encoded), 1)
    stages = [prior, *booster.staged_predict_proba(encoded)]
    return [round(float(log_loss(labels, stage[:, 1], labels=[0, 1])), 9) for stage in stages]
