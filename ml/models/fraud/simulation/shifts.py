"""Ways in which the world changes from a day on, so that drift has something to find. Days before are untouched.

Each takes a day's rows and gives them back changed; `strength` means what its row in KINDS says. PAYMENT_METHOD is no
column of the published form: it is there only in a table that has this shift, null before it, `card` or `wallet` after.
A column that goes missing stays in the table and is null, because one table has one set of columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml.models.fraud.simulation.day import CUSTOMERS_PER_DAY, SECONDS, compromised
from ml.models.fraud.simulation.population import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml.models.fraud.simulation.population import Population

TRACTION_DAYS = 28  # until a new payment method has its full share
WALLET_FACTOR = 0.5  # of the amount paid by card
TESTED_DAYS, TESTS_PER_DAY = 7, 5.0  # of a stolen card number
TEST_AMOUNTS, DAWN = (0.5, 10.0), 6 * 3_600


@dataclass(frozen=True)
class Shift:
    """One change of the world: its kind, the day (0 is the first of the table) it starts on, and how strong it is."""

    kind: str
    day: int
    strength: float


@dataclass(frozen=True)
class Kind:
    """What a shift does to a day, and its strength when none is given; `share` bounds the strength to [0, 1]."""

    apply: Callable[[pl.DataFrame, Shift, Population, int], pl.DataFrame]
    strength: float
    share: bool
    meaning: str


def _inflate(rows: pl.DataFrame, shift: Shift, _people: Population, _day: int) -> pl.DataFrame:
    """Every amount grows; labels stay, so genuine amounts now pass what used to be a sure sign of fraud."""
    return rows.with_columns((pl.col("TX_AMOUNT") * shift.strength).round(2))


def _wallet(rows: pl.DataFrame, shift: Shift, people: Population, day: int) -> pl.DataFrame:
    """A growing share of genuine payments moves to a wallet: smaller amounts, at any hour of day and night."""
    draw = stream(people.seed, Purpose.NEW_PAYMENT_METHOD, day)
    share = shift.strength * min(1.0, (day - shift.day + 1) / TRACTION_DAYS)
    moved = (draw.random(len(rows)) < share) & (rows["TX_FRAUD_SCENARIO"].to_numpy() == 0)
    amount = rows["TX_AMOUNT"].to_numpy()
    return rows.with_columns(
        SECOND=np.where(moved, draw.integers(1, SECONDS, len(rows)), rows["SECOND"].to_numpy()),
        TX_AMOUNT=np.where(moved, (amount * WALLET_FACTOR).round(2), amount),
        PAYMENT_METHOD=pl.Series(np.where(moved, "wallet", "card"), dtype=pl.String),
    )


def _card_tests(rows: pl.DataFrame, shift: Shift, people: Population, day: int) -> pl.DataFrame:
    """Scenario 4: stolen card numbers are tried out for a week by small payments before dawn, at terminals anywhere."""
    hits, out_of = CUSTOMERS_PER_DAY
    rate = (round(hits * shift.strength * 1_000), out_of * 1_000)
    since = max(shift.day, day - TESTED_DAYS + 1)
    victims = compromised(people.seed, Purpose.TESTED_CARDS, people.customers, rate, since, day)
    draw = stream(people.seed, Purpose.CARD_TESTS, day)
    customer = np.repeat(victims, draw.poisson(TESTS_PER_DAY, len(victims)))
    tests = pl.DataFrame(
        {
            "SECOND": draw.integers(1, DAWN, len(customer)),
            "CUSTOMER_ID": customer.astype(np.int32),
            "TERMINAL_ID": draw.integers(0, people.terminals, len(customer), dtype=np.int32),
            "TX_AMOUNT": draw.uniform(*TEST_AMOUNTS, len(customer)).round(2),
            "TX_FRAUD_SCENARIO": np.full(len(customer), 4, dtype=np.int8),
        }
    )
    return pl.concat([rows, tests])


def _missing(rows: pl.DataFrame, shift: Shift, people: Population, day: int) -> pl.DataFrame:
    """TERMINAL_ID is lost on a share of the rows."""
    lost = stream(people.seed, Purpose.MISSING_COLUMN, day).random(len(rows)) < shift.strength
    return rows.with_columns(TERMINAL_ID=pl.when(pl.Series(~lost)).then(pl.col("TERMINAL_ID")))


KINDS = {  # in the order in which they are applied: what happens in the world first, then what happens to its record
    "new_fraud_scenario": Kind(_card_tests, 1.0, share=False, meaning="stolen cards, as a multiple of scenario 3's"),
    "amounts_inflate": Kind(_inflate, 1.5, share=False, meaning="factor on every amount"),
    "new_payment_method": Kind(_wallet, 0.3, share=True, meaning="share of payments after 28 days"),
    "column_missing": Kind(_missing, 1.0, share=True, meaning="share of rows without TERMINAL_ID"),
    "column_unit": Kind(_inflate, 100.0, share=False, meaning="factor on every amount: 100 is cents"),
}


def shifted(rows: pl.DataFrame, shifts: tuple[Shift, ...], people: Population, day: int) -> pl.DataFrame:
    """The day's rows after the shifts that have started by `day`."""
    for kind, what in KINDS.items():
        for shift in shifts:
            if shift.kind == kind and day >= shift.day:
                rows = what.apply(rows, shift, people, day)
    return rows
