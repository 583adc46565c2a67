"""What a window has shown, as metrics: text that Prometheus' textfile collector and its Pushgateway take alike.

All are gauges without times of their own. Both programs read the older text format, which knows fewer types than
OpenMetrics, and the collector refuses times; a file of gauges that ends with `# EOF` is valid in either format.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, get_args

from ci.core.drift.records import Kind
from ci.core.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ci.core.drift.records import ColumnRow, Drift, EstimateRow, QualityRow
    from ci.core.drift.rules import Business

PREFIX = "trunkline_drift_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""What a Pushgateway is told that it gets."""
MOST_COLUMNS = 500
"""Columns that get series of their own, those with most drift first: a series costs memory while it is kept."""
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

METRICS = {
    "judged_timestamp_seconds": "When the window was judged.",
    "window_start_timestamp_seconds": "Where the window starts.",
    "window_end_timestamp_seconds": "Where the window ends.",
    "window_rows": "Rows of the window.",
    "window_labelled_rows": "Rows of the window whose label is known.",
    "window_enough": "Whether there were rows enough to judge distributions by.",
    "reference_rows": "Rows of the data that the model was trained on.",
    "reference_info": "The model that the window was held to; always 1.",
    "outcome": "1 for the window's verdict, 0 for the others.",
    "alarms": "Findings that are alarms, by kind.",
    "findings": "Findings, alarms or not, by kind.",
    "finding_windows": "Windows in a row in which something was found.",
    "column_value": "How far a column is from the reference, in the unit of its statistic.",
    "column_limit": "What the value of a column is held to.",
    "column_p_value": "Chance of such a value without drift, adjusted for the number of columns.",
    "column_importance": "How much the model makes of a column.",
    "column_drifted": "Whether a column is both certainly and notably another.",
    "column_missing_ratio": "Share of missing values.",
    "column_missing_reference_ratio": "Share of missing values in the reference.",
    "column_unseen_ratio": "Share of categories that the reference lacks.",
    "column_out_of_range_ratio": "Share of numbers beyond the reference's.",
    "quality_value": "A gate metric on the labelled rows.",
    "quality_reference": "The same metric on the reference.",
    "quality_difference": "Window minus reference.",
    "quality_difference_low": "Lower end of the difference's interval.",
    "quality_difference_high": "Upper end of the difference's interval.",
    "quality_rows": "Labelled rows that a metric is of.",
    "estimate_value": "A metric as it is expected before labels arrive.",
    "estimate_reference": "The same metric on the reference.",
    "estimate_low": "Lower end of the estimate's interval.",
    "estimate_high": "Upper end of the estimate's interval.",
    "estimate_realised": "The metric that was estimated, since labels have arrived.",
    "business_value": "A declared number of the business.",
    "business_min": "The least it may be.",
    "business_max": "The most it may be.",
}


@dataclass(frozen=True)
class _Sample:
    name: str
    value: float | None
    labels: Mapping[str, str] = field(default_factory=dict)


def exposition(
    drift: Drift,
    *,
    judged: datetime,
    business: Mapping[str, float | None] | None = None,
    bounds: Mapping[str, Business] | None = None,
) -> str:
    """All that `drift` says in numbers, each series with the label `model`; what is not known has no series.

    `business` are the declared numbers as they were measured, `bounds` what `drift.business` declares of them. Series
    of what is gone are gone too where the file or the group of a Pushgateway is replaced as a whole.
    """
    samples = [*_window(drift, judged), *_findings(drift)]
    for column in sorted(drift.columns, key=_distance, reverse=True)[:MOST_COLUMNS]:
        samples += _column(column)
    for quality in drift.quality:
        samples += _quality(quality)
    for estimate in drift.estimate:
        samples += _estimate(estimate)
    samples += _business(business or {}, bounds or {})
    return _text(drift.model, samples)


