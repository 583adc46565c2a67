"""What the stages need of any model, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from ml.kinds.checks import Check
    from ml.params import Params

Tick = Callable[[int, float, float | None], None]
"""Called with (step, train, validation) after each epoch or round: the mean losses so far."""


@dataclass(frozen=True)
class Job:
    """One model in one mode: whose code, which parameters, which seed."""

    model: str
    params: Params
    seed: int


@dataclass(frozen=True)
class Rows:
    """The rows a model is fitted on and the rows it is judged on."""

    train: pl.DataFrame
    test: pl.DataFrame


@dataclass(frozen=True)
class LossPoint:
    """Mean loss after `step` epochs or rounds; step 0 is before any of them."""

    step: int
    train: float
    validation: float | None


@dataclass(frozen=True)
class Trained:
    """A model as training leaves it: the bytes that go on, and what was seen on the way."""

    artifact: bytes
    features: tuple[str, ...]
    loss: tuple[LossPoint, ...]
    checks: tuple[Check, ...]


def _silent(*_: object) -> None:
    """Told to nobody."""


@dataclass(frozen=True)
class Session:
    """What surrounds a training, and changes nothing of what it is to learn."""

    tick: Tick = _silent
    tell: Callable[[str], None] = _silent
    """Called with what a person should know at once."""
    checkpoints: Path | None = None
    """A folder of these very inputs, to leave checkpoints in and to go on from; None keeps none."""
    accelerate: bool = False
    """Use the GPU, where there is one; else one thread of the CPU."""


class Kind(Protocol):
    """A kind of model. A module of `ml.kinds` is one by having these functions."""

    def prepare(self, job: Job, source: Path) -> Rows:
        """Raw data → the rows to fit and to judge on. Raises StageError on data that cannot be used."""
        ...

    def made(self, job: Job, raw: pl.DataFrame, source: Path) -> pl.DataFrame:
        """Raw rows, in their order, with the features made of them. Raises StageError on data that cannot be used."""
        ...

    def distributed(self, job: Job) -> bool:
        """Whether several processes can fit this model together. Raises StageError on wrong hyperparameters."""
        ...

    def train(self, job: Job, rows: Rows, session: Session) -> Trained:
        """Fit, export and check."""
        ...

    def assist(self, job: Job, rows: Rows, session: Session) -> None:
        """Fit alone: another process's part in a training that `train` reports."""
        ...

    def fit(self, job: Job, rows: Rows) -> Trained:
        """Fit and export, asking nothing. To compare a second run with the first."""
        ...

    def differences(self, one: bytes, two: bytes) -> list[str]:
        """What differs between two artefacts, in words; empty where their bytes are the same."""
        ...

    def score(self, artifact: Path, rows: pl.DataFrame) -> NDArray[np.float64]:
        """The artefact's score of each row, shape [n]. Raises StageError where the two do not fit together."""
        ...

    def taken(self, artifact: Path, rows: pl.DataFrame) -> pl.DataFrame:
        """The columns that the artefact takes, in the types it takes them in: what the inference log would hold.

        Raises StageError where a column is missing.
        """
        ...

    def single(self, artifact: Path, rows: pl.DataFrame) -> Callable[[int], object]:
        """A function that scores row i alone, for timing; everything that can be done before is done."""
        ...


def load(name: str) -> Kind:
    """The kind called `name`, imported only now: a kind brings heavy libraries."""
    return cast("Kind", import_module(f"ml.kinds.{name}"))
