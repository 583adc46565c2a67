"""A window's profile and its drift beside a hand-written polars profile and Evidently's drift report, each a process.

python benchmarks/profile.py [--rows 1000000 10000000] [--rounds 3] [--evidently PYTHON]

The table has 20 columns: 14 of numbers, 5 of few texts, 1 of 20,000 texts. Seconds are of whole processes, from the
start of Python over the imports to the JSON, against a stored reference; in turn, and the median counts. Seconds of CPU
are told too, since a busy machine blurs the others. Goals: at most twice the hand-written profile, at least ten times
as fast as Evidently, and under 1.5 GB at 10 M rows.

Evidently runs in the Python that is named, or in this one where it is installed; else it is left out. It holds both
tables, so it is not run beyond 1 M rows.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

BLOCK = 262_144
NUMBERS = tuple(f"x{place}" for place in range(10))
COUNTS = tuple(f"k{place}" for place in range(4))
TEXTS = tuple(f"c{place}" for place in range(5))
SHOP = "shop"
BINS = 50
EVIDENTLY_ROWS = 1_000_000


def write(path: Path, rows: int, seed: int) -> None:
    """The seeded table, made and written block by block; row groups of BLOCK rows."""
    import numpy as np  # noqa: PLC0415 - no part of what is timed
    import pyarrow as pa  # noqa: PLC0415 - as above
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    random = np.random.default_rng(seed)
    writer = None
    for start in range(0, rows, BLOCK):
        size = min(BLOCK, rows - start)
        table = pa.table(
            {
                **{name: random.lognormal(0, 1, size) for name in NUMBERS[:5]},
                **{name: random.normal(0, 1, size) for name in NUMBERS[5:]},
                **{name: random.poisson(5 + 20 * place, size) for place, name in enumerate(COUNTS)},
                **{name: np.array([f"kind-{i}" for i in range(5)])[random.integers(0, 5, size)] for name in TEXTS},
                SHOP: np.array([f"shop-{i}" for i in range(20_000)])[random.integers(0, 20_000, size)],
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None
    writer.close()


def ours(window: Path, reference: Path, out: Path) -> None:
    """ml.profiles, some rows at a time, against profile.json of the reference, to which it is held by ci.core.drift."""
    import polars as pl  # noqa: PLC0415 - cold start is timed

    from ml.profiles.profile import Profile  # noqa: PLC0415 - as above
    from ml.windows.store import slices  # noqa: PLC0415 - as above

    known = Profile.read(reference) if reference.suffix == ".json" else None
    profile = Profile("m", "window" if known else "train")
    for rows in slices(pl.scan_parquet(window), BLOCK):
        profile = profile.with_rows(rows, rows.columns, reference=known)
    profile.write(out)
    if known:
        from ci.core.drift.judge import judge  # noqa: PLC0415 - as above
        from ci.core.drift.profiles import parse_profile  # noqa: PLC0415 - as above
        from ci.core.drift.rules import Rules  # noqa: PLC0415 - as above

        sides = [parse_profile(json.loads(path.read_bytes()), path.name) for path in (reference, out)]
        now = datetime(2026, 11, 28, tzinfo=UTC)
        drift = judge(*sides, Rules(), now=now, span=(now - timedelta(days=7), now))
        assert len(drift.columns) == len(NUMBERS) + len(COUNTS) + len(TEXTS) + 1
        out.with_suffix(".drift").write_text(drift.model_dump_json())


def by_hand(window: Path, reference: Path, out: Path) -> None:
    """One streaming pass of polars: ends, missing values, counts in bins of the reference and of categories."""
    import polars as pl  # noqa: PLC0415 - cold start is timed

    known = json.loads(reference.read_bytes())["columns"]
    frame = pl.scan_parquet(window)
    numbers = (*NUMBERS, *COUNTS)
    queries = [
        frame.select(
            pl.len(),
            *(pl.col(name).null_count().name.suffix("_missing") for name in (*numbers, *TEXTS, SHOP)),
            *(pl.col(name).min().name.suffix("_min") for name in numbers),
            *(pl.col(name).max().name.suffix("_max") for name in numbers),
        )
    ]
    for name in numbers:
        low, high = known[name]["min"], known[name]["max"]
        place = ((pl.col(name) - low) / (high - low) * BINS).floor().clip(-1, BINS).cast(pl.Int8)
        queries.append(frame.group_by(place.alias(name)).len())
    queries += [frame.group_by(name).len() for name in (*TEXTS, SHOP)]
    ends, *counts = pl.collect_all(queries, engine="streaming")
    profile = {"ends": ends.row(0, named=True), "counts": {each.columns[0]: each.rows() for each in counts}}
    out.write_text(json.dumps(profile))


def evidently(window: Path, reference: Path, out: Path) -> None:
    """Evidently's DataDriftPreset at its defaults, as JSON; the reference is a table."""
    import pandas as pd  # noqa: PLC0415 - cold start is timed
    from evidently import Report  # noqa: PLC0415 - as above
    from evidently.presets import DataDriftPreset  # noqa: PLC0415 - as above

    table = reference.with_name("reference.parquet")
    found = Report([DataDriftPreset()]).run(pd.read_parquet(window), pd.read_parquet(table))
    out.write_text(found.json())


