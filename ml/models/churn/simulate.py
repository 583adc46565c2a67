"""Simulated telecom customers, some of whom leave in the month after the snapshot: the churn model's embedded data.

Columns, one row a customer:
customer_id Int64 (unique, rising) · gender "Female"/"Male" · senior, partner, dependents Int8 0/1 ·
tenure_months Int64 0..72 · contract "month-to-month"/"one-year"/"two-year" · payment_method "electronic-check"/
"mailed-check"/"bank-transfer"/"credit-card" · internet "dsl"/"fiber"/"none" · tech_support "yes"/"no"/"none" ("none"
exactly without internet) · monthly_charges Float64, dollars, > 0 · total_charges Float64, dollars, null exactly where
tenure is 0 · churn Int8 0/1.

The shares and the size of each effect follow the public telecom churn table that IBM published as a sample (7,043
customers, 26.5 % churn): who lives with a partner, who pays how, what fibre costs. Churn is a logistic hazard of the
next month, `EFFECTS` below: short tenure, a monthly contract, fibre without support, electronic checks and a price
that was raised drive customers away, with interactions (a price rise matters to the unbound alone; fibre is forgiven
under contract). What no column tells adds noise to the log-odds (UNSEEN).
Gender has no effect, so that a fairness gate has nothing to find until someone puts it there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml.files import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

OUT = Path("data/churn/customers.parquet")
ROWS = 7_000
SEED = 7
MONTHS = 72  # the longest tenure
UNSEEN = 1.0  # log-odds, standard deviation of what no column tells: it keeps the best AUC near that of real churn

EFFECTS: Mapping[str, float] = {
    "intercept": 0.05,
    "log(1 + tenure)": -0.55,
    "one-year": -1.1,
    "two-year": -2.2,
    "fiber": 0.55,
    "no internet": -0.9,
    "fiber, month-to-month": 0.7,
    "fiber, no support": 0.6,
    "electronic check": 0.45,
    "senior": 0.3,
    "dependents": -0.3,
    "partner, tenure over 2 years": -0.35,
    "price raised (per 10 dollars), month-to-month": 0.65,
}
"""Log-odds of leaving in the next month, per unit of each term."""


def simulate(rows: int = ROWS, seed: int = SEED) -> pl.DataFrame:
    """`rows` customers; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    senior = rng.random(rows) < 0.16
    partner = rng.random(rows) < 0.48
    dependents = rng.random(rows) < np.where(partner, 0.5, 0.09) * np.where(senior, 0.3, 1.0)
    contract = _pick(rng, ("month-to-month", "one-year", "two-year"), _contract_shares(senior, dependents))
    tenure = _tenure(rng, contract)
    internet = _pick(rng, ("dsl", "fiber", "none"), _internet_shares(senior))
    has_support = rng.random(rows) < 0.25 + 0.3 * (contract != "month-to-month") - 0.1 * (internet == "fiber")
    support = np.where(internet == "none", "none", np.where(has_support, "yes", "no"))
    methods = ("electronic-check", "mailed-check", "bank-transfer", "credit-card")
    payment = _pick(rng, methods, _payment_shares(contract, internet))
    monthly = _monthly(rng, internet, support)
    rise = np.where(rng.random(rows) < 0.35, rng.gamma(2.0, 3.0, rows), 0.0) * (internet != "none")
    log_odds = _log_odds(senior, partner, dependents, contract, tenure, internet, support, payment, rise)
    unseen = rng.normal(0.0, UNSEEN, rows)
    churn = rng.random(rows) < 1 / (1 + np.exp(-log_odds - unseen))
    average = np.maximum(monthly - rise, 15.0) * rng.normal(1.0, 0.02, rows)
    return pl.DataFrame(
        {
            "customer_id": np.arange(1, rows + 1, dtype=np.int64),
            "gender": np.where(rng.random(rows) < 0.495, "Female", "Male"),
            "senior": senior.astype(np.int8),
            "partner": partner.astype(np.int8),
            "dependents": dependents.astype(np.int8),
            "tenure_months": tenure,
            "contract": contract,
            "payment_method": payment,
            "internet": internet,
            "tech_support": support,
            "monthly_charges": np.round(monthly, 2),
            "total_charges": np.round(average * tenure, 2),
            "churn": churn.astype(np.int8),
        }
    ).with_columns(pl.when(pl.col("tenure_months") > 0).then("total_charges"))


