"""Features against sums written out by hand and by brute force, and the promise that the future has no say in them."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ml.models.fraud.features import CATEGORICAL, FEATURES, features

START = datetime.fromisoformat("2018-04-02")  # a Monday; published times have no zone
Row = tuple[int, int, int, int, int]  # half days since START, customer, terminal, cents, label

ROWS = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 2), st.integers(0, 2), st.integers(0, 50_000), st.integers(0, 1)),
    min_size=1,
    max_size=30,
)


def table(rows: list[Row]) -> pl.DataFrame:
    """A raw table; half days make windows end exactly on transactions, and many share a second."""
    return pl.DataFrame(
        {
            "TRANSACTION_ID": range(len(rows)),
            "TX_DATETIME": [START + timedelta(hours=12 * half) for half, *_ in rows],
            "CUSTOMER_ID": [row[1] for row in rows],
            "TERMINAL_ID": [row[2] for row in rows],
            "TX_AMOUNT": [row[3] / 100 for row in rows],
            "TX_FRAUD": [row[4] for row in rows],
        },
        schema_overrides={"TX_DATETIME": pl.Datetime("ns"), "TX_FRAUD": pl.Int8},
    )


def by_hand(rows: list[Row], row: Row, days: int) -> tuple[int, float, int, float]:
    """Customer's count and mean amount, terminal's delayed count and risk, by going through every row."""
    half, customer, terminal, *_ = row
    mine = [cents / 100 for at, who, _, cents, _ in rows if who == customer and half - 2 * days < at <= half]
    labels = [label for at, _, where, _, label in rows if where == terminal and half - 2 * (7 + days) < at <= half - 14]
    return len(mine), sum(mine) / len(mine), len(labels), sum(labels) / len(labels) if labels else 0.0


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_windows_are_what_brute_force_says(rows: list[Row]) -> None:
    made = features(table(rows))
    for days in (1, 7, 30):
        expected = [by_hand(rows, row, days) for row in rows]
        names = ("CUSTOMER_ID_NB_TX", "CUSTOMER_ID_AVG_AMOUNT", "TERMINAL_ID_NB_TX", "TERMINAL_ID_RISK")
        for name, values in zip(names, zip(*expected, strict=True), strict=True):
            assert made[f"{name}_{days}DAY_WINDOW"].to_list() == pytest.approx(list(values), rel=1e-5, abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(before=ROWS, after=ROWS, other=ROWS)
def test_later_rows_never_change_a_feature(before: list[Row], after: list[Row], other: list[Row]) -> None:
    """Removed, changed, added: nothing later than a row reaches it, to the last bit."""
    last = max(row[0] for row in before)
    alone = features(table(before))
    for future in (after, other, after + other):
        later = [(last + 1 + row[0], row[1], row[2], row[3], row[4]) for row in future]
        assert_frame_equal(features(table(before + later)).head(len(before)), alone, check_exact=True)


@settings(deadline=None, max_examples=60)
@given(ROWS, st.data())
def test_labels_newer_than_the_delay_have_no_say(rows: list[Row], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    newest_known = rows[row][0] - 14
    flipped = [
        (at, who, where, cents, 1 - label if at > newest_known else label) for at, who, where, cents, label in rows
    ]
    assert_frame_equal(
        features(table(flipped)).select(FEATURES)[row], features(table(rows)).select(FEATURES)[row], check_exact=True
    )


@settings(deadline=None, max_examples=30)
@given(ROWS, st.integers(0, 9))
def test_the_order_of_the_file_does_not_matter(rows: list[Row], order: int) -> None:
    raw = table(rows)
    shuffled = features(raw.sample(fraction=1, shuffle=True, seed=order))
    assert_frame_equal(shuffled.sort("TRANSACTION_ID"), features(raw), rel_tol=1e-6)


def test_a_label_counts_from_the_delay_on_and_until_the_window_ends() -> None:
    fraud, *later = (0, 0, 0, 100, 1), *((half, 1, 0, 100, 0) for half in (13, 14, 15, 16, 27, 28))
    made = features(table([fraud, *later]))
    # 6.5 days later it is not known; 7 and 7.5 days later it is; with 8 days the one-day window has passed it
    assert made["TERMINAL_ID_RISK_1DAY_WINDOW"].to_list()[1:5] == [0.0, 1.0, 1.0, 0.0]
    assert made["TERMINAL_ID_NB_TX_1DAY_WINDOW"].to_list()[1:5] == [0, 1, 1, 0]
    # after 13.5 days it is one of the two in the seven-day window, and with 14 days it has left it
    assert made["TERMINAL_ID_RISK_7DAY_WINDOW"].to_list()[5:] == [0.5, 0.0]


def test_night_ends_with_the_hour_of_six_and_weekend_is_saturday_and_sunday() -> None:
    times = [START + timedelta(days=day, seconds=s) for day in (4, 5, 6) for s in (0, 7 * 3600 - 1, 7 * 3600)]
    made = features(table([(0, 0, 0, 100, 0)] * 9).with_columns(TX_DATETIME=pl.Series(times, dtype=pl.Datetime("us"))))
    assert made["TX_DURING_NIGHT"].to_list() == [1, 1, 0] * 3
    assert made["TX_DURING_WEEKEND"].to_list() == [0] * 3 + [1] * 6


def test_all_columns_stay_and_features_are_numbers() -> None:
    raw = table([(0, 0, 0, 1_999, 0), (1, 0, 0, 2_000, 1), (2, 0, 0, 8_000, 0)]).with_columns(
        PAYMENT_METHOD=pl.Series([None, "card", "wallet"])
    )
    made = features(raw)
    assert_frame_equal(made.select(raw.columns), raw)
    assert made["AMOUNT_BAND"].to_list() == ["low", "medium", "high"]
    assert len(FEATURES) == 15
    assert not CATEGORICAL
    assert all(made.schema[name].is_numeric() for name in FEATURES)
    assert made.select(FEATURES).null_count().sum_horizontal().item() == 0


def test_an_empty_table_has_the_same_columns() -> None:
    raw = table([(0, 0, 0, 100, 0)])
    assert features(raw.clear()).schema == features(raw).schema
