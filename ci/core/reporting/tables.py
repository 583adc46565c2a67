"""Each part of a verdict as the rows that a report shows: words and numbers chosen, nothing escaped yet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Generic, TypeVar

from ci.core.gating import names
from ci.core.records import Outcome
from ci.core.reporting.markdown import clip
from ci.core.reporting.show import NOTHING, count, interval, number, percent, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ci.core.records import Check, GateResult, MetricRow, Scalar, Violation, Waiver

T = TypeVar("T")

ICONS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.INCONCLUSIVE: "⚠️"}
WAIVED = "🟡"


@dataclass(frozen=True)
class Limits:
    """How much of a list and of a text is shown before it is cut, visibly."""

    models: int
    blockers: int
    changes: int
    rows: int
    violations: int
    offenders: int
    name: int
    text: int


COMMENT = Limits(models=60, blockers=12, changes=6, rows=60, violations=6, offenders=5, name=80, text=300)
PAGE = Limits(models=1_000, blockers=1_000, changes=200, rows=2_000, violations=200, offenders=20, name=200, text=2_000)


@dataclass(frozen=True)
class Listing(Generic[T]):
    """The rows that are shown, and how many more there are."""

    shown: tuple[T, ...]
    left: int

    def __bool__(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.shown)


def listing(rows: Iterable[T], most: int) -> Listing[T]:
    """The first `most` rows."""
    every = tuple(rows)
    return Listing(every[:most], max(0, len(every) - most))


@dataclass(frozen=True)
class GateRow:
    """One gate, or a check of the smoke training that failed and that no gate stands for."""

    icon: str
    tone: str
    word: str
    gate: str
    rule: str
    value: str
    baseline: str
    difference: str
    n: str
    reason: str


@dataclass(frozen=True)
class Blocker:
    """Gates that do not pass, of one verdict and for one reason."""

    icon: str
    tone: str
    word: str
    reason: str
    gates: Listing[str]


@dataclass(frozen=True)
class MetricLine:
    """One metric, candidate against baseline; `tone` colours the arrow."""

    metric: str
    slice: str
    n: str
    candidate: str
    candidate_interval: str
    baseline: str
    difference: str
    difference_interval: str
    confidence: str
    arrow: str
    tone: str


@dataclass(frozen=True)
class CheckRow:
    """One question that smoke training asked of itself."""

    icon: str
    tone: str
    word: str
    name: str
    value: str
    limit: str
    detail: str


@dataclass(frozen=True)
class ViolationRow:
    """One broken rule of the schema, with a table of its first offenders."""

    column: str
    check: str
    message: str
    count: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int


@dataclass(frozen=True)
class WaiverRow:
    """Who set a gate aside, why and until when."""

    icon: str
    tone: str
    gate: str
    who: str
    until: str
    reason: str
    file: str


def gate_rows(gates: Iterable[GateResult], checks: Iterable[Check], limits: Limits) -> list[GateRow]:
    """Every gate, the worst first; a failed check that no gate stands for is one of them."""
    held = sorted(gates, key=_severity)
    known = {gate.gate for gate in held}
    lone = [check for check in checks if not check.passed and names.check(check.name) not in known]
    return [_check_as_gate(check, limits) for check in lone] + [_gate(gate, limits) for gate in held]


def blockers(rows: Iterable[GateRow], limits: Limits) -> list[Blocker]:
    """Those of `rows` that do not pass, in their order; neighbours that say the same are said once."""
    groups = groupby(
        (row for row in rows if row.tone != "pass"), key=lambda row: (row.icon, row.tone, row.word, row.reason)
    )
    return [Blocker(*said, gates=listing((row.gate for row in same), limits.blockers)) for said, same in groups]


def _severity(gate: GateResult) -> int:
    order = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 4}[gate.verdict]
    return order if gate.blocks or gate.verdict is Outcome.PASS else order + 2


def _gate(gate: GateResult, limits: Limits) -> GateRow:
    waived = gate.waived_by is not None and gate.verdict is not Outcome.PASS
    ending = f", waived by {clip(gate.waived_by or '', limits.name)}" if waived else ""
    if not waived and gate.verdict is Outcome.INCONCLUSIVE:
        ending = ", blocks" if gate.blocks else ", does not block"
    spread = interval(gate.interval, sign=gate.difference is not None)
    shown = "" if gate.difference is None else number(gate.difference, sign=True)
    return GateRow(
        icon=WAIVED if waived else ICONS[gate.verdict],
        tone="waived" if waived else gate.verdict.value,
        word=f"{gate.verdict.value}{ending}",
        gate=clip(gate.gate, limits.name),
        rule=clip(gate.rule, limits.name),
        value=number(gate.value),
        baseline=number(gate.baseline),
        difference=f"{shown} ({spread})" if shown and spread else shown or NOTHING,
        n=count(gate.n),
        reason=clip(gate.reason, limits.text),
    )


def _check_as_gate(check: Check, limits: Limits) -> GateRow:
    row = check_row(check, limits)
    return GateRow(
        icon=row.icon,
        tone=row.tone,
        word=row.word,
        gate=names.check(row.name),
        rule="smoke check",
        value=row.value,
        baseline=NOTHING,
        difference=NOTHING,
        n=NOTHING,
        reason=row.detail,
    )


def metric_line(row: MetricRow, *, unchanged: bool, limits: Limits) -> MetricLine:
    """One metric. Better or worse is said only where the paired interval leaves 0 out."""
    arrow, tone = ("unchanged", "same") if unchanged else _arrow(row)
    spread = row.difference_interval or row.candidate_interval
    return MetricLine(
        metric=clip(row.metric, limits.name),
        slice=clip(row.slice or "", limits.name),
        n=count(row.n),
        candidate=number(row.candidate),
        candidate_interval=interval(row.candidate_interval),
        baseline=number(row.baseline),
        difference=NOTHING if row.difference is None else number(row.difference, sign=True),
        difference_interval=interval(row.difference_interval, sign=True),
        confidence=percent(spread.confidence) if spread else "",
        arrow=arrow,
        tone=tone,
    )


def _arrow(row: MetricRow) -> tuple[str, str]:
    if row.baseline is None or row.candidate is None:
        return NOTHING, "none"
    if row.difference == 0:
        return "same", "same"
    spread = row.difference_interval
    if spread is None:  # measured once, as latency and size are: a number without a claim
        return "no interval", "none"
    if spread.low <= 0 <= spread.high:
        return "≈", "same"
    rose = spread.low > 0
    tone = "better" if rose == row.higher_is_better else "worse"
    return f"{'↑' if rose else '↓'}\N{NO-BREAK SPACE}{tone}", tone


def check_row(check: Check, limits: Limits) -> CheckRow:
    """One smoke check."""
    outcome = Outcome.PASS if check.passed else Outcome.FAIL
    return CheckRow(
        icon=ICONS[outcome],
        tone=outcome.value,
        word=outcome.value,
        name=clip(check.name, limits.name),
        value=number(check.value),
        limit=number(check.limit),
        detail=clip(check.detail, limits.text),
    )


def violation_row(violation: Violation, limits: Limits) -> ViolationRow:
    """One broken rule; the offenders' table has the row number first and at most eight columns."""
    rows = violation.rows[: limits.offenders]
    columns = dict.fromkeys(name for row in rows for name in row)
    header = sorted(columns, key=lambda name: (name != "row", name != violation.column))[:8]
    return ViolationRow(
        column=clip(violation.column or "", limits.name),
        check=clip(violation.check, limits.name),
        message=clip(violation.message, limits.text),
        count=plural(violation.count, "row" if rows else "time"),
        header=tuple(clip(name, limits.name) for name in header),
        rows=tuple(tuple(clip(cell(row[name]), limits.name) if name in row else "" for name in header) for row in rows),
        left=max(0, violation.count - len(rows)),
    )


def cell(value: Scalar) -> str:
    """A value as JSON has it, so that `1`, `"1"` and `null` differ."""
    return json.dumps(value, ensure_ascii=False)


def waiver_row(waiver: Waiver, limits: Limits) -> WaiverRow:
    """One waiver."""
    return WaiverRow(
        icon=ICONS[Outcome.FAIL] if waiver.expired else WAIVED,
        tone="fail" if waiver.expired else "waived",
        gate=clip(waiver.gate, limits.name),
        who=clip(waiver.who, limits.name),
        until=f"{'expired ' if waiver.expired else ''}{clip(waiver.expires, 10)}",
        reason=clip(waiver.reason, limits.text),
        file=clip(waiver.file, limits.name),
    )


def common_confidence(lines: Sequence[MetricLine]) -> str:
    """The one confidence that all of `lines` have, or nothing."""
    every = {line.confidence for line in lines if line.confidence}
    return every.pop() if len(every) == 1 else ""