WAYS = {"ours": ours, "by_hand": by_hand, "evidently": evidently}


def measured(python: str, way: str, window: Path, reference: Path, out: Path) -> tuple[float, float, float]:
    """Seconds, seconds of CPU and peak memory in MB of a process that does it."""
    started = time.perf_counter()
    with subprocess.Popen([python, __file__, "--one", way, window, reference, out]) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, way
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compare(rows: int, rounds: int, python: str | None) -> None:
    """Print medians, memory and ratios for a window of so many rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, height, seed in (("reference", min(rows, EVIDENTLY_ROWS), 1), ("window", rows, 2)):
            making = [sys.executable, __file__, "--write", folder / f"{file}.parquet", str(height), str(seed)]
            subprocess.run(making, check=True)  # elsewhere: a child's peak memory begins with its parent's
        reference, out = folder / "reference.json", folder / "out.json"
        measured(sys.executable, "ours", folder / "reference.parquet", folder / "reference.parquet", reference)
        ways = {"by_hand": sys.executable, "ours": sys.executable}
        found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, runs in ways.items():
                found[way].append(measured(runs, way, folder / "window.parquet", reference, out))
                if way == "ours":
                    size = out.stat().st_size
        if python and rows <= EVIDENTLY_ROWS:  # once: it takes a minute
            found["evidently"] = [measured(python, "evidently", folder / "window.parquet", reference, out)]
    seconds, cpu = (
        {way: statistics.median(run[each] for run in runs) for way, runs in found.items()} for each in (0, 1)
    )
    print(f"{rows:,} rows; profile.json has {size / 1000:.0f} kB")
    for way, runs in found.items():
        memory = max(run[2] for run in runs)
        ratio, effort = seconds[way] / seconds["ours"], cpu[way] / cpu["ours"]
        times = f"{ratio:5.2f} times ours; {cpu[way]:6.2f} s of CPU, {effort:5.2f} times ours"
        print(f"  {way:10} {seconds[way]:7.2f} s, {times}; {memory:6.0f} MB")


def main() -> None:
    """Compare, or be one of the processes."""
    if sys.argv[1:2] == ["--one"]:
        WAYS[sys.argv[2]](*map(Path, sys.argv[3:]))
        return
    if sys.argv[1:2] == ["--write"]:
        write(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evidently", metavar="PYTHON", help="a Python that has Evidently")
    arguments = parser.parse_args()
    here = sys.executable if importlib.util.find_spec("evidently") else None
    python = arguments.evidently or here
    if python is None:
        print("Evidently is not installed here and no other Python is named: it is left out")
    for rows in arguments.rows:
        compare(rows, arguments.rounds, python)


if __name__ == "__main__":
    main()
