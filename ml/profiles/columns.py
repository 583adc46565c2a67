"""One column's part of a profile: what it lacks, what it should not have, and the cells of its other values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from ml.profiles import keys as keyed
from ml.profiles.cells import CELLS, Cells
from ml.profiles.cells import merged as merged_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Kind = Literal["number", "category", "boolean"]
KINDS: tuple[Kind, ...] = ("number", "category", "boolean")


@dataclass(frozen=True)
class Column:
    """Counts of rows, and the cells of the values that are neither missing nor infinite.

    `unseen` and `out_of_range` are what a reference has not: another category, a number beyond its least or greatest.
    A boolean is counted as the number 0 or 1. `dtype` is polars' name; of parts that differ, each, by `|`.
    """

    kind: Kind
    dtype: str
    missing: int
    infinite: int
    unseen: int
    out_of_range: int
    least: float | None
    greatest: float | None
    cells: Cells

    @classmethod
    def of(cls, values: pl.Series, reference: Column | None = None) -> Column:
        """The profile of a column, in the kind of its reference: what cannot be read as a number is then missing.

        Raises TypeError where it holds neither numbers, texts nor booleans.
        """
        dtype = values.dtype
        if dtype.is_nested() or dtype in {pl.Binary, pl.Object}:
            raise TypeError(f"column '{values.name}' is {dtype}; expected numbers, texts or booleans")
        kind = reference.kind if reference else kind_of(dtype)
        name = "Categorical" if isinstance(dtype, pl.Categorical | pl.Enum) else str(dtype)
        if kind == "category":
            return _of_texts(values.cast(pl.String, strict=False), name, reference)
        return cls.of_numbers(numbers(values), kind, name, reference)

    @classmethod
    def of_numbers(
        cls, values: NDArray[np.float64], kind: Kind, dtype: str, reference: Column | None = None, limit: int = CELLS
    ) -> Column:
        """The profile of float64 values [n], NaN where one is missing."""
        missing = infinite = 0
        whole = np.isfinite(values)
        if not whole.all():
            missing = int(np.isnan(values).sum())
            infinite = values.size - missing - int(whole.sum())
            values = values[whole]
        least, greatest = (float(values.min()) + 0.0, float(values.max()) + 0.0) if values.size else (None, None)
        beyond = 0
        if reference is not None and reference.least is not None and reference.greatest is not None and values.size:
            beyond = int(((values < reference.least) | (values > reference.greatest)).sum())
        cells = Cells.of_numbers(values, limit)
        return cls(kind, dtype, missing, infinite, 0, beyond, least, greatest, cells)

    @property
    def rows(self) -> int:
        """All rows that were looked at."""
        return self.missing + self.infinite + self.cells.total

    def record(self) -> dict[str, Any]:
        """As in profile.json."""
        return {
            "kind": self.kind,
            "dtype": self.dtype,
            "missing": self.missing,
            "infinite": self.infinite,
            "unseen": self.unseen,
            "out_of_range": self.out_of_range,
            "min": self.least,
            "max": self.greatest,
            "cells": self.cells.record(),
        }

    @classmethod
    def parsed(cls, record: Mapping[str, Any]) -> Column:
        """The inverse of `record`. Raises KeyError, TypeError, ValueError or OverflowError on what is none."""
        kind = record["kind"]
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r}")
        least, greatest = (None if record[name] is None else float(record[name]) for name in ("min", "max"))
        return cls(
            kind,
            str(record["dtype"]),
            int(record["missing"]),
            int(record["infinite"]),
            int(record["unseen"]),
            int(record["out_of_range"]),
            least,
            greatest,
            Cells.parsed(record["cells"], categories=kind == "category"),
        )


def kind_of(dtype: pl.DataType) -> Kind:
    """What a column of a dtype is profiled as, where no reference says it."""
    if dtype == pl.Boolean:
        return "boolean"
    return "number" if dtype.is_numeric() or dtype == pl.Null else "category"


def numbers(values: pl.Series) -> NDArray[np.float64]:
    """A column as float64 [n], NaN where a value is missing or no number."""
    found: NDArray[np.float64] = values.cast(pl.Float64, strict=False).to_numpy()
    return found


def merged(one: Column, two: Column) -> Column:
    """Both together. Raises ValueError where one is of numbers and the other of categories."""
    if one.kind != two.kind:
        raise ValueError(f"a column of kind {one.kind} and one of kind {two.kind} cannot be merged")
    least = [each.least for each in (one, two) if each.least is not None]
    greatest = [each.greatest for each in (one, two) if each.greatest is not None]
    return Column(
        one.kind,
        "|".join(sorted({*one.dtype.split("|"), *two.dtype.split("|")})),
        one.missing + two.missing,
        one.infinite + two.infinite,
        one.unseen + two.unseen,
        one.out_of_range + two.out_of_range,
        min(least, default=None),
        max(greatest, default=None),
        merged_cells(one.cells, two.cells),
    )


def _of_texts(values: pl.Series, dtype: str, reference: Column | None) -> Column:
    counted = values.drop_nulls().rename("text").value_counts(name="count")
    counts = counted.get_column("count").to_numpy().astype(np.int64)
    texts = counted.get_column("text").to_list()
    keys = keyed.of_texts(texts)
    cells = Cells.of_keys(keys, texts, counts)
    unseen = 0
    if reference is not None:
        unseen = int(counts[~reference.cells.known(keys)].sum())
    return Column("category", dtype, values.null_count(), 0, unseen, 0, None, None, cells)
