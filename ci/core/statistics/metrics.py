"""The catalogue of metrics: what each is called and means, which way is better, what a gate must say with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ci.core.records import Task

Family = Literal["ranking", "sums", "cards", "record"]

THRESHOLD = 0.5  # a score from here on counts as a positive decision, unless a gate says otherwise
TOP = 100  # cards that investigators can contact in a day, as in the Handbook
BINS = 10  # of equal mass, for calibration


@dataclass(frozen=True)
class Kind:
    """A metric as such: `family` computes it, a gate must give the keys in `needs` and may give those in `takes`."""

    family: Family
    tasks: tuple[Task, ...]
    higher_is_better: bool
    unit: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


_BINARY: tuple[Task, ...] = ("binary",)
_REGRESSION: tuple[Task, ...] = ("regression",)
_ANY: tuple[Task, ...] = ("binary", "regression")
_SHARE = "share, 0 to 1"

KINDS: dict[str, Kind] = {
    "average_precision": Kind("ranking", _BINARY, True, _SHARE),
    "roc_auc": Kind("ranking", _BINARY, True, _SHARE),
    "recall_at_fpr": Kind("ranking", _BINARY, True, _SHARE, needs=("fpr",)),
    "card_precision": Kind("cards", _BINARY, True, _SHARE, needs=("card", "time"), takes=("top",)),
    "log_loss": Kind("sums", _BINARY, False, "nats per row"),
    "brier": Kind("sums", _BINARY, False, "squared probability per row"),
    "accuracy": Kind("sums", _BINARY, True, _SHARE, takes=("threshold",)),
    "f1": Kind("sums", _BINARY, True, _SHARE, takes=("threshold",)),
    "expected_calibration_error": Kind("sums", _BINARY, False, "probability"),
    "demographic_parity_difference": Kind("sums", _BINARY, False, _SHARE, needs=("group",), takes=("threshold",)),
    "equal_opportunity_difference": Kind("sums", _BINARY, False, _SHARE, needs=("group",), takes=("threshold",)),
    "rmse": Kind("sums", _REGRESSION, False, "units of the label"),
    "mae": Kind("sums", _REGRESSION, False, "units of the label"),
    "latency_p50_ms": Kind("record", _ANY, False, "milliseconds for one row on this machine"),
    "latency_p99_ms": Kind("record", _ANY, False, "milliseconds for one row on this machine"),
    "size_bytes": Kind("record", _ANY, False, "bytes of model.onnx"),
    "rows": Kind("record", _ANY, True, "training rows"),
}

SHOWN: dict[Task, tuple[str, ...]] = {
    "binary": ("average_precision", "roc_auc", "log_loss", "brier", "expected_calibration_error"),
    "regression": ("rmse", "mae"),
}
"""What a report shows of every model, gated or not."""


@dataclass(frozen=True)
class Metric:
    """A metric with what it was told. `min_rows` is the least group size of the fairness differences."""

    name: str
    fpr: float | None = None
    top: int | None = None
    card: str | None = None
    time: str | None = None
    group: str | None = None
    threshold: float | None = None
    min_rows: int | None = None

    @property
    def kind(self) -> Kind:
        """Its entry in the catalogue."""
        return KINDS[self.name]

    @property
    def higher_is_better(self) -> bool:
        """Which way is better."""
        return self.kind.higher_is_better

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of predictions.parquet it reads besides label and score."""
        return tuple(column for column in (self.card, self.time, self.group) if column is not None)

    @property
    def label(self) -> str:
        """Its name as reports and gate names show it, with what sets it apart: `card_precision@100`.

        `recall_at_fpr@0.01`, `demographic_parity_difference@GENDER`; a threshold shows where it is not 0.5.
        """
        told = [self.fpr, self.top, self.group, self.threshold if self.threshold != THRESHOLD else None]
        words = ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in told if part is not None)
        return f"{self.name}@{words}" if words else self.name


def shown(task: Task) -> tuple[Metric, ...]:
    """The metrics that every report of a task shows."""
    return tuple(Metric(name) for name in SHOWN[task])
