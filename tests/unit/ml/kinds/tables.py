"""Small tables that the tests of `ml.kinds` share."""

from __future__ import annotations

import numpy as np
import polars as pl

from ml.kinds import splits
from ml.kinds.fitting import Table


def signal(rows: int = 600, seed: int = 3) -> pl.DataFrame:
    """A binary label that two numbers and a category tell something of, and a constant."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(10, 5, rows), rng.normal(0, 1, rows)
    kind = rng.choice(["x", "y", "z"], rows)
    odds = (a - 10) / 5 + 1.5 * b + 1.5 * (kind == "x") - 1.5
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "a": a,
            "b": b,
            "constant": np.ones(rows),
            "kind": kind,
            "label": (rng.random(rows) < 1 / (1 + np.exp(-2 * odds))).astype(np.int8),
        }
    )


def numeric(frame: pl.DataFrame) -> Table:
    """For a network: numbers alone."""
    return Table(frame, ("a", "b", "constant"), (), "label", splits.stable_hash(frame["id"], 1) / 2.0**64)


def mixed(frame: pl.DataFrame) -> Table:
    """For trees: numbers and a category."""
    return Table(frame, ("a", "b"), ("kind",), "label", splits.stable_hash(frame["id"], 1) / 2.0**64)


def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows, their labels dealt anew: there is nothing to learn."""
    return frame.with_columns(pl.col("label").shuffle(seed=5))
