"""What one window is asked for, handed to every process that reads some of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ml.profiles.profile import Profile
from ml.windows.part import Part


@dataclass(frozen=True)
class Task:
    """The rows with `start` <= time < `end`, told against a reference.

    `slices` and `keep` are columns that predictions.parquet carries where the rows have them. `reach` is how long
    before the window rows are whose labels may still come.
    """

    model: str
    reference: Profile
    start: datetime
    end: datetime
    now: datetime
    binary: bool
    slices: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    reach: timedelta = timedelta(0)

    @property
    def carried(self) -> tuple[str, ...]:
        """Columns to carry, each once."""
        return tuple(dict.fromkeys((*self.keep, *self.slices)))

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """The slices to tell apart: those of the reference."""
        found = self.reference.slices
        return {name: tuple(found.get(name, {})) for name in self.slices}

    def empty(self) -> Part:
        """A part without rows."""
        return Part(Profile(self.model, "window", self.reference.model_hash))
