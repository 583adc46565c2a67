"""The sets of rows that gates look at, whole and by slice, each measured once for all that is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ci.core.errors import ConfigurationError
from ci.core.gating import names
from ci.core.statistics.measure import Measured, Resampling, measure
from ci.core.statistics.metrics import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.gating.evidence import Comparison
    from ci.core.gating.gateparams import Gate
    from ci.core.records import Task
    from ci.core.statistics.metrics import Metric
    from ci.core.statistics.rows import Rows

MOST_SLICES = 50


@dataclass(frozen=True)
class Slice:
    """One value of a column."""

    column: str
    value: str

    @property
    def words(self) -> str:
        """As reports show it."""
        return names.slice_of(self.column, self.value)


@dataclass(frozen=True)
class Population:
    """A set of rows, whole (`slice` None) or a slice, with its metrics.

    `paired` are measured on the rows that the baseline has too: the same object where that is all of them.
    """

    slice: Slice | None
    n: int
    measured: dict[Metric, Measured]
    paired: dict[Metric, Measured] | None


def slices(rows: Rows, column: str) -> tuple[Slice, ...]:
    """The slices of a column, in the order of its values. Raises ConfigurationError when they are too many."""
    values = rows.columns[column]
    present = np.unique(values.codes)
    if len(present) > MOST_SLICES:
        raise ConfigurationError(
            f"column {column} has {len(present):,} values, and at most {MOST_SLICES} make slices; "
            "band it in the model's features.py."
        )
    return tuple(Slice(column, value) for value in sorted(values.values[code] for code in present))


def populations(
    gates: Sequence[Gate], task: Task, rows: Rows, comparison: Comparison, how: Resampling
) -> dict[Slice | None, Population]:
    """The whole with what reports show and gates ask of it, and every slice that a gate asks for."""
    asked: dict[Slice | None, dict[Metric, None]] = {None: dict.fromkeys(shown(task))}
    for gate in gates:
        if gate.metric.kind.family == "record":
            continue
        parts: list[Slice | None] = [one for column in gate.slices for one in slices(rows, column)]
        for part in parts or [None]:
            asked.setdefault(part, {})[gate.metric] = None
    return {part: _population(part, tuple(metrics), rows, comparison, how) for part, metrics in asked.items()}


def _population(
    part: Slice | None, metrics: tuple[Metric, ...], rows: Rows, comparison: Comparison, how: Resampling
) -> Population:
    name = part.words if part else "all"
    mine = _within(part, rows)
    own, pairing = rows.take(mine), comparison.pairing
    if pairing is None:
        return Population(part, len(own), measure(own, None, metrics, how, name), None)
    index = _within(part, pairing.rows)
    shared, baseline = pairing.rows.take(index), pairing.baseline[index]
    if len(shared) == len(own):
        both = measure(own, baseline, metrics, how, name)
        return Population(part, len(own), both, both)
    paired = measure(shared, baseline, metrics, how, f"{name} shared") if len(shared) else None
    return Population(part, len(own), measure(own, None, metrics, how, name), paired)


def _within(part: Slice | None, rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Positions of the rows of a slice."""
    if part is None:
        return np.arange(len(rows))
    column = rows.columns[part.column]
    return np.flatnonzero(column.codes == column.values.index(part.value))
