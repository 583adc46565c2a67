"""A feature that tells the label too well alone is named."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from ml.kinds import splits
from ml.kinds.fitting import Table
from ml.kinds.leakage import no_leakage, separation
from tests.unit.ml.kinds.tables import signal


def table(frame: pl.DataFrame, numbers: tuple[str, ...], categories: tuple[str, ...] = ("kind",)) -> Table:
    return Table(frame, numbers, categories, "label", splits.stable_hash(frame["id"], 1) / 2.0**64)


POSITIVE = pl.col("label") == 1
COPIES = {
    "one value among ten": pl.when(POSITIVE).then(5.0).otherwise(pl.col("id") % 10 + 0.5),
    "one value among thousands": pl.when(POSITIVE).then(500.0).otherwise(pl.col("id") % 1999 / 2 + 0.25),
    "a narrow range": pl.when(POSITIVE).then(5 + pl.col("id") % 97 / 1000).otherwise(pl.col("id") * 7 % 1000 / 100),
    "both ends": pl.when(POSITIVE).then(pl.col("id") % 2 * 100 - 50 + pl.col("a") / 10).otherwise("a"),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_of_the_label_is_named_whatever_its_shape(copy: pl.Expr) -> None:
    frame = signal(4_000).with_columns(copy.alias("refund"))
    values = frame["refund"].to_numpy()
    assert separation(values, frame["label"].to_numpy()) < 0.9  # by its order it looks honest
    check = no_leakage(table(frame, ("a", "b", "refund")), 0.95)
    assert not check.passed
    assert check.detail.startswith("too predictive alone: refund (")


def test_a_rare_label_copied_is_named() -> None:
    rng = np.random.default_rng(2)
    label = (rng.random(10_000) < 0.008).astype(np.int8)
    frame = pl.DataFrame({"id": range(10_000), "label": label, "kind": "x"})
    frame = frame.with_columns(pl.Series("risk", np.where(label, 0.4 + rng.random(10_000) / 1000, rng.random(10_000))))
    assert "risk" in no_leakage(table(frame, ("risk",)), 0.98).detail
    assert not no_leakage(table(frame, ("risk",)), 0.98).passed


@pytest.mark.parametrize("seed", range(5))
def test_many_values_alone_are_no_leak(seed: int) -> None:
    """An id, in numbers or in text, tells each row's own label, and nothing of another's."""
    rng = np.random.default_rng(seed)
    frame = signal(400, seed).with_columns(
        pl.Series("noise", rng.random(400)),
        pl.format("c{}", "id").alias("name"),
        pl.Series("label", rng.permutation([0, 1] * 200)).cast(pl.Int8),
    )
    value = no_leakage(table(frame, ("noise", "id"), ("name",)), 0.95).value
    assert value is not None
    assert value < 0.65


def test_honest_features_pass() -> None:
    check = no_leakage(table(signal(), ("a", "b", "constant")), 0.95)
    assert check.passed
    assert "strongest feature alone: b, AUC 0." in check.detail


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_filled_in_after_the_fact_is_named(sign: int) -> None:
    frame = signal().with_columns((sign * pl.col("label") + 0.1 * pl.col("b").abs().clip(0, 1)).alias("refund"))
    check = no_leakage(table(frame, ("a", "b", "refund")), 0.95)
    assert not check.passed
    assert check.detail.startswith("too predictive alone: refund (1.0000)")


def test_a_category_filled_in_after_the_fact_is_named() -> None:
    frame = signal().with_columns(pl.when(pl.col("label") == 1).then(pl.lit("closed")).otherwise("kind").alias("state"))
    check = no_leakage(table(frame, ("a",), ("kind", "state")), 0.95)
    assert not check.passed
    assert "state" in check.detail
    assert "kind" not in check.detail


def test_the_auc_is_scikit_learn_s_with_ties() -> None:
    rng = np.random.default_rng(1)
    labels, values = rng.integers(0, 2, 500), rng.integers(0, 9, 500).astype(np.float64)
    auc = roc_auc_score(labels, values)
    assert separation(values, labels.astype(np.int8)) == pytest.approx(max(auc, 1 - auc), abs=1e-12)
