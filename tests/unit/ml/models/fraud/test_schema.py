"""What the fraud schema takes for good data, and each way in which a transaction can be wrong."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ml.models.fraud.schema import Raw
from ml.models.fraud.simulation.shifts import Shift
from ml.models.fraud.simulation.table import Plan, write
from ml.validation import validate

HANDBOOK = Path(__file__).resolve().parents[6] / "shared" / "data" / "handbook_raw_dev_0401_0814.parquet"
PLAN = Plan(customers=120, terminals=240, days=12, start=date(2018, 4, 1), seed=5)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    path = tmp_path_factory.mktemp("fraud") / "transactions.parquet"
    write(PLAN, path)
    return pl.read_parquet(path)


def broken(table: pl.DataFrame, folder: Path) -> list[tuple[str | None, str, int]]:
    path = folder / "transactions.parquet"
    table.write_parquet(path)
    return [(each.column, each.check, each.count) for each in validate(path, Raw, chunk_rows=1_000).violations]


def test_simulated_transactions_pass(good: pl.DataFrame, tmp_path: Path) -> None:
    assert broken(good, tmp_path) == []


def test_published_transactions_pass() -> None:
    if not HANDBOOK.is_file():
        reason = f"needs ../shared/data/{HANDBOOK.name}, the Fraud Detection Handbook's data, beside the repository"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    result = validate(HANDBOOK, Raw)
    assert result.violations == ()
    assert result.rows == 1_303_778


def test_new_payment_method_and_scenario_pass(tmp_path: Path) -> None:
    shifts = (Shift("new_payment_method", 6, 0.3), Shift("new_fraud_scenario", 6, 1.0))
    path = tmp_path / "transactions.parquet"
    write(Plan(PLAN.customers, PLAN.terminals, PLAN.days, PLAN.start, PLAN.seed, shifts), path)
    assert validate(path, Raw).violations == ()


def test_lost_column_and_changed_unit_are_found(tmp_path: Path) -> None:
    shifts = (Shift("column_missing", 6, 1.0), Shift("column_unit", 6, 100.0))
    path = tmp_path / "transactions.parquet"
    write(Plan(PLAN.customers, PLAN.terminals, PLAN.days, PLAN.start, PLAN.seed, shifts), path)
    found = [(each.column, each.check) for each in validate(path, Raw).violations]
    assert found == [("TERMINAL_ID", "not_nullable"), ("TX_AMOUNT", "in_range(0, 10000)")]


ROW = pl.int_range(pl.len())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (pl.when(ROW != 5).then("CUSTOMER_ID").alias("CUSTOMER_ID"), ("CUSTOMER_ID", "not_nullable", 1)),
        (pl.when(ROW == 5).then(4).otherwise("TRANSACTION_ID").cast(pl.Int32).alias("TRANSACTION_ID"),
         ("TRANSACTION_ID", "unique", 2)),
        (pl.when(ROW == 5).then(-0.01).otherwise("TX_AMOUNT").alias("TX_AMOUNT"),
         ("TX_AMOUNT", "in_range(0, 10000)", 1)),
        (pl.when(ROW == 5).then(-1).otherwise("TERMINAL_ID").cast(pl.Int32).alias("TERMINAL_ID"),
         ("TERMINAL_ID", "greater_than_or_equal_to(0)", 1)),
        (pl.when(ROW == 5).then(9).otherwise("TX_TIME_DAYS").cast(pl.Int16).alias("TX_TIME_DAYS"),
         (None, "days_of_seconds", 1)),
        (pl.col("TX_DATETIME") + pl.duration(seconds=1, time_unit="ns"), (None, "seconds_of_datetime", None)),
        ((1 - pl.col("TX_FRAUD")).cast(pl.Int8).alias("TX_FRAUD"), (None, "scenario_iff_fraud", None)),
        (pl.lit(0, pl.Int8).alias("TX_FRAUD"), ("TX_FRAUD", "label_rate", None)),
        (pl.lit(5, pl.Int8).alias("TX_FRAUD_SCENARIO"), ("TX_FRAUD_SCENARIO", "isin([0, 1, 2, 3, 4])", None)),
        (pl.lit("cash").alias("PAYMENT_METHOD"), ("PAYMENT_METHOD", "isin(['card', 'wallet'])", None)),
        (pl.col("TX_DATETIME").reverse(), ("TX_DATETIME", "sorted", None)),
        (pl.col("TX_TIME_SECONDS").reverse(), ("TX_TIME_SECONDS", "sorted", None)),
        (pl.col("TX_AMOUNT").cast(pl.String), ("TX_AMOUNT", "dtype", 1)),
        (pl.col("TX_DATETIME").cast(pl.Datetime("us")), ("TX_DATETIME", "dtype", 1)),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(
    good: pl.DataFrame, tmp_path: Path, change: pl.Expr, expected: tuple[str | None, str, int | None]
) -> None:
    found = broken(good.with_columns(change), tmp_path)
    column, check, count = expected
    assert (column, check) in [each[:2] for each in found]
    if count is not None:
        assert found == [(column, check, count)]
