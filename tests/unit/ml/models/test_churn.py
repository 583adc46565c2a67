"""The churn model's data and features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from ml.models.churn import simulate
from ml.models.churn.features import CATEGORICAL, FEATURES, features
from ml.models.churn.schema import Raw

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def customers() -> pl.DataFrame:
    return simulate.simulate()


def test_the_data_keeps_to_its_schema(customers: pl.DataFrame) -> None:
    Raw.validate(customers)


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate.main(["--out", str(tmp_path / name), "--rows", "500", "--seed", str(seed)])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_count_of_rows_that_makes_no_sense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        simulate.main(["--out", str(tmp_path / "a"), "--rows", "0"])
    assert "--rows is 0; expected at least 1" in capsys.readouterr().err


def test_who_leaves_is_as_documented(customers: pl.DataFrame) -> None:
    rate = {
        column: dict(customers.group_by(column).agg(pl.col("churn").mean()).iter_rows())
        for column in ("contract", "internet", "payment_method", "gender", "senior")
    }
    assert 0.22 < customers["churn"].cast(pl.Float64).mean() < 0.31  # type: ignore[operator]  # a float
    assert rate["contract"]["month-to-month"] > 3 * rate["contract"]["one-year"] > 3 * rate["contract"]["two-year"]
    assert rate["internet"]["fiber"] > 2 * rate["internet"]["dsl"]
    assert rate["payment_method"]["electronic-check"] > 1.3 * rate["payment_method"]["credit-card"]
    assert rate["senior"][1] > 1.3 * rate["senior"][0]
    assert rate["gender"]["Female"] == pytest.approx(rate["gender"]["Male"], abs=0.03)


def test_every_effect_is_used_and_named_in_full() -> None:
    assert set(simulate.EFFECTS) >= {"intercept", "fiber, month-to-month"}
    changed = dict.fromkeys(simulate.EFFECTS, 0.0) | {"intercept": -20.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "EFFECTS", changed)
        assert simulate.simulate(2_000)["churn"].sum() == 0


def test_features_leave_no_gap_and_no_gender(customers: pl.DataFrame) -> None:
    made = features(customers)
    assert made.height == customers.height
    assert made.select(FEATURES + CATEGORICAL).null_count().sum_horizontal().item() == 0
    assert made.filter(pl.col("tenure_months") == 0).select(pl.col("total_charges").max()).item() == 0
    assert made["price_rise"].is_finite().all()
    assert "gender" not in FEATURES + CATEGORICAL
