"""What the churn model sees of a customer. Gender is carried along for the fairness gates, never shown to the model."""

from __future__ import annotations

import polars as pl

FEATURES: tuple[str, ...] = (
    "senior",
    "partner",
    "dependents",
    "tenure_months",
    "monthly_charges",
    "total_charges",
    "price_rise",
)
CATEGORICAL: tuple[str, ...] = ("contract", "payment_method", "internet", "tech_support")


def features(raw: pl.DataFrame) -> pl.DataFrame:
    """The rows of `raw`, in their order, with total charges of new customers as 0 and `price_rise`.

    `price_rise` is this month's charge less the average of the months so far, in dollars; 0 for a new customer.
    """
    average = pl.col("total_charges") / pl.col("tenure_months")
    return raw.with_columns(
        pl.col("total_charges").fill_null(0.0),
        pl.when(pl.col("tenure_months") > 0)
        .then(pl.col("monthly_charges") - average)
        .otherwise(0.0)
        .alias("price_rise"),
    )
