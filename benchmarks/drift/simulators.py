"""Streams of the models' simulators, and a made one: nothing changes in them but what they are told to."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.drift.streams import LABEL, YEAR, Kind, Stream, even, scored
from ml.models.churn import features as churn
from ml.models.churn.simulate import simulate
from ml.models.fraud import features as fraud
from ml.models.fraud.simulation.shifts import KINDS, Shift
from ml.models.fraud.simulation.table import Plan, blocks

if TYPE_CHECKING:
    from collections.abc import Callable

HISTORY, TRAIN, DELAY, TEST = 37, 21, 7, 14  # days of the fraud model's split
WATCHED, CHANGED = 84, 42
YEARS = 2  # of each simulator
CUSTOMERS, TERMINALS = 400, 800  # some 800 transactions a day


def makers() -> dict[str, Callable[[], Stream]]:
    """What makes each stream, by its name."""
    found: dict[str, Callable[[], Stream]] = {}
    for seed in range(YEARS):
        found[f"fraud simulator, year {seed + 1}"] = partial(fraud_stationary, seed)
    for seed in range(YEARS):
        found[f"churn simulator, year {seed + 1}"] = partial(churn_stationary, seed)
    found |= {
        "made year with seasons": seasons,
        "churn simulator with seasons": partial(churn_seasons, YEAR),
        "churn simulator with seasons: charges": partial(churn_seasons, WATCHED, CHANGED),
        "fraud simulator with seasons": partial(fraud_seasons, YEAR),
        "fraud simulator with seasons: amounts_inflate": partial(fraud_seasons, WATCHED, CHANGED),
    }
    for kind in KINDS:
        found[f"fraud simulator: {kind}"] = partial(fraud_shift, kind)
    return found


def fraud_stationary(seed: int, size: int = 1) -> Stream:
    """A year in which the fraud simulator changes nothing, in a bank of `size` times the size."""
    frame = simulated(HISTORY + TRAIN + DELAY + TEST + YEAR, seed, size=size)
    return of_fraud(f"fraud simulator, year {seed + 1}", "stationary", frame, HISTORY)


def fraud_shift(kind: str) -> Stream:
    """One of the simulator's shifts, at its own strength.

    Frauds of a new kind show in labels alone, and those are judged where there are 200 of each class: they come in a
    bank of eight times the size.
    """
    day = HISTORY + TRAIN + DELAY + TEST + CHANGED
    shift = Shift(kind, day, KINDS[kind].strength)
    in_labels = kind == "new_fraud_scenario"
    size = 8 if in_labels else 1
    frame = simulated(day - CHANGED + WATCHED, 11 + [*KINDS].index(kind), shift, size=size)
    sort: Kind = "gradual" if kind == "new_payment_method" else "abrupt"
    found = of_fraud(f"fraud simulator: {kind}", sort, frame, HISTORY, change=CHANGED)
    return replace(found, in_labels=in_labels)


def simulated(days: int, seed: int, *shifts: Shift, size: int = 1) -> pl.DataFrame:
    """Transactions with their features, DAY counted from the first."""
    plan = Plan(customers=size * CUSTOMERS, terminals=size * TERMINALS, days=days, seed=seed, shifts=shifts)
    raw = pl.concat(list(blocks(plan)))
    return fraud.features(raw).rename({"TX_TIME_DAYS": "DAY"})


def of_fraud(name: str, kind: Kind, frame: pl.DataFrame, first: int, change: int | None = None) -> Stream:
    """The stream after the fraud model's split that begins on day `first`."""
    labelled = frame.with_columns(pl.col(fraud.LABEL).alias(LABEL))
    days = labelled.partition_by("DAY", as_dict=True, include_key=False)
    by_day = [days[key] for key in sorted(days) if int(key[0]) >= first]
    train, rest = by_day[:TRAIN], by_day[TRAIN + DELAY :]
    return scored(name, kind, train, rest[:TEST], rest[TEST:], fraud.FEATURES, change, delay=DELAY)


