"""Streams of rows by day, with what is known of when they change: real ones, the models' simulators' and a made one.

Each has a reference as training leaves it (features of the rows that were trained on; scores and labels of later rows
that were judged), and then days that are watched. `change` is the first of those days that is another than the
reference; None where nothing changes but the season, and where nobody has written down what does ("unlabelled").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

from ml.models.churn import features as churn
from ml.models.churn.simulate import simulate
from ml.models.fraud import features as fraud
from ml.models.fraud.simulation.shifts import KINDS, Shift
from ml.models.fraud.simulation.table import Plan, blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SCORE, LABEL, TIME = "score", "label", "time"
FIRST = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
Kind = Literal["stationary", "seasonal", "abrupt", "gradual", "unlabelled"]

HISTORY, TRAIN, DELAY, TEST = 37, 21, 7, 14  # days of the fraud model's split
WATCHED, CHANGED = 84, 42
YEAR = 365
YEARS = 2  # of each simulator
CUSTOMERS, TERMINALS = 400, 800  # some 800 transactions a day


@dataclass(frozen=True)
class Stream:
    """`train` has the features, `test` and each of `days` score and label as well. `window` is its length in days.

    Where test rows are as old as those of training, both have TIME, and the latter score and label too.
    """

    name: str
    kind: Kind
    train: Sequence[pl.DataFrame]
    test: pl.DataFrame
    days: Sequence[pl.DataFrame]
    features: tuple[str, ...]
    change: int | None = None
    delay: int = 0
    window: int = 7
    in_labels: bool = False
    """Whether the change shows in labels alone, so that nothing can be known of it before they come."""

    @property
    def start(self) -> datetime:
        """The first watched day."""
        return FIRST


def streams(words: Sequence[str] = ()) -> Iterator[Stream]:
    """Those whose name has one of the words, or all; one at a time, since some are large."""
    for name, make in makers().items():
        if not words or any(word in name for word in words):
            yield make()


def makers() -> dict[str, Callable[[], Stream]]:
    """What makes each stream, by its name."""
    found: dict[str, Callable[[], Stream]] = {}
    for seed in range(YEARS):
        found[f"fraud simulator, year {seed + 1}"] = partial(fraud_stationary, seed)
    for seed in range(YEARS):
        found[f"churn simulator, year {seed + 1}"] = partial(churn_stationary, seed)
    found |= {
        "Handbook, June to August": handbook,
        "elec2, after a whole year": elec2,
        "made year with seasons": seasons,
        "churn simulator with seasons": partial(churn_seasons, YEAR),
        "churn simulator with seasons: charges": partial(churn_seasons, WATCHED, CHANGED),
        "fraud simulator with seasons": partial(fraud_seasons, YEAR),
        "fraud simulator with seasons: amounts_inflate": partial(fraud_seasons, WATCHED, CHANGED),
    }
    found["car loans (NannyML)"] = car_loan
    for number in (1, 2, 3):
        found[f"SEA, change {number} of 3"] = partial(sea, number)
    for kind in KINDS:
        found[f"fraud simulator: {kind}"] = partial(fraud_shift, kind)
    return found


# --- the simulators --------------------------------------------------------------------------------


def fraud_stationary(seed: int) -> Stream:
    """A year in which the fraud simulator changes nothing."""
    frame = simulated(HISTORY + TRAIN + DELAY + TEST + YEAR, seed)
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


# --- real and published ones -----------------------------------------------------------------------


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
    first_changed, seen = 50_000, 0
    for change, part in enumerate(days):  # noqa: B007 - where the loop ends is what is asked
        seen += part.height
        if seen > first_changed:
            break
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


# --- parts -----------------------------------------------------------------------------------------


def even(frame: pl.DataFrame, rows: int) -> list[pl.DataFrame]:
    """Days of so many rows each."""
    return [frame[start : start + rows] for start in range(0, frame.height - rows + 1, rows)]


def scored(
    name: str,
    kind: Kind,
    train: Sequence[pl.DataFrame],
    test: Sequence[pl.DataFrame] | None,
    days: Sequence[pl.DataFrame],
    features: tuple[str, ...],
    change: int | None = None,
    delay: int = 0,
    window: int = 7,
    *,
    held: int = 3,
) -> Stream:
    """The stream with the scores of a histogram gradient boosting that learnt from `train`.

    Without `test`, each `held`-th day of the training period is kept for it, so that its seasons are known too.
    """
    learnt, tested = (list(train), list(test)) if test is not None else apart(train, held)
    score = fitted(pl.concat(learnt), features)
    known = learnt if test is not None else [score(day) if day.height else day for day in learnt]
    watched = score(pl.concat(list(days)))
    ends = np.cumsum([day.height for day in days])
    by_day = [watched[end - day.height : end] for day, end in zip(days, ends.tolist(), strict=True)]
    return Stream(name, kind, known, score(pl.concat(tested)), by_day, features, change, delay, window)


def apart(days: Sequence[pl.DataFrame], held: int) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """The days to learn from, as many as all, and each `held`-th one, whose rows are to be judged; rows have TIME."""
    timed = [
        day.with_columns((pl.lit(FIRST + timedelta(days=index - len(days)))).alias(TIME))
        for index, day in enumerate(days)
    ]
    return [day[:0] if index % held == 0 else day for index, day in enumerate(timed)], timed[::held]


def fitted(frame: pl.DataFrame, features: Sequence[str]) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A function that adds the scores of a model that learnt from `frame`."""
    texts = {
        name: frame.get_column(name).unique().sort().to_list() for name in features if frame.schema[name] == pl.String
    }
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)

    def matrix(rows: pl.DataFrame) -> NDArray[np.float64]:
        numbers = [
            pl.col(name).replace_strict(
                dict(zip(known, range(len(known)), strict=True)), default=None, return_dtype=pl.Float64
            )
            if (known := texts.get(name))
            else pl.col(name).cast(pl.Float64)
            for name in features
        ]
        return rows.select(numbers).to_numpy()

    model.fit(matrix(frame), frame.get_column(LABEL).to_numpy())
    return lambda rows: rows.with_columns(pl.Series(SCORE, model.predict_proba(matrix(rows))[:, 1]))
