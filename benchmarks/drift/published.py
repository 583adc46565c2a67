"""Streams that others published; what they are and where they come from is said beside the data."""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from benchmarks.drift.simulators import HISTORY, of_fraud
from benchmarks.drift.streams import LABEL, SCORE, YEAR, Stream, even, scored
from ml.models.fraud import features as fraud

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def makers() -> dict[str, Callable[[], Stream]]:
    """What reads each stream, by its name."""
    return {
        "Handbook, June to August": handbook,
        "elec2, after a whole year": elec2,
        "car loans (NannyML)": car_loan,
        **{f"SEA, change {number} of 3": partial(sea, number) for number in (1, 2, 3)},
    }


def handbook() -> Stream:
    """The Handbook's transactions from the first day with 30 days of history on."""
    raw = pl.read_parquet(DATA / "handbook_raw_dev_0401_0814.parquet")
    frame = fraud.features(raw).rename({"TX_TIME_DAYS": "DAY"})
    return of_fraud("Handbook, June to August", "stationary", frame, HISTORY)


def car_loan() -> Stream:
    """NannyML's car loans with the scores they come with: the reference's second half, then the analysis part."""
    reference = pl.read_parquet(DATA / "car_loan_reference.parquet")
    analysis = pl.read_parquet(DATA / "car_loan_analysis.parquet").join(
        pl.read_parquet(DATA / "car_loan_analysis_target.parquet"), on="id", how="left", maintain_order="left"
    )
    frame = pl.concat([reference.with_columns(pl.col("repaid").cast(pl.Int64)).select(analysis.columns), analysis])
    frame = frame.rename({"y_pred_proba": SCORE, "repaid": LABEL}).with_columns(
        pl.col("timestamp").str.slice(0, 10).alias("DAY")
    )
    columns = (
        "car_value",
        "salary_range",
        "debt_to_income_ratio",
        "loan_length",
        "repaid_loan_on_prev_car",
        "size_of_downpayment",
        "driver_tenure",
    )
    train, rest = frame[:25_000], frame[25_000:]
    days = [part for part in rest.partition_by("DAY", maintain_order=True, include_key=False) if part.height > 80]
    first_changed = 50_000
    change = sum(seen <= first_changed for seen in accumulate(part.height for part in days))
    return Stream("car loans (NannyML)", "abrupt", [train], train, days, columns, change)


def elec2() -> Stream:
    """Electricity in New South Wales since Victoria trades too (May 1997): a year as the reference, the rest watched.

    48 rows a day, so that a window of 14 days has enough, and four fifths of one.
    """
    frame = pl.read_parquet(DATA / "elec2.parquet").rename({"y": LABEL})[17_760:]
    days = even(frame, 48)
    columns = ("day", "period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
    return scored("elec2, after a whole year", "unlabelled", days[:YEAR], None, days[YEAR:], columns, window=14, held=5)


def sea(number: int) -> Stream:
    """SEA around one of three changes: what x means changes, its distribution does not. 500 rows a day."""
    frame = pl.read_parquet(DATA / "sea_50k.parquet").rename({"y": LABEL})
    part = even(frame[12_500 * (number - 1) : 12_500 * (number + 1)], 500)
    train, test, rest = part[:6], part[6:12], part[12:]
    return scored(f"SEA, change {number} of 3", "abrupt", train, test, rest, ("x0", "x1", "x2"), change=13)