def fraud_seasons(watched: int, change: int | None = None) -> Stream:
    """Two years of the fraud simulator whose amounts and numbers follow the year, the first of them the reference.

    Amounts go up and down by a quarter, and half as many payments are made in one season as in another; windows are of
    14 days, since 7 have some 30 frauds, which cluster. From `change` on, all amounts are times 1.5.
    """
    first, days = HISTORY + YEAR, HISTORY + YEAR + watched
    shifts = () if change is None else (Shift("amounts_inflate", first + change, KINDS["amounts_inflate"].strength),)
    raw = pl.concat(list(blocks(Plan(customers=CUSTOMERS, terminals=TERMINALS, days=days, seed=29, shifts=shifts))))
    season = (2 * np.pi * pl.col("TX_TIME_DAYS") / YEAR).sin()
    kept = pl.Series(np.random.default_rng(29).random(raw.height)) < raw.select(0.75 + 0.25 * season).to_series()
    raw = raw.with_columns(pl.col("TX_AMOUNT") * (1 + 0.25 * season)).filter(kept)
    frame = fraud.features(raw).rename({"TX_TIME_DAYS": "DAY"}).with_columns(pl.col(fraud.LABEL).alias(LABEL))
    parts = frame.partition_by("DAY", as_dict=True, include_key=False)
    by_day = [parts[key] for key in sorted(parts) if int(key[0]) >= HISTORY]
    name = "fraud simulator with seasons" + ("" if change is None else ": amounts_inflate")
    kind: Kind = "seasonal" if change is None else "abrupt"
    return scored(name, kind, by_day[:YEAR], None, by_day[YEAR:], fraud.FEATURES, change, delay=DELAY, window=14)


def churn_stationary(seed: int) -> Stream:
    """A year of 200 customers a day, in which the churn simulator changes nothing."""
    raw = simulate(7_000 + 200 * YEAR, seed=1_000 + seed)
    frame = churn.features(raw).with_columns(pl.col("churn").alias(LABEL))
    train, test, rest = frame[:4_900], frame[4_900:7_000], frame[7_000:]
    columns = (*churn.FEATURES, *churn.CATEGORICAL)
    return scored(f"churn simulator, year {seed + 1}", "stationary", [train], [test], even(rest, 200), columns)


def churn_seasons(watched: int, change: int | None = None) -> Stream:
    """Two years of some 300 customers a day, the first of them the reference.

    In one season they are those whose charges are high, in the other those whose charges are low, and with them who
    leaves. From `change` on, all charges are times 1.2.
    """
    asked, days = 600, YEAR + watched
    raw = simulate(asked * days, seed=31).with_columns(DAY=pl.int_range(pl.len()) // asked)
    charges = raw["monthly_charges"]
    high = ((charges - charges.mean()) / charges.std()).to_numpy()
    wanted = 1 / (1 + np.exp(-1.5 * np.sin(2 * np.pi * raw["DAY"].to_numpy() / YEAR) * high))
    kept = pl.Series(np.random.default_rng(31).random(raw.height) < wanted)
    if change is not None:
        later = pl.when(pl.col("DAY") < YEAR + change).then(1.0).otherwise(1.2)
        raw = raw.with_columns(pl.col("monthly_charges") * later)
    frame = churn.features(raw).with_columns(pl.col("churn").alias(LABEL)).filter(kept)
    parts = frame.partition_by("DAY", maintain_order=True, include_key=False)
    name = "churn simulator with seasons" + ("" if change is None else ": charges")
    kind: Kind = "seasonal" if change is None else "abrupt"
    columns = (*churn.FEATURES, *churn.CATEGORICAL)
    return scored(name, kind, parts[:YEAR], None, parts[YEAR:], columns, change)


def seasons() -> Stream:
    """Two made years of 300 rows a day, the first the reference: two columns follow year and week, one does not."""
    rng = np.random.default_rng(5)
    days = []
    for day in range(2 * YEAR):
        year, week = np.sin(2 * np.pi * day / YEAR), float(day % 7 >= 5)
        warm, load, other = (
            rng.normal(15 + 10 * year, 4, 300),
            rng.gamma(4 + 2 * week, 1 + 0.4 * year, 300),
            rng.normal(size=300),
        )
        label = rng.random(300) < 1 / (1 + np.exp(2 - 0.05 * warm - 0.2 * load - other))
        days.append(pl.DataFrame({"warm": warm, "load": load, "other": other, LABEL: label.astype(np.int8)}))
    columns = ("warm", "load", "other")
    return scored("made year with seasons", "seasonal", days[:YEAR], None, days[YEAR:], columns)
