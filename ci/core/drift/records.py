"""What one window of recent data has shown of a model: the record that commands write, render and act on."""

from __future__ import annotations

from typing import Literal

from ci.core.records import Interval, Outcome, Part, Record

Kind = Literal[
    "data",
    "prediction",
    "quality",
    "estimate",
    "concept",
    "schema",
    "missing",
    "unseen",
    "range",
    "volume",
    "freshness",
    "duplicates",
    "service",
    "business",
]


class Window(Part):
    """The recent data: from `start` to before `end` (ISO 8601, UTC), how many rows, how many with a known label.

    `enough` says whether there were rows enough to judge distributions by, `enough_labelled` likewise of quality;
    `enough_of_each` whether there were labels enough of each class to judge the concept by.
    """

    start: str
    end: str
    rows: int
    labelled: int = 0
    enough: bool = True
    enough_labelled: bool = True
    enough_of_each: bool = True


class Reference(Part):
    """What the window is held to: the model whose training data it is, and how many rows that has."""

    model_hash: str | None = None
    commit: str | None = None
    rows: int


class Finding(Part):
    """One thing that is not as it was, in one sentence.

    `value` is beyond `limit` and, where there is a `p_value` (adjusted for all that were asked), certain. `windows`
    counts windows in a row that found it and share no row, the first of which started at `since`; the last one that
    was counted ended at `counted`. An `alarm` lasted as long as was asked for, and matters; others are notices.
    """

    kind: Kind
    subject: str
    statistic: str | None = None
    value: float | None = None
    limit: float | None = None
    p_value: float | None = None
    importance: float | None = None
    since: str
    counted: str
    windows: int = 1
    alarm: bool = False
    words: str


class Bin(Part):
    """A bar of a plot: the share of reference and window that lies in it."""

    name: str
    reference: float
    window: float


class ColumnRow(Part):
    """One column, whether anything was found or not; shares are of rows."""

    column: str
    kind: Literal["number", "category", "boolean"]
    statistic: str | None = None
    value: float | None = None
    limit: float | None = None
    p_value: float | None = None
    importance: float | None = None
    drifted: bool = False
    missing_reference: float = 0.0
    missing: float = 0.0
    unseen: float = 0.0
    out_of_range: float = 0.0
    bins: tuple[Bin, ...] = ()


class QualityRow(Part):
    """A gate metric on the window's labelled rows and on the reference's; `difference` is window minus reference.

    By no more than `margin` it may be worse.
    """

    metric: str
    slice: str | None = None
    higher_is_better: bool
    n: int
    value: float | None
    n_reference: int
    reference: float | None
    difference: float | None = None
    margin: float = 0.0
    interval: Interval | None = None
    verdict: Outcome
    reason: str

    @property
    def held(self) -> bool:
        """Whether it was measured, and is not worse by more than the margin, be that certain or not."""
        if self.verdict is Outcome.FAIL or self.difference is None:
            return False
        better = self.difference if self.higher_is_better else -self.difference
        return self.verdict is Outcome.PASS or better >= -self.margin


class EstimateRow(Part):
    """A metric as it is expected before labels arrive; `realised` where they are known by now.

    It is `worse` where it is certainly so by more than `margin`.

    `interval` is where the metric of these rows will be, if scores mean what they meant on the reference.
    """

    metric: str
    higher_is_better: bool
    n: int
    reference: float | None
    value: float | None
    interval: Interval | None = None
    realised: float | None = None
    margin: float | None = None
    worse: bool = False


class Drift(Record):
    """drift.json: one window of one model.

    It fails when there is an alarm, is inconclusive when there were too few rows to judge, and passes otherwise.
    `triggers` are the kinds in alarm, `notes` sentences about what was read and seen that finds nothing by itself.
    """

    window: Window
    reference: Reference
    outcome: Outcome
    summary: str
    triggers: tuple[Kind, ...] = ()
    findings: tuple[Finding, ...] = ()
    columns: tuple[ColumnRow, ...] = ()
    quality: tuple[QualityRow, ...] = ()
    estimate: tuple[EstimateRow, ...] = ()
    notes: tuple[str, ...] = ()
    """What is to be known of how the window was read."""

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """The findings that are alarms."""
        return tuple(finding for finding in self.findings if finding.alarm)
