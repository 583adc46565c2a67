"""A boosting pipeline's training: it learns, it repeats, and its export takes text and numbers column by column."""

from __future__ import annotations

import os
import subprocess
import sys

import onnx
import polars as pl
import pytest
from sklearn.metrics import log_loss

from ml.errors import StageError
from ml.kinds import Session, checks, onnx_file, sklearn_boosting
from ml.kinds.onnx_scoring import Scorer
from tests.unit.ml.kinds.tables import mixed, shuffled, signal

SETTINGS = sklearn_boosting.Settings(
    rounds=20, learning_rate=0.2, depth=2, min_leaf_rows=5, subsample=0.8, validation_fraction=0.3
)


def fit(frame: pl.DataFrame, seed: int = 1, **changes: float) -> sklearn_boosting.FittedPipeline:
    return sklearn_boosting.fit(mixed(frame), SETTINGS.model_copy(update=changes), seed, Session())


@pytest.fixture(scope="module")
def fitted() -> sklearn_boosting.FittedPipeline:
    return fit(signal())


def test_it_learns_and_the_history_is_the_log_loss(fitted: sklearn_boosting.FittedPipeline) -> None:
    assert checks.loss_falls(fitted.loss, 0.1).passed
    assert [point.step for point in fitted.loss] == list(range(21))
    held_out = signal().filter(pl.Series(mixed(signal()).fold < 0.3))
    last = log_loss(held_out["label"], fitted.predict(mixed(held_out)))
    assert fitted.loss[-1].validation == pytest.approx(last, abs=1e-9)


def test_ticks_tell_the_training_loss() -> None:
    seen: list[float] = []
    plain = SETTINGS.model_copy(update={"subsample": 1.0})
    found = sklearn_boosting.fit(mixed(signal()), plain, 1, Session(lambda _, train, __: seen.append(train)))
    assert seen == pytest.approx([point.train for point in found.loss[1:]], abs=1e-6)


def test_shuffled_labels_teach_nothing() -> None:
    assert not checks.loss_falls(fit(shuffled(signal())).loss, 0.02).passed


def test_no_learning_rate_no_learning() -> None:
    assert not checks.loss_falls(fit(signal(), learning_rate=0.0).loss, 0.05).passed


def test_no_rows_to_validate_on_is_one_sentence() -> None:
    with pytest.raises(StageError, match=r"^0 of 600 rows to validate on, \d+ positives among the rest; expected some"):
        fit(signal(), validation_fraction=1e-9)
    with pytest.raises(StageError, match=r"0 positives among the rest"):
        fit(signal().with_columns(label=pl.lit(0, pl.Int8)))


def test_one_seed_one_model_and_another_seed_another(fitted: sklearn_boosting.FittedPipeline) -> None:
    assert fit(signal()).export() == fitted.export()
    found = onnx_file.differences(fitted.export(), fit(signal(), seed=2).export())
    assert "TreeEnsembleClassifier" in found[0]


def test_the_export_agrees_on_text_and_numbers_and_unknown_categories(fitted: sklearn_boosting.FittedPipeline) -> None:
    fresh = signal(seed=4).with_columns(pl.when(pl.col("id") < 9).then(pl.lit("new")).otherwise("kind").alias("kind"))
    scores = Scorer(fitted.export(), "model").score(fresh)
    assert checks.onnx_agrees(fitted.predict(mixed(fresh)), scores, 1e-6).passed


def test_the_export_has_one_input_a_column_and_one_score(fitted: sklearn_boosting.FittedPipeline) -> None:
    model = onnx.load_from_string(fitted.export())
    assert [each.name for each in model.graph.input] == ["a", "b", "kind"]
    assert [each.name for each in model.graph.output] == ["score"]
    onnx.checker.check_model(model)


def test_a_broken_export_disagrees(fitted: sklearn_boosting.FittedPipeline) -> None:
    model = onnx.load_from_string(fitted.export())
    wrong = next(each for each in model.graph.initializer if each.name == "class_1")
    wrong.CopyFrom(onnx.helper.make_tensor("class_1", onnx.TensorProto.INT64, [1], [0]))
    fresh = signal(seed=4)
    scores = Scorer(model.SerializeToString(), "model").score(fresh)
    assert not checks.onnx_agrees(fitted.predict(mixed(fresh)), scores, 1e-4).passed


def test_the_bytes_do_not_depend_on_the_order_of_a_set() -> None:
    """Which Python changes from process to process, so that two trainings in one process never show it."""
    code = (
        "import hashlib; from tests.unit.ml.kinds.test_sklearn_boosting import fit, signal; "
        "print(hashlib.md5(fit(signal()).export()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2, 3, 4)
    }
    assert len(found) == 1
