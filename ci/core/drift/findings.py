"""What one window shows by itself, before it is asked how long that lasts; and how it becomes a finding that does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.core.drift.records import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.records import Drift, Kind, Window

OF_ROWS: tuple[Kind, ...] = ("data", "prediction", "estimate", "missing", "unseen", "range")
OF_LABELS: tuple[Kind, ...] = ("quality", "concept")
"""What is asked of windows with rows enough alone, and with labels enough: others are passed over, and end nothing."""
OF_COLUMNS: tuple[Kind, ...] = ("data", "missing", "unseen", "range")
LEAST_IMPORTANCE = 0.02
"""Columns that matter less than this to the model, all together, are told of and raise no alarm."""


@dataclass(frozen=True)
class Found:
    """Something that is not as it was. What is found `at_once` is an alarm in the first window already."""

    kind: Kind
    subject: str
    words: str
    statistic: str | None = None
    value: float | None = None
    limit: float | None = None
    p_value: float | None = None
    importance: float | None = None
    at_once: bool = False


def lasting(found: Sequence[Found], window: Window, earlier: Sequence[Drift], persistence: int) -> tuple[Finding, ...]:
    """Findings with since when and for how many windows in a row they are there, and which are alarms.

    `earlier` are records of the same model version, in any order; those that end no earlier than `window` are left
    out, so that to judge a window twice is the same as once. Windows that overlap the last one counted add nothing:
    they have its rows.
    """
    before = sorted((one for one in earlier if one.window.end < window.end), key=lambda one: one.window.end)
    findings = [_lasting(one, window, before, persistence) for one in found]
    heavy = _heavy(findings)
    return tuple(
        finding.model_copy(update={"alarm": finding.alarm and (heavy or finding.kind not in OF_COLUMNS)})
        for finding in findings
    )


def _lasting(found: Found, window: Window, before: Sequence[Drift], persistence: int) -> Finding:
    last = next((one for one in reversed(before) if _asked(found.kind, one.window)), None)
    same = next((one for one in last.findings if _key(one) == (found.kind, found.subject)), None) if last else None
    since, counted, windows = window.start, window.end, 1
    if same is not None:
        since, counted, windows = same.since, same.counted, same.windows
        if window.start >= counted:
            counted, windows = window.end, windows + 1
    return Finding(
        kind=found.kind,
        subject=found.subject,
        statistic=found.statistic,
        value=found.value,
        limit=found.limit,
        p_value=found.p_value,
        importance=found.importance,
        since=since,
        counted=counted,
        windows=windows,
        alarm=found.at_once or windows >= persistence,
        words=found.words,
    )


def _asked(kind: Kind, window: Window) -> bool:
    if kind in OF_LABELS:
        return window.enough_labelled and (window.enough_of_each or kind != "concept")
    return window.enough or kind not in OF_ROWS


def _key(finding: Finding) -> tuple[Kind, str]:
    return finding.kind, finding.subject


def _heavy(findings: Sequence[Finding]) -> bool:
    """Whether the columns that lasted matter to the model, each counted once; one of unknown importance does."""
    lasted = {one.subject: one.importance for one in findings if one.alarm and one.kind in OF_COLUMNS}
    return any(share is None for share in lasted.values()) or sum(filter(None, lasted.values())) >= LEAST_IMPORTANCE
