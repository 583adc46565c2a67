"""What the churn model expects of its raw data: one row a telecom customer."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData

FLAG = [0, 1]
BILLED = (0.2, 2.0)  # total charges, as a share of today's monthly charge times the tenure: prices change, units do not


class Raw(pa.DataFrameModel):
    """A customer on the day of the snapshot, and whether they left in the month after it."""

    customer_id: pl.Int64 = pa.Field(unique=True)
    gender: pl.String = pa.Field(isin=["Female", "Male"])
    senior: pl.Int8 = pa.Field(isin=FLAG)
    partner: pl.Int8 = pa.Field(isin=FLAG)
    dependents: pl.Int8 = pa.Field(isin=FLAG)
    tenure_months: pl.Int64 = pa.Field(in_range={"min_value": 0, "max_value": 100})
    contract: pl.String = pa.Field(isin=["month-to-month", "one-year", "two-year"])
    payment_method: pl.String = pa.Field(isin=["electronic-check", "mailed-check", "bank-transfer", "credit-card"])
    internet: pl.String = pa.Field(isin=["dsl", "fiber", "none"])
    tech_support: pl.String = pa.Field(isin=["yes", "no", "none"])
    monthly_charges: pl.Float64 = pa.Field(gt=0, le=1_000)
    total_charges: pl.Float64 = pa.Field(nullable=True, ge=0)
    churn: pl.Int8 = pa.Field(isin=FLAG, metadata={"label_rate": (0.05, 0.6)})

    @pa.dataframe_check
    @classmethod
    def support_needs_internet(cls, data: PolarsData) -> pl.LazyFrame:
        """Technical support is 'none' exactly where there is no internet."""
        return data.lazyframe.select((pl.col("tech_support") == "none") == (pl.col("internet") == "none"))

    @pa.dataframe_check
    @classmethod
    def billed_once_there(cls, data: PolarsData) -> pl.LazyFrame:
        """Total charges are missing exactly where the tenure is 0."""
        return data.lazyframe.select(pl.col("total_charges").is_null() == (pl.col("tenure_months") == 0))

    @pa.dataframe_check
    @classmethod
    def total_near_tenure(cls, data: PolarsData) -> pl.LazyFrame:
        """Total charges are 0.2 to 2 times the monthly charges of the whole tenure."""
        expected = pl.col("monthly_charges") * pl.col("tenure_months")
        low, high = BILLED
        return data.lazyframe.select(pl.col("total_charges").is_between(low * expected, high * expected))

    class Config:
        """What sentences call this schema."""

        name = "churn"
