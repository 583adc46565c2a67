"""A small inference log of a model with two features, written by the server's own writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import polars as pl

from ml.profiles.profile import Profile
from ml.serve import log_files
from ml.windows.task import Task

KEY = b"k" * 32
START = datetime(2026, 11, 20, tzinfo=UTC)
END = START + timedelta(days=7)
HEADER = log_files.Header("shop", "mine", "mine", "stable", {"amount": "FP32", "town": "BYTES"}, {})


def write(
    log: Path,
    times: Sequence[datetime],
    *,
    name: str = "server-1",
    first: int = 0,
    header: log_files.Header = HEADER,
    seed: int = 0,
) -> list[Path]:
    """A request of one row at each time, with ids r<first>, r<first + 1>, … Returns the files."""
    random = np.random.default_rng(seed)
    lines = [
        orjson.dumps(
            [
                f"r{first + place}",
                0,
                time.timestamp(),
                [
                    [float(np.float32(random.lognormal(3, 1)))]
                    if kind != "BYTES"
                    else [str(random.choice(["Ulm", "Bern"]))]
                    for kind in header.columns.values()
                ],
                [float(random.random())],
            ]
        )
        for place, time in enumerate(times)
    ]
    made = []
    for hour, of_hour in log_files.by_hour(lines).items():
        path = log / log_files.path(header, hour, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(log_files.parquet(header, of_hour, KEY))
        made.append(path)
    return made


def every(minutes: float, rows: int, start: datetime = START) -> list[datetime]:
    return [start + timedelta(minutes=minutes * place) for place in range(rows)]


def reference(model_hash: str | None = "mine") -> Profile:
    """Of training rows like those of the log."""
    random = np.random.default_rng(9)
    rows = pl.DataFrame(
        {
            "amount": pl.Series(random.lognormal(3, 1, 2_000), dtype=pl.Float32),
            "town": random.choice(["Ulm", "Bern"], 2_000),
        }
    )
    made = Profile("shop", "train").with_rows(rows, rows.columns)
    made = made.with_scores(
        random.random(2_000),
        random.integers(0, 2, 2_000).astype(float),
        binary=True,
        beside=rows,
        values={"town": ("Ulm", "Bern")},
    )
    return replace(made, model_hash=model_hash)


TASK = Task("shop", reference(), START, END, END, binary=True, slices=("town",))
