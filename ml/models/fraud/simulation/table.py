"""The simulated days as one Parquet file in the published raw form, written day by day in bounded memory."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
from polars.io.plugins import register_io_source
from rich.console import Console
from rich.progress import Progress

from ml.errors import StageError
from ml.files import replacing
from ml.models.fraud.simulation.day import SECONDS, transactions
from ml.models.fraud.simulation.population import populate
from ml.models.fraud.simulation.shifts import Shift, shifted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA: dict[str, pl.DataType] = {  # names and types of the Handbook's published transactions
    "TRANSACTION_ID": pl.Int32(),
    "TX_DATETIME": pl.Datetime("ns"),
    "CUSTOMER_ID": pl.Int32(),
    "TERMINAL_ID": pl.Int32(),
    "TX_AMOUNT": pl.Float64(),
    "TX_TIME_SECONDS": pl.Int32(),
    "TX_TIME_DAYS": pl.Int16(),
    "TX_FRAUD": pl.Int8(),
    "TX_FRAUD_SCENARIO": pl.Int8(),
}
ROW_GROUP = 262_144  # rows: what the writer holds back
MOST_ROWS = 2_000_000_000  # TRANSACTION_ID is Int32


@dataclass(frozen=True)
class Plan:
    """What to simulate. The default makes some 135,000 rows: a check stays short, and a test week has 100 frauds."""

    customers: int = 2_000
    terminals: int = 4_000
    days: int = 70
    start: date = date(2018, 4, 1)
    seed: int = 20261121
    shifts: tuple[Shift, ...] = ()

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns of the table: the published ones, and PAYMENT_METHOD when a shift brings it."""
        wallet = any(shift.kind == "new_payment_method" for shift in self.shifts)
        return SCHEMA | ({"PAYMENT_METHOD": pl.String()} if wallet else {})


def blocks(plan: Plan) -> Iterator[pl.DataFrame]:
    """One frame a day, in time order. Raises StageError when the plan cannot be held by the published types."""
    people = populate(plan.customers, plan.terminals, plan.seed)
    if (rows := people.mean_transactions.sum() * plan.days) > MOST_ROWS:
        message = f"about {rows:.0f} rows are asked for, more than {MOST_ROWS}; take fewer --customers or --days"
        raise StageError(message)
    next_id = 0
    for day in range(plan.days):
        rows_of_day = shifted(transactions(people, day), plan.shifts, people, day)
        block = _published(rows_of_day, plan, day, next_id)
        next_id += len(block)
        yield block


def _published(rows: pl.DataFrame, plan: Plan, day: int, next_id: int) -> pl.DataFrame:
    """The rows of a day in the published form: sorted by time, numbered from `next_id`, with the plan's columns."""
    midnight = datetime.combine(plan.start + timedelta(days=day), datetime.min.time())
    fresh = [name for name in plan.schema if name == "PAYMENT_METHOD" and name not in rows.columns]
    table = rows.sort("SECOND", "CUSTOMER_ID", "TX_AMOUNT").with_columns(
        pl.int_range(next_id, next_id + pl.len()).alias("TRANSACTION_ID"),
        (pl.lit(midnight, pl.Datetime("ns")) + pl.duration(seconds="SECOND", time_unit="ns")).alias("TX_DATETIME"),
        (pl.col("SECOND") + day * SECONDS).alias("TX_TIME_SECONDS"),
        pl.lit(day).alias("TX_TIME_DAYS"),
        (pl.col("TX_FRAUD_SCENARIO") > 0).alias("TX_FRAUD"),
        *(pl.lit(None, pl.String).alias(name) for name in fresh),
    )
    return table.select(pl.col(name).cast(kind) for name, kind in plan.schema.items())


def write(plan: Plan, path: Path) -> int:
    """Write the table to `path`, whole or not at all, and return its rows; a bar on stderr shows the days go by.

    Raises StageError for a plan that cannot be made, OSError when the disk refuses.
    """
    rows = 0

    def source(*_pushed_down: object) -> Iterator[pl.DataFrame]:
        nonlocal rows
        for block in blocks(plan):
            rows += len(block)
            progress.advance(task)
            yield block

    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with replacing(path) as part, bar as progress:
        task = progress.add_task(f"simulate {path.name}", total=plan.days)
        try:
            register_io_source(source, schema=plan.schema).sink_parquet(part, row_group_size=ROW_GROUP)
        except pl.exceptions.ComputeError as error:  # the writer's; what the source raises comes through as it is
            raise OSError(errno.EIO, str(error).rpartition(": ")[2], str(path)) from error
    return rows
