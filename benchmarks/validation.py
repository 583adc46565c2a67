"""Validation beside a hand-written polars pass over the same Parquet file: seconds, peak memory, ratios.

python benchmarks/validation.py [--rows 1000000 10000000] [--rounds 5]

The table has 20 columns and 18 rules besides types and nulls. Each pass runs in a process of its own, in turn, so that
its peak memory is its own; imports and a first pass over 1,000 rows are not timed. The goal is a ratio of at most 3 to
the faster hand-written pass, and memory that does not grow with the rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandera.polars as pa
import polars as pl
from pandera.polars import PolarsData
from polars.io.plugins import register_io_source

from ml.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

BLOCK, ROW_GROUP = 500_000, 262_144
KINDS = ["card", "cash", "wire", "other"]
START = 1_522_540_800_000_000  # microseconds
BOUND = {"min_value": -50.0, "max_value": 50.0}
KEY = {"min_value": 0, "max_value": 9_999}


class Table(pa.DataFrameModel):
    """20 columns; rules: 1 unique, 1 order, 1 label rate, 8 ranges, 5 categories, 2 across columns."""

    id: pl.Int64 = pa.Field(unique=True, ge=0)
    at: pl.Datetime = pa.Field(metadata={"sorted": True})
    label: pl.Int8 = pa.Field(isin=[0, 1], metadata={"label_rate": (0.001, 0.05)})
    flag: pl.Int8 = pa.Field(isin=[0, 1])
    a: pl.String = pa.Field(isin=KINDS)
    b: pl.String = pa.Field(isin=KINDS)
    c: pl.String = pa.Field(nullable=True, isin=KINDS)
    x0: pl.Float64 = pa.Field(in_range=BOUND)
    x1: pl.Float64 = pa.Field(in_range=BOUND)
    x2: pl.Float64 = pa.Field(in_range=BOUND)
    x3: pl.Float64 = pa.Field(in_range=BOUND)
    x4: pl.Float64
    x5: pl.Float64
    x6: pl.Float64
    x7: pl.Float64
    k0: pl.Int32 = pa.Field(in_range=KEY)
    k1: pl.Int32 = pa.Field(in_range=KEY)
    k2: pl.Int32 = pa.Field(in_range=KEY)
    k3: pl.Int32
    k4: pl.Int32

    @pa.dataframe_check
    @classmethod
    def near(cls, data: PolarsData) -> pl.LazyFrame:
        """x0 is not far above x1."""
        return data.lazyframe.select(pl.col("x0") < pl.col("x1") + 100)

    @pa.dataframe_check
    @classmethod
    def ordered(cls, data: PolarsData) -> pl.LazyFrame:
        """k3 is not above k4."""
        return data.lazyframe.select(pl.col("k3") <= pl.col("k4"))


def write(path: Path, rows: int) -> None:
    """The seeded table, made and written block by block."""
    schema = {name: column.dtype.type for name, column in Table.to_schema().columns.items()}

    def blocks(*_ignored: object) -> Iterator[pl.DataFrame]:
        for first in range(0, rows, BLOCK):
            yield block(first, min(BLOCK, rows - first)).select(
                pl.col(name).cast(dtype) for name, dtype in schema.items()
            )

    register_io_source(blocks, schema=schema).sink_parquet(path, row_group_size=ROW_GROUP)


def block(first: int, rows: int) -> pl.DataFrame:
    """Rows `first` onwards."""
    draw = np.random.default_rng([2026, first])
    number = np.arange(first, first + rows)
    k3 = draw.integers(0, 5_000, rows)
    columns: dict[str, NDArray[Any]] = {
        "id": number,
        "at": START + number * 1_000_000,
        "label": draw.random(rows) < 0.01,
    }
    columns |= {"flag": draw.random(rows) < 0.5}
    columns |= {name: np.array(KINDS)[draw.integers(0, 4, rows)] for name in "abc"}
    columns |= {f"x{i}": draw.normal(size=rows) for i in range(8)}
    columns |= {f"k{i}": draw.integers(0, 10_000, rows) for i in range(3)}
    return pl.DataFrame(columns | {"k3": k3, "k4": k3 + draw.integers(0, 10, rows)})


def by_hand() -> list[pl.Expr]:
    """The same questions in one select, each answered by how many rows are wrong."""
    col = pl.col
    names = list(Table.to_schema().columns)
    return [
        *(col(name).is_null().sum().alias(f"{name} null") for name in names if name != "c"),
        *(col(f"x{i}").is_nan().sum().alias(f"x{i} nan") for i in range(8)),
        (pl.len() - col("id").n_unique()).alias("id unique"),
        (col("id") < 0).sum().alias("id ge"),
        (col("at") < col("at").shift(1)).sum().alias("at sorted"),
        (1 - col("label").mean().is_between(0.001, 0.05).cast(pl.Int32)).alias("label rate"),
        *((~col(name).is_in([0, 1])).sum().alias(f"{name} isin") for name in ("label", "flag")),
        *((~col(name).is_in(KINDS)).sum().alias(f"{name} isin") for name in "abc"),
        *((~col(f"x{i}").is_between(-50, 50)).sum().alias(f"x{i} range") for i in range(4)),
        *((~col(f"k{i}").is_between(0, 9_999)).sum().alias(f"k{i} range") for i in range(3)),
        (~(col("x0") < col("x1") + 100)).sum().alias("near"),
        (~(col("k3") <= col("k4"))).sum().alias("ordered"),
    ]


def hand(path: Path) -> int:
    """Everything in memory."""
    return int(pl.read_parquet(path).select(by_hand()).sum_horizontal().item())


def streaming(path: Path) -> int:
    """The same expressions in polars' streaming engine."""
    return int(pl.scan_parquet(path).select(by_hand()).collect(engine="streaming").sum_horizontal().item())