def _pick(rng: np.random.Generator, names: tuple[str, ...], shares: NDArray[np.float64]) -> NDArray[np.str_]:
    """One name a row; `shares` [rows, names] need not add up to one."""
    edges = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    picked: NDArray[np.str_] = np.array(names)[(rng.random(len(shares))[:, None] > edges[:, :-1]).sum(axis=1)]
    return picked


def _contract_shares(senior: NDArray[np.bool_], dependents: NDArray[np.bool_]) -> NDArray[np.float64]:
    bound = np.where(dependents, 1.6, 0.85) * np.where(senior, 0.6, 1.0)
    return np.stack([np.full(senior.size, 0.55), 0.21 * bound, 0.24 * bound], axis=1)


def _internet_shares(senior: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(senior[:, None], [0.23, 0.72, 0.05], [0.36, 0.39, 0.25])


def _payment_shares(contract: NDArray[np.str_], internet: NDArray[np.str_]) -> NDArray[np.float64]:
    electronic = 0.24 + 0.2 * (internet == "fiber") + 0.1 * (contract == "month-to-month")
    mailed = 0.2 + 0.25 * (internet == "none")
    automatic = 0.16 + 0.12 * (contract != "month-to-month")
    return np.stack([electronic, mailed, automatic, automatic], axis=1)


def _tenure(rng: np.random.Generator, contract: NDArray[np.str_]) -> NDArray[np.int64]:
    """Months so far: the unbound are mostly new, two-year customers mostly old."""
    a = np.select([contract == "month-to-month", contract == "one-year"], [0.7, 2.2], 3.0)
    b = np.select([contract == "month-to-month", contract == "one-year"], [2.0, 1.6], 0.9)
    return np.floor(rng.beta(a, b) * (MONTHS + 1)).astype(np.int64).clip(0, MONTHS)


def _monthly(rng: np.random.Generator, internet: NDArray[np.str_], support: NDArray[np.str_]) -> NDArray[np.float64]:
    """Dollars a month: the line, support, and up to four extras."""
    line = np.select([internet == "dsl", internet == "fiber"], [47.0, 72.0], 20.0)
    extras = rng.binomial(4, 0.4, internet.size) * (internet != "none")
    charges: NDArray[np.float64] = line + 5.0 * (support == "yes") + 7.5 * extras + rng.normal(0, 1.2, internet.size)
    return charges


def _log_odds(
    senior: NDArray[np.bool_],
    partner: NDArray[np.bool_],
    dependents: NDArray[np.bool_],
    contract: NDArray[np.str_],
    tenure: NDArray[np.int64],
    internet: NDArray[np.str_],
    support: NDArray[np.str_],
    payment: NDArray[np.str_],
    rise: NDArray[np.float64],
) -> NDArray[np.float64]:
    unbound, fiber = contract == "month-to-month", internet == "fiber"
    terms: Mapping[str, NDArray[np.float64] | NDArray[np.bool_]] = {
        "intercept": np.ones(senior.size),
        "log(1 + tenure)": np.log1p(tenure),
        "one-year": contract == "one-year",
        "two-year": contract == "two-year",
        "fiber": fiber,
        "no internet": internet == "none",
        "fiber, month-to-month": fiber & unbound,
        "fiber, no support": fiber & (support == "no"),
        "electronic check": payment == "electronic-check",
        "senior": senior,
        "dependents": dependents,
        "partner, tenure over 2 years": partner & (tenure > 24),
        "price raised (per 10 dollars), month-to-month": rise / 10 * unbound,
    }
    total = np.zeros(senior.size)
    for name, term in terms.items():
        total += EFFECTS[name] * term
    return total


def main(argv: list[str] | None = None) -> None:
    """Write the customers to a Parquet file, whole or not at all."""
    parser = argparse.ArgumentParser(prog="python -m ml.models.churn.simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT, help=f"Parquet file to write (default {OUT})")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"customers (default {ROWS})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed (default {SEED})")
    arguments = parser.parse_args(argv)
    if arguments.rows < 1:
        parser.error(f"--rows is {arguments.rows}; expected at least 1")
    with replacing(arguments.out) as path:
        simulate(arguments.rows, arguments.seed).write_parquet(path)
    sys.stderr.write(f"{arguments.out}: {arguments.rows:,} customers, seed {arguments.seed}\n")


if __name__ == "__main__":
    main()
