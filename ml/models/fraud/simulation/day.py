"""One day of card payments, genuine and fraudulent, after chapter 3 of the Fraud Detection Handbook.

A day needs the population and its own number, never another day's rows: days can be made in any order and any chunks.
Three things differ from the Handbook. Its 2 terminals and 3 customers compromised a day belong to 10,000 and 5,000;
here they grow and shrink with the population. Its frauds begin on day 0; here those of the weeks before reach into the
table, so the share of frauds is near 0.9 % from the first day on. And a third of a compromised customer's transactions
is drawn one by one, not as a fixed third of the fortnight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml.models.fraud.simulation.population import Purpose, stream

if TYPE_CHECKING:
    from ml.models.fraud.simulation.population import Ints, Population

SECONDS = 86_400
NOON, SPREAD = SECONDS / 2, 20_000.0  # of the time of day
OBVIOUS = 220.0  # scenario 1: an amount above it is a fraud
TERMINALS_PER_DAY, TERMINAL_DAYS = (2, 10_000), 28  # scenario 2
CUSTOMERS_PER_DAY, CUSTOMER_DAYS = (3, 5_000), 14  # scenario 3
STOLEN_SHARE, STOLEN_FACTOR = 1 / 3, 5.0


def transactions(people: Population, day: int) -> pl.DataFrame:
    """The day's rows, in no order: second of the day, customer, terminal, amount and fraud scenario (0 = genuine)."""
    rows = _genuine(people, day)
    terminal, amount = rows["TERMINAL_ID"].to_numpy(), rows["TX_AMOUNT"].to_numpy()
    scenario = np.where(amount > OBVIOUS, 1, 0)
    bad_terminals = compromised(
        people.seed, Purpose.COMPROMISED_TERMINALS, people.terminals, TERMINALS_PER_DAY, day - TERMINAL_DAYS + 1, day
    )
    scenario[np.isin(terminal, bad_terminals)] = 2
    bad_customers = compromised(
        people.seed, Purpose.COMPROMISED_CUSTOMERS, people.customers, CUSTOMERS_PER_DAY, day - CUSTOMER_DAYS + 1, day
    )
    chance = stream(people.seed, Purpose.STOLEN_AMOUNTS, day).random(len(rows))
    stolen = np.isin(rows["CUSTOMER_ID"].to_numpy(), bad_customers) & (chance < STOLEN_SHARE)
    scenario[stolen] = 3
    return rows.with_columns(
        TX_AMOUNT=np.where(stolen, (amount * STOLEN_FACTOR).round(2), amount),
        TX_FRAUD_SCENARIO=scenario.astype(np.int8),
    )


def compromised(seed: int, purpose: Purpose, among: int, rate: tuple[int, int], first: int, last: int) -> Ints:
    """The numbers, of `among`, that fall to fraudsters from day `first` to day `last`, both included.

    `rate` is how many a day out of how many; what is less than one a day falls on every second, third ... day.
    No day before EARLIEST may be asked for.
    """
    hits, out_of = rate
    fallen = [np.empty(0, dtype=np.int64)]
    for day in range(first, last + 1):
        count = (day + 1) * among * hits // out_of - day * among * hits // out_of
        if count:
            fallen.append(stream(seed, purpose, day).choice(among, size=min(count, among), replace=False))
    return np.unique(np.concatenate(fallen))


def _genuine(people: Population, day: int) -> pl.DataFrame:
    draw = stream(people.seed, Purpose.TRANSACTIONS, day)
    customer = np.repeat(np.arange(people.customers), draw.poisson(people.mean_transactions))
    second = draw.normal(NOON, SPREAD, len(customer)).astype(np.int64)
    within = (second > 0) & (second < SECONDS)  # what falls outside the day does not happen
    customer, second = customer[within], second[within]
    mean = people.mean_amount[customer]
    amount = draw.normal(mean, mean / 2)
    amount = np.where(amount < 0, draw.uniform(0, 2 * mean), amount).round(2)
    choice = (draw.random(len(customer)) * people.count[customer]).astype(np.int64)
    terminal = people.reach[people.first[customer] + choice]
    return pl.DataFrame(
        {"SECOND": second, "CUSTOMER_ID": customer.astype(np.int32), "TERMINAL_ID": terminal, "TX_AMOUNT": amount}
    )