def _window(drift: Drift, judged: datetime) -> Iterator[_Sample]:
    window, reference = drift.window, drift.reference
    yield _Sample("judged_timestamp_seconds", judged.timestamp())
    yield _Sample("window_start_timestamp_seconds", datetime.fromisoformat(window.start).timestamp())
    yield _Sample("window_end_timestamp_seconds", datetime.fromisoformat(window.end).timestamp())
    yield _Sample("window_rows", window.rows)
    yield _Sample("window_labelled_rows", window.labelled)
    yield _Sample("window_enough", window.enough)
    yield _Sample("reference_rows", reference.rows)
    info = {"model_hash": reference.model_hash or "", "commit": reference.commit or ""}
    yield _Sample("reference_info", 1, info)
    for outcome in Outcome:
        yield _Sample("outcome", drift.outcome is outcome, {"outcome": outcome.value})


def _findings(drift: Drift) -> Iterator[_Sample]:
    """Every kind has its counts, also of nothing, so that an alarm which is over is seen to be."""
    for kind in get_args(Kind):
        found = [finding for finding in drift.findings if finding.kind == kind]
        yield _Sample("alarms", sum(finding.alarm for finding in found), {"kind": kind})
        yield _Sample("findings", len(found), {"kind": kind})
    windows: dict[tuple[str, str], int] = {}
    for finding in drift.findings:
        key = (finding.kind, finding.subject)
        windows[key] = max(finding.windows, windows.get(key, 0))
    for (kind, subject), count in windows.items():
        yield _Sample("finding_windows", count, {"kind": kind, "subject": subject})


def _distance(row: ColumnRow) -> tuple[bool, float]:
    return row.drifted, row.value / row.limit if row.value is not None and row.limit else 0.0


def _column(row: ColumnRow) -> Iterator[_Sample]:
    column = {"column": row.column}
    statistic = column | {"statistic": row.statistic or ""}
    yield _Sample("column_value", row.value, statistic)
    yield _Sample("column_limit", row.limit, statistic)
    yield _Sample("column_p_value", row.p_value, column)
    yield _Sample("column_importance", row.importance, column)
    yield _Sample("column_drifted", row.drifted, column)
    yield _Sample("column_missing_ratio", row.missing, column)
    yield _Sample("column_missing_reference_ratio", row.missing_reference, column)
    yield _Sample("column_unseen_ratio", row.unseen, column)
    yield _Sample("column_out_of_range_ratio", row.out_of_range, column)


def _quality(row: QualityRow) -> Iterator[_Sample]:
    labels = {"metric": row.metric, "slice": row.slice or ""}
    yield _Sample("quality_value", row.value, labels)
    yield _Sample("quality_reference", row.reference, labels)
    yield _Sample("quality_difference", row.difference, labels)
    yield _Sample("quality_difference_low", row.interval.low if row.interval else None, labels)
    yield _Sample("quality_difference_high", row.interval.high if row.interval else None, labels)
    yield _Sample("quality_rows", row.n, labels)


def _estimate(row: EstimateRow) -> Iterator[_Sample]:
    labels = {"metric": row.metric}
    yield _Sample("estimate_value", row.value, labels)
    yield _Sample("estimate_reference", row.reference, labels)
    yield _Sample("estimate_low", row.interval.low if row.interval else None, labels)
    yield _Sample("estimate_high", row.interval.high if row.interval else None, labels)
    yield _Sample("estimate_realised", row.realised, labels)


def _business(values: Mapping[str, float | None], bounds: Mapping[str, Business]) -> Iterator[_Sample]:
    for name, value in values.items():
        yield _Sample("business_value", value, {"name": name})
    for name, bound in bounds.items():
        yield _Sample("business_min", bound.min, {"name": name})
        yield _Sample("business_max", bound.max, {"name": name})


def _text(model: str, samples: list[_Sample]) -> str:
    """Each metric once, its samples together, as both formats ask."""
    lines: dict[str, list[str]] = {name: [] for name in METRICS}
    for one in samples:
        if one.value is not None and math.isfinite(one.value):
            told = {"model": model, **one.labels}
            labels = ",".join(f'{name}="{value.translate(ESCAPES)}"' for name, value in told.items())
            lines[one.name].append(f"{PREFIX}{one.name}{{{labels}}} {float(one.value)!r}")
    text = []
    for name, own in lines.items():
        if own:
            text += [f"# HELP {PREFIX}{name} {METRICS[name]}", f"# TYPE {PREFIX}{name} gauge", *own]
    return "\n".join([*text, "# EOF", ""])
