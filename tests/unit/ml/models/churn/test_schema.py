"""What the churn schema takes for good data, and each way in which a customer can be wrong."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ml.models.churn.schema import Raw
from ml.models.churn.simulate import simulate
from ml.validation import validate

ROWS, ONLINE = 600, 300


def broken(table: pl.DataFrame, folder: Path) -> list[tuple[str | None, str, int]]:
    path = folder / "customers.parquet"
    table.write_parquet(path)
    return [(each.column, each.check, each.count) for each in validate(path, Raw, chunk_rows=250).violations]


@pytest.mark.parametrize("seed", [7, 8])
def test_simulated_customers_pass(tmp_path: Path, seed: int) -> None:
    assert broken(simulate(ROWS, seed), tmp_path) == []


def at_row_5(name: str, value: object, dtype: type[pl.DataType]) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) == 5).then(pl.lit(value, dtype)).otherwise(name).alias(name)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (at_row_5("customer_id", 1, pl.Int64), ("customer_id", "unique", 2)),
        (at_row_5("gender", "female", pl.String), ("gender", "isin(['Female', 'Male'])", 1)),
        (at_row_5("gender", None, pl.String), ("gender", "not_nullable", 1)),
        (at_row_5("senior", 2, pl.Int8), ("senior", "isin([0, 1])", 1)),
        (at_row_5("monthly_charges", 0.0, pl.Float64), ("monthly_charges", "greater_than(0)", 1)),
        (at_row_5("tech_support", "none", pl.String), (None, "support_needs_internet", 1)),
        (at_row_5("total_charges", None, pl.Float64), (None, "billed_once_there", 1)),
        (at_row_5("total_charges", 99_999.0, pl.Float64), (None, "total_near_tenure", 1)),
        (pl.lit(0, pl.Int8).alias("churn"), ("churn", "label_rate", ONLINE)),
        (pl.col("monthly_charges").cast(pl.Int64), ("monthly_charges", "dtype", 1)),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, change: pl.Expr, expected: tuple[str | None, str, int]) -> None:
    online = simulate(ROWS).filter((pl.col("internet") != "none") & (pl.col("tenure_months") > 0)).head(ONLINE)
    assert expected in broken(online.with_columns(change), tmp_path)
