"""The grammar of gate names: built and taken apart here alone.

`roc_auc.min`, `average_precision[AMOUNT_BAND=high].no_worse_than.merge_base`, `check.loss_falls`, `schema`,
`roc_auc.no_worse_than.champion.on_old_rows`, `full_training`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEMA = "schema"
FULL_TRAINING = "full_training"
WAIVER = "waiver"
PROBLEM = "problem"
ON_OLD_ROWS = "on_old_rows"
CHECKS = (
    "beats_base_rate",
    "gradients_finite",
    "loss_falls",
    "no_leakage",
    "onnx_agrees",
    "overfits_one_batch",
    "reproducible",
)
"""What smoke training may ask of itself; not every mode and kind asks all of it."""

_GATE = re.compile(
    r"(?P<metric>[^\[\]=]+?)(\[(?P<column>[^\]=]+)=(?P<value>.*)\])?\.(?P<rule>min|max|no_worse_than\.\w+(\.on_old_rows)?)"
)


@dataclass(frozen=True)
class GateName:
    """A gate's name in parts; `column` and `value` are those of a slice."""

    metric: str
    rule: str
    column: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        sliced = f"[{self.column}={self.value}]" if self.column is not None else ""
        return f"{self.metric}{sliced}.{self.rule}"


def parse(name: str) -> GateName | None:
    """The parts of a gate's name; None for `schema`, a check's name and for what is no gate's name."""
    match = _GATE.fullmatch(name)
    return GateName(match["metric"], match["rule"], match["column"], match["value"]) if match else None


def check(name: str) -> str:
    """The gate of a smoke check."""
    return f"check.{name}"


def slice_of(column: str, value: str) -> str:
    """A slice as reports show it."""
    return f"{column}={value}"
