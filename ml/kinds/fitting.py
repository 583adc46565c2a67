"""What the kind `tabular` needs of a model module and of what it fits, and what it hands to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from numpy.typing import NDArray

    from ml.kinds import LossPoint, Session
    from ml.kinds.checks import Check
    from ml.params import Checks, Section


@dataclass(frozen=True)
class Table:
    """Rows with the columns a model may look at. `fold` in [0, 1) parts rows stably, for validation."""

    frame: pl.DataFrame
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    label: str
    fold: NDArray[np.float64]

    @property
    def features(self) -> tuple[str, ...]:
        """All feature columns, the numeric ones first."""
        return self.numeric + self.categorical

    def matrix(self) -> NDArray[np.float32]:
        """The numeric features, float32 [rows, features]."""
        return self.frame.select(self.numeric).to_numpy().astype(np.float32)

    def labels(self) -> NDArray[np.float64]:
        """The label, float64 [rows]."""
        return self.frame.get_column(self.label).to_numpy().astype(np.float64)


class Fitted(Protocol):
    """A trained model, still in its own library."""

    @property
    def loss(self) -> tuple[LossPoint, ...]:
        """The loss from step 0 on; steps whose loss was not finite are left out."""
        ...

    @property
    def checks(self) -> tuple[Check, ...]:
        """What its library can say of the training: gradients_finite, of torch."""
        ...

    def predict(self, table: Table) -> NDArray[np.float64]:
        """Scores [n], by its own library."""
        ...

    def export(self) -> bytes:
        """The model as ONNX, free of anything that differs between machines or folders."""
        ...


class FeaturesModule(Protocol):
    """`ml.models.<name>.features`."""

    @property
    def FEATURES(self) -> tuple[str, ...]:  # noqa: N802  a constant that the module defines
        """The numeric columns a model may look at."""
        ...

    @property
    def CATEGORICAL(self) -> tuple[str, ...]:  # noqa: N802  a constant that the module defines
        """The columns of text or categories it may look at."""
        ...

    def features(self, raw: pl.DataFrame) -> pl.DataFrame:
        """The rows of `raw`, in their order, with their id, label, time, what `keep` names and the features."""
        ...


class ModelModule(Protocol):
    """`ml.models.<name>.model`."""

    @property
    def Hyperparameters(self) -> type[Section]:  # noqa: N802  a class that the module defines
        """What `model:` in params.yaml may hold."""
        ...

    def fit(self, table: Table, params: Any, seed: int, session: Session) -> Fitted:
        """Train on the table with these Hyperparameters; `session.tick` after each step."""
        ...

    @property
    def smoke_checks(self) -> Callable[[Table, Any, int, Checks], tuple[Check, ...]]:
        """Further questions asked in smoke mode, such as whether one batch can be overfitted."""
        ...
