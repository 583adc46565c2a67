"""How much of a model's score hangs on each feature: rows it was trained on, scored with one column shuffled at a time.

Permutation importance (Breiman 2001, doi.org/10.1023/A:1010933404324; model reliance in Fisher, Rudin and Dominici
2019, jmlr.org/papers/v20/18-760.html), of the score itself instead of a loss: a window has no labels yet.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from ci.adapters.onnx_model import OnnxModel
from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.core.drift.records import Drift

ROWS = 2_000
SEED = 20261127


def importance(name: str, onnx: bytes, trained_on: bytes) -> dict[str, float]:
    """Each feature's share of what the score moves by, in sum 1; all 0 for a model that looks at nothing.

    `trained_on` is the Parquet file of the rows that the model by these bytes was trained on. Raises
    ConfigurationError where it cannot score them.
    """
    import polars as pl  # noqa: PLC0415 - a quarter of a second, only where it is not known yet

    model = OnnxModel(onnx, name)
    rows = pl.read_parquet(io.BytesIO(trained_on))
    if missing := [column for column in model.columns if column not in rows.columns]:
        raise ConfigurationError(f"the rows that {name} was trained on have no column '{missing[0]}'.")
    rows = rows.select(model.columns).sample(min(ROWS, rows.height), seed=SEED)
    order, scores = np.random.default_rng(SEED).permutation(rows.height), model.score(rows)
    moved = {
        column: float(np.abs(model.score(rows.with_columns(rows[column][order])) - scores).mean())
        for column in model.columns
    }
    total = sum(moved.values())
    return {column: value / total if total else 0.0 for column, value in moved.items()}


def known(windows: Sequence[Drift], model_hash: str, columns: Sequence[str]) -> dict[str, float] | None:
    """What an earlier record says of the same model; None where none says it of all columns."""
    for one in reversed(windows):
        told: Mapping[str, float | None] = {row.column: row.importance for row in one.columns}
        if one.reference.model_hash == model_hash and all(told.get(column) is not None for column in columns):
            return {column: value for column, value in told.items() if value is not None}
    return None
