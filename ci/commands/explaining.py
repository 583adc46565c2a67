"""What each feature did to one prediction: the logged row walked from reference rows, in ONNX Runtime."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from ci.adapters.onnx_model import OnnxModel
from ci.core import explaining
from ci.core.errors import ConfigurationError
from ci.core.explaining import Contribution
from ci.core.statistics import shapley

if TYPE_CHECKING:
    import polars as pl

    from ci.core.explaining import Logged
    from ci.core.statistics.rows import Floats, Ints
    from ci.core.statistics.shapley import Plan

REFERENCES = 200  # rows that were trained on
PAIRS = 8  # orders of features, and their reverses, for each of them
SEED = 20261127
PART = 20_000  # rows that are built at a time


class Explained:
    """A logged row and its model, with a sample of the rows that the model was trained on."""

    def __init__(self, logged: Logged, onnx: bytes, trained_on: bytes) -> None:
        import polars as pl  # noqa: PLC0415 - only where something is explained

        self._model = OnnxModel(onnx, f"the model {logged.version} of {logged.model}")
        self.hidden = explaining.hidden(logged, self._model.columns)
        self.features = tuple(name for name in self._model.columns if name not in self.hidden)
        rows = pl.read_parquet(io.BytesIO(trained_on))
        if missing := [name for name in self._model.columns if name not in rows.columns]:
            raise ConfigurationError(f"the rows that {logged.model} was trained on have no column '{missing[0]}'.")
        rows = rows.select(self._model.columns).sample(min(REFERENCES, rows.height), seed=SEED)
        self._row = pl.DataFrame({name: [logged.features[name]] for name in self.features})
        kinds = {name: kind for name, kind in self._row.schema.items() if kind != pl.Null}
        self._references = rows.cast(kinds)  # type: ignore[arg-type]  # the row has the model's own types

    @property
    def references(self) -> int:
        """How many rows it is compared with."""
        return self._references.height

    def score(self) -> float | None:
        """The row's score by the model's bytes; None where a feature that it needs is hidden."""
        return None if self.hidden else float(self._model.score(self._row)[0])

    def contributions(self, logged: Logged) -> tuple[float, tuple[Contribution, ...], float]:
        """The references' mean score, what each shown feature did, and what the hidden ones did together.

        A hidden feature keeps each reference's value, as if its value were not known; what then lacks to the logged
        score is theirs. Largest first.
        """
        made = shapley.plan(self.references, len(self.features), PAIRS, SEED)
        found = shapley.contributions(made, self._scores(made))
        told = [
            Contribution(feature=name, value=logged.features[name], contribution=value, error=error)
            for name, value, error in zip(self.features, found.values.tolist(), found.errors.tolist(), strict=True)
        ]
        told.sort(key=lambda one: -abs(one.contribution))
        rest = logged.score - found.base - float(found.values.sum())
        return found.base, tuple(told), rest if self.hidden else 0.0

    def _scores(self, made: Plan) -> Floats:
        parts = np.array_split(np.arange(made.reference.size), -(-made.reference.size // PART))
        replaced, reference = made.replaced, made.reference
        return np.concatenate([self._model.score(self._walked(replaced[part], reference[part])) for part in parts])

    def _walked(self, replaced: np.ndarray[tuple[int, int], np.dtype[np.bool_]], reference: Ints) -> pl.DataFrame:
        import polars as pl  # noqa: PLC0415 - as above

        rows = self._references[reference]
        return rows.with_columns(
            pl.when(pl.Series(replaced[:, index]))
            .then(pl.lit(self._row[name][0], self._references.schema[name]))
            .otherwise(pl.col(name))
            .alias(name)
            for index, name in enumerate(self.features)
        )
