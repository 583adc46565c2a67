"""A features() that does not give back the rows of raw, in their order, is named with what it did."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pytest

from ml import params
from ml.errors import StageError
from ml.kinds import Job, featuring
from ml.models.churn import features as churn
from ml.models.churn.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml.kinds.fitting import FeaturesModule

SOURCE = Path("customers.parquet")
JOB = Job("churn", params.load(Path("ml/models/churn/params.yaml"), "smoke"), 1)
RAW = simulate(100).with_columns(customer_id=pl.int_range(100, dtype=pl.Int64))


def made(change: Callable[[pl.DataFrame], Any]) -> pl.DataFrame:
    code = SimpleNamespace(
        FEATURES=churn.FEATURES, CATEGORICAL=churn.CATEGORICAL, features=lambda raw: change(churn.features(raw))
    )
    return featuring.make(JOB, cast("FeaturesModule", code), RAW, SOURCE)


FAULTS: dict[str, tuple[Callable[[pl.DataFrame], Any], str]] = {
    "dropped": (
        lambda rows: rows.filter(pl.col("customer_id") % 10 != 7),
        "returns 90 rows for 100; row 7 has customer_id 8 where raw has customer_id 7",
    ),
    "cut": (lambda rows: rows.head(60), "returns 60 rows for 100; row 60 has nothing where raw has customer_id 60"),
    "duplicated": (
        lambda rows: pl.concat([rows, rows.head(1)]),
        "returns 101 rows for 100; row 100 has customer_id 0 where raw has nothing",
    ),
    "reordered": (
        lambda rows: rows.sort("customer_id", descending=True),
        "returns other ids in 100 of 100 rows; row 0 has customer_id 99 where raw has 0",
    ),
    "replaced": (
        lambda rows: rows.with_columns(customer_id=pl.col("customer_id").replace(5, 4)),
        "returns other ids in 1 of 100 rows; row 5 has customer_id 4 where raw has 5",
    ),
    "relabelled": (
        lambda rows: rows.with_columns(
            churn=pl.when(pl.col("customer_id") > 97).then(1 - pl.col("churn")).otherwise("churn").cast(pl.Int8)
        ),
        "changes 'churn' of 2 rows, first where customer_id is 98",
    ),
    "unlabelled": (
        lambda rows: rows.with_columns(churn=pl.when(pl.col("customer_id") > 0).then("churn")),
        "changes 'churn' of 1 rows, first where customer_id is 0: None where raw has",
    ),
    "cast": (
        lambda rows: rows.with_columns(pl.col("customer_id").cast(pl.String)),
        "makes 'customer_id', Int64 in raw, a column of String",
    ),
    "lazy": (lambda rows: rows.lazy(), r"returns a LazyFrame; expected a polars DataFrame; end it with \.collect\(\)"),
    "nothing": (lambda _: None, "returns a NoneType; expected a polars DataFrame"),
    "without id": (lambda rows: rows.drop("customer_id"), "returns no column 'customer_id'"),
}


@pytest.mark.parametrize(("change", "words"), FAULTS.values(), ids=FAULTS)
def test_rows_that_are_not_those_of_raw(change: Callable[[pl.DataFrame], Any], words: str) -> None:
    with pytest.raises(StageError, match=rf"^ml/models/churn/features\.py: features\(\) {words}") as caught:
        made(change)
    assert caught.value.file == "ml/models/churn/features.py"
    assert "\n" not in caught.value.message


def test_the_rows_of_raw_pass() -> None:
    assert made(lambda rows: rows).height == RAW.height