def ours(path: Path) -> int:
    """The pandera model, chunk by chunk."""
    return len(validate(path, Table).violations)


PASSES: dict[str, Callable[[Path], int]] = {"hand": hand, "hand, streaming": streaming, "ours": ours}


def timed(name: str, path: Path, small: Path) -> dict[str, float]:
    """Seconds and peak MB of one pass in this process."""
    PASSES[name](small)
    started = time.perf_counter()
    wrong = PASSES[name](path)
    seconds = time.perf_counter() - started
    assert wrong == 0, f"{name} found {wrong} violations in clean data"
    return {"seconds": seconds, "peak": peak_mb()}


def peak_mb() -> float:
    """The process's peak memory; from Linux's own file, as getrusage counts in the parent of a fork."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def compare(rows: int, rounds: int) -> None:
    """Print a line for each pass."""
    with tempfile.TemporaryDirectory() as folder:
        path, small = Path(folder, "table.parquet"), Path(folder, "small.parquet")
        write(path, rows)
        write(small, 1_000)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in PASSES}
        for _ in range(rounds):
            for name, seen in runs.items():
                command = [sys.executable, __file__, "--one", name, str(path), str(small)]
                seen.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    seconds = {name: statistics.median(run["seconds"] for run in seen) for name, seen in runs.items()}
    print(f"{rows:,} rows x {len(Table.to_schema().columns)} columns, median of {rounds} rounds")
    for name, seen in runs.items():
        ratio = seconds["ours"] / seconds[name]
        peak = max(run["peak"] for run in seen)
        print(f"  {name:16} {seconds[name]:7.3f} s  peak {peak:6.0f} MB  ours is {ratio:.2f} x")


def main() -> None:
    """Read the arguments; `--one` is how a pass is run in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, path, small = given.one
        print(json.dumps(timed(name, Path(path), Path(small))))
        return
    for rows in given.rows:
        compare(rows, given.rounds)


if __name__ == "__main__":
    main()
