"""A record of a window in which something of everything was found."""

from __future__ import annotations

from typing import Any

from ci.core.drift.records import ColumnRow, Drift, EstimateRow, Finding, QualityRow, Reference, Window
from ci.core.drift.rules import Business
from ci.core.records import Interval, Outcome

START, END = "2026-11-20T00:00:00+00:00", "2026-11-27T00:00:00+00:00"
MEASURED = {"orders": 12.5}
BOUNDS = {"orders": Business(column="orders", min=10, max=20)}


def finding(**changes: Any) -> Finding:
    """One column's distribution, in alarm for two windows."""
    said = {"kind": "data", "subject": "TX_AMOUNT", "since": START, "counted": END, "windows": 2, "alarm": True}
    return Finding(**({**said, "words": "TX_AMOUNT is another than it was."} | changes))


def drift(**changes: Any) -> Drift:
    """The whole record."""
    amount = ColumnRow(
        column="TX_AMOUNT",
        kind="number",
        statistic="jensen_shannon",
        value=0.25,
        limit=0.1,
        p_value=1e-9,
        importance=0.4,
        drifted=True,
        missing=0.01,
        out_of_range=0.02,
    )
    quality = QualityRow(
        metric="roc_auc",
        higher_is_better=True,
        n=900,
        value=0.8,
        n_reference=60_000,
        reference=0.9,
        difference=-0.1,
        interval=Interval(low=-0.15, high=-0.05, confidence=0.95),
        verdict=Outcome.FAIL,
        reason="It is worse.",
    )
    estimate = EstimateRow(
        metric="roc_auc",
        higher_is_better=True,
        n=1_000,
        reference=0.9,
        value=0.85,
        interval=Interval(low=0.8, high=0.9, confidence=0.95),
        realised=0.8,
    )
    said: dict[str, Any] = {
        "model": "fraud",
        "window": Window(start=START, end=END, rows=1_000, labelled=900),
        "reference": Reference(model_hash="a" * 32, commit="b" * 40, rows=60_000),
        "outcome": Outcome.FAIL,
        "summary": "One column is another than it was.",
        "triggers": ("data",),
        "findings": (finding(), finding(kind="range", alarm=False, windows=1)),
        "columns": (amount,),
        "quality": (quality,),
        "estimate": (estimate,),
    }
    return Drift(**(said | changes))
