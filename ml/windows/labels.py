"""Labels that arrive later, by the id of their rows: two numbers a label, so that many fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ml.errors import StageError, did_you_mean
from ml.profiles.profile import hashes
from ml.profiles.times import micros_of
from ml.windows.store import Store, line, slices

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

AT_ONCE = 524_288


@dataclass(frozen=True)
class Labels:
    """The label of each known row, by its hashed id, ascending; `damaged` are files that could not be read.

    `times` is when each became known, in microseconds; None where not all labels say so.
    """

    keys: NDArray[np.uint64]
    values: NDArray[np.float64]
    read: int
    times: NDArray[np.int64] | None = None
    damaged: dict[str, str] = field(default_factory=dict)

    def of(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The label of each row [n], NaN where none is known; and which of these labels [labels] were found."""
        used = np.zeros(self.keys.size, bool)
        if not self.keys.size:
            return np.full(keys.size, np.nan), used
        places = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        known = self.keys[places] == keys
        used[places[known]] = True
        return np.where(known, self.values[places], np.nan), used

    def keep(self, folder: Path) -> Path:
        """Write them where other processes can look at them without a copy of their own."""
        np.save(folder / "keys.npy", self.keys)
        np.save(folder / "values.npy", self.values)
        return folder


def kept(folder: Path) -> Labels:
    """What `keep` wrote, read as it is needed."""
    keys, values = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("keys", "values"))
    return Labels(keys, values, keys.size)


def keys_of(ids: pl.Series, rows: pl.Series | None = None) -> NDArray[np.uint64]:
    """A hash of each row's id [n] and its place within its request."""
    place = pl.lit(0, pl.Int64) if rows is None else rows.cast(pl.Int64)
    return hashes(pl.DataFrame({"id": ids.cast(pl.String)}).with_columns(place.alias("row")))


def read(url: str, *, binary: bool) -> Labels:
    """All labels under a URL: id, label, perhaps row (of a request, else 0) and time.

    Of several for one row the latest counts, by time where all have one, else the last in the order of files and rows.
    Raises StageError where there are none, a column is missing, or a label of a binary task is neither 0 nor 1.
    """
    store = Store(url)
    files = store.parquet()
    if not files:
        raise StageError(f"there are no labels at {store.shown}: no Parquet file is there; correct drift.labels")
    parts, damaged = [], {}
    for file in files:
        try:
            parts += [_part(rows, file, binary=binary) for rows in slices(store.scan(file), AT_ONCE)]
        except (pl.exceptions.PolarsError, OSError) as error:
            damaged[store.name(file)] = line(error)
    keys = np.concatenate([part[0] for part in parts] or [np.zeros(0, np.uint64)])
    values = np.concatenate([part[1] for part in parts] or [np.zeros(0)])
    times = np.concatenate([part[2] for part in parts] or [np.zeros(0, np.int64)])
    if undated := any(not part[3] for part in parts):
        times = np.zeros(keys.size, np.int64)
    order = np.lexsort((times, keys))  # stable: the last of one time stays the last
    keys = keys[order]
    last = np.r_[keys[1:] != keys[:-1], np.ones(min(keys.size, 1), bool)]
    return Labels(keys[last], values[order][last], keys.size, None if undated else times[order][last], damaged)


def unknown(labels: Labels, used: NDArray[np.bool_], start: datetime, elsewhere: Iterable[NDArray[np.uint64]]) -> int:
    """How many labels, none of those `used` [labels], are of an id that no row has.

    What was known before the window's `start` is of an earlier row. `elsewhere` are hashed ids of other rows, read
    until all labels have theirs.
    """
    left = ~used
    if labels.times is not None:
        left &= labels.times >= round(start.timestamp() * 1e6)
    keys = labels.keys[left]
    found = iter(elsewhere)
    while keys.size and (more := next(found, None)) is not None:
        keys = keys[~np.isin(keys, more)]
    return keys.size


Part = tuple["NDArray[np.uint64]", "NDArray[np.float64]", "NDArray[np.int64]", bool]


def _part(rows: pl.DataFrame, file: str, *, binary: bool) -> Part:
    for name in ("id", "label"):
        if name not in rows.columns:
            raise StageError(
                f"the labels {file} have no column '{name}'; {did_you_mean(name, rows.columns)}", file=file
            )
    rows = rows.filter(pl.col("label").is_not_null() & pl.col("id").is_not_null())
    values = rows.get_column("label").cast(pl.Float64, strict=False)
    strange = rows.filter(~values.is_finite().fill_null(value=False) | (~values.is_in([0.0, 1.0]) & binary))
    if strange.height:
        expected = "0 or 1" if binary else "a number"
        found = f"a label is {strange.item(0, 'label')!r} (id {strange.item(0, 'id')})"
        raise StageError(f"{file}: {found}; expected {expected}; mend the labels", file=file)
    times = None
    if "time" in rows.columns:
        try:
            times = micros_of(rows.get_column("time")).fill_null(0)
        except TypeError as error:
            raise StageError(f"{file}: {error}; mend the labels", file=file) from error
    ids = rows.get_column("id")
    if ids.dtype.is_float() and (ids == ids.round()).all():  # what pandas makes of integers where one is missing
        ids = ids.cast(pl.Int64)
    keys = keys_of(ids, rows.get_column("row") if "row" in rows.columns else None)
    moments = np.zeros(rows.height, np.int64) if times is None else times.to_numpy()
    return keys, values.to_numpy(), moments, times is not None
