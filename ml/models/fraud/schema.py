"""What the fraud model expects of its raw data: the Fraud Detection Handbook's published transactions."""

from __future__ import annotations

from typing import Annotated

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

DAY = 86_400  # seconds


class Raw(pa.DataFrameModel):
    """One row a card transaction, in time order; the simulator's shifts may add PAYMENT_METHOD and scenario 4."""

    TRANSACTION_ID: pl.Int32 = pa.Field(unique=True, ge=0)
    TX_DATETIME: Annotated[pl.Datetime, "ns", None] = pa.Field(metadata={"sorted": True})
    CUSTOMER_ID: pl.Int32 = pa.Field(ge=0)
    TERMINAL_ID: pl.Int32 = pa.Field(ge=0)
    TX_AMOUNT: pl.Float64 = pa.Field(in_range={"min_value": 0, "max_value": 10_000})
    TX_TIME_SECONDS: pl.Int32 = pa.Field(ge=0, metadata={"sorted": True})
    TX_TIME_DAYS: pl.Int16 = pa.Field(ge=0)
    TX_FRAUD: pl.Int8 = pa.Field(isin=[0, 1], metadata={"label_rate": (0.001, 0.05)})
    TX_FRAUD_SCENARIO: pl.Int8 = pa.Field(isin=[0, 1, 2, 3, 4])
    PAYMENT_METHOD: pl.String | None = pa.Field(nullable=True, isin=["card", "wallet"])

    @pa.dataframe_check
    @classmethod
    def scenario_iff_fraud(cls, data: PolarsData) -> pl.LazyFrame:
        """A fraud has a scenario, and nothing else has one."""
        return data.lazyframe.select((pl.col("TX_FRAUD_SCENARIO") > 0) == (pl.col("TX_FRAUD") == 1))

    @pa.dataframe_check
    @classmethod
    def days_of_seconds(cls, data: PolarsData) -> pl.LazyFrame:
        """TX_TIME_DAYS are the whole days in TX_TIME_SECONDS."""
        return data.lazyframe.select(pl.col("TX_TIME_SECONDS") // DAY == pl.col("TX_TIME_DAYS"))

    @pa.dataframe_check
    @classmethod
    def seconds_of_datetime(cls, data: PolarsData) -> pl.LazyFrame:
        """TX_TIME_SECONDS count from a midnight, so both columns show one time of day."""
        since_midnight = pl.col("TX_DATETIME").dt.epoch("s") - pl.col("TX_TIME_SECONDS")
        return data.lazyframe.select(since_midnight % DAY == 0)

    class Config:
        """What sentences call this schema."""

        name = "fraud"
