"""What is kept of a model's retraining between two looks: when trainings were asked for, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ci.core.lineage import TRAINING
from ci.core.records import Part, Record, Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

How = Literal["merged", "closed", "withdrawn"]


class Pin(Part):
    """What a `.dvc` file says of a folder of data."""

    md5: str
    size: int | None = None
    nfiles: int | None = None


class Rows(Part):
    """New labelled rows: how many, and of data with a time from when to when (ISO 8601)."""

    rows: int
    first: str | None = None
    last: str | None = None


class Proposed(Part):
    """The pull request that is open, or about to be. Times are in seconds of Unix time.

    `base` is the md5 of the data that `rows` were put behind, which gave `pin`. `findings` are those that it was opened
    for. `after` is the newest pull request of its branch before it, and
    `number` its own, once that is known.
    """

    pin: Pin
    base: str
    rows: Rows
    since: float
    findings: tuple[str, ...]
    after: int = 0
    number: int | None = None
    helpless: str | None = None
    """Why the candidate does not help, once it was judged so."""


class Past(Part):
    """What became of the last one; `words` are those of whoever closed it."""

    how: How
    at: float
    number: int | None
    findings: tuple[str, ...] = ()
    words: str = ""


class Retraining(Record):
    """retraining.json of one model. `pushed` is when data was proposed, each of which starts a full training."""

    pushed: tuple[float, ...] = ()
    proposed: Proposed | None = None
    past: Past | None = None


class Spent(Record):
    """spent.json of one model: what its last full training took, and how many raw rows it had."""

    seconds: Seconds
    rows: int | None


def took(seconds: Mapping[str, float]) -> float:
    """Of what each stage took, what a training does: without what measures and judges its result."""
    return sum(spent for stage, spent in seconds.items() if stage in TRAINING)
