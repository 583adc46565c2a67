"""The judgement of one window: what was looked at, what was found, since when, and whether it is an alarm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ci.core.drift import words
from ci.core.drift.columns import columns
from ci.core.drift.concept import LEAST_OF_EACH, by_exclusion, concept, enough_of_each, of_numbers
from ci.core.drift.findings import OF_COLUMNS, Found, lasting
from ci.core.drift.predictions import predictions
from ci.core.drift.records import Drift, Reference, Window
from ci.core.drift.schema import require_columns, schema
from ci.core.drift.seasons import Covered
from ci.core.drift.traffic import duplicates, freshness, moment, volume
from ci.core.errors import ConfigurationError
from ci.core.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.core.drift.profiles import Profile
    from ci.core.drift.records import ColumnRow, EstimateRow, Finding, QualityRow
    from ci.core.drift.residuals import Residuals
    from ci.core.drift.rules import Rules

NONE: Mapping[str, float] = {}


def judge(
    reference: Profile,
    window: Profile,
    rules: Rules,
    *,
    now: datetime,
    span: tuple[datetime, datetime] | None = None,
    earlier: Sequence[Drift] = (),
    importance: Mapping[str, float] = NONE,
    quality: Sequence[QualityRow] = (),
    estimate: Sequence[EstimateRow] = (),
    labelled: Profile | None = None,
    residuals: Residuals | None = None,
    service: Sequence[Found] = (),
    business: Sequence[Found] = (),
    commit: str | None = None,
    file: str = "params.yaml",
) -> Drift:
    """One window against the reference, by `rules` of the params.yaml `file`.

    `span` is the window's time, from its start to before its end; without, it is that of its first and last row.
    `earlier` are records of windows before it, of which those judged by another model version are left out.
    `importance` is each column's share of what the model makes of its features; empty where that is not known.
    `quality`, `estimate` and, where labels are numbers, `residuals` come from the modules of these names, `service` and
    `business` from `watched`. `labelled` is the window whose labels have arrived, where it is an older one. Raises
    ConfigurationError for a rule about a column that is none, and for profiles of two models or model versions.
    """
    if reference.model != window.model:
        raise ConfigurationError(f"the window is of model {window.model}, the reference of {reference.model}.")
    require_columns(rules, reference, file)
    known_labels = labelled or window
    about = _about(reference, window, known_labels, rules, span, now)
    known = [one for one in earlier if one.reference.model_hash == reference.model_hash]
    covered = Covered.by(reference, rules)
    rows: tuple[ColumnRow, ...] = ()
    found: list[Found] = []
    if about.enough:
        rows, found = columns(reference, window, rules, importance, covered)
        found += predictions(reference, window, known_labels, rules, covered)
        found += [_expected(row) for row in estimate if row.worse]
    found += _of_labels(reference, known_labels, rules, covered, quality, residuals, found, about)
    found = [
        *schema(reference, window),
        *freshness(window, rules.limits, now),
        *_empty(window),
        *volume(reference, about, known, rules.limits, covered),
        *duplicates(reference, window, rules.limits),
        *found,
        *service,
        *business,
    ]
    findings = _ordered(lasting(found, about, known, rules.persistence))
    outcome = _outcome(findings, about)
    return Drift(
        model=window.model,
        window=about,
        reference=Reference(model_hash=reference.model_hash, commit=commit, rows=reference.rows),
        outcome=outcome,
        summary=words.summary(window.model, outcome, findings, about, rules.least_rows),
        triggers=tuple(dict.fromkeys(one.kind for one in findings if one.alarm)),
        findings=findings,
        columns=rows,
        quality=tuple(quality),
        estimate=tuple(estimate),
        notes=(
            *_hidden(reference, window),
            *_notes(reference, known_labels, about, unjudged=bool(quality) and residuals is None),
        ),
    )


def _of_labels(
    reference: Profile,
    labelled: Profile,
    rules: Rules,
    covered: Covered,
    quality: Sequence[QualityRow],
    residuals: Residuals | None,
    found: Sequence[Found],
    about: Window,
) -> list[Found]:
    """What labels show: quality that was lost, and a concept that changed, where all of `found` was found besides."""
    lost = [_lost(row) for row in quality if row.verdict is Outcome.FAIL]
    if not about.enough_of_each:
        return lost
    moved = list(dict.fromkeys(one.subject for one in found if one.kind in OF_COLUMNS))
    changed = concept(reference, labelled, rules, covered, moved) or of_numbers(residuals, rules, moved)
    return [*lost, *(changed or by_exclusion(quality, moved=bool(found)))]


def _hidden(reference: Profile, window: Profile) -> tuple[str, ...]:
    """What nothing is found in, since the log keeps it back."""
    names = [name for name in reference.columns if name in window.hidden]
    if not names:
        return ()
    which = "every feature" if len(names) == len(reference.columns) else words.listed(names)
    return (f"The log keeps back {which}, hashed or left out (`serving.sensitive`): nothing is looked for there.",)


def _notes(reference: Profile, labelled: Profile, about: Window, *, unjudged: bool) -> tuple[str, ...]:
    """That the concept was not judged, where labels were there: too few of one class, or none to tell it by."""
    if not about.enough_labelled:
        return ()
    if reference.joint is None and unjudged:
        why = (
            "Concept drift is not judged: that takes labels that differ on the reference, and 30 rows of alike scores "
            "there and in the window."
        )
        return (why,)
    if about.enough_of_each:
        return ()
    negative, positive = (
        f"{mine.total:,} and {theirs.total:,}"
        for mine, theirs in zip(reference.joint or (), labelled.joint or (), strict=True)
    )
    words = (
        f"Concept drift is not judged: reference and window have {positive} positive labels, {negative} negative ones; "
        f"{LEAST_OF_EACH} of each are needed. Longer windows have more."
    )
    return (words,)


def _about(
    reference: Profile,
    window: Profile,
    labelled: Profile,
    rules: Rules,
    span: tuple[datetime, datetime] | None,
    now: datetime,
) -> Window:
    times = window.time
    if span is None and times is not None and times.first is not None and times.last is not None:
        span = moment(times.first), moment(times.last)
    start, end = (one.astimezone(UTC).isoformat() for one in span or (now, now))
    return Window(
        start=start,
        end=end,
        rows=window.rows,
        labelled=labelled.labelled,
        enough=window.rows >= rules.least_rows,
        enough_labelled=labelled.labelled >= rules.least_rows,
        enough_of_each=enough_of_each(reference, labelled),
    )


def _empty(window: Profile) -> list[Found]:
    if window.rows:
        return []
    return [Found("freshness", "no rows", "no row came in the whole window", value=0.0, at_once=True)]


def _lost(row: QualityRow) -> Found:
    subject = f"{row.metric} {row.slice}" if row.slice else row.metric
    return Found("quality", subject, row.reason, statistic=row.metric, value=row.value, limit=row.reference)


def _expected(row: EstimateRow) -> Found:
    low, high = (row.interval.low, row.interval.high) if row.interval else (0.0, 0.0)
    text = (
        f"{row.metric} is expected to be {words.number(row.value or 0.0)} [{words.number(low)}, {words.number(high)}], "
        f"{words.number(row.reference or 0.0)} on the reference; {row.margin or 0.0:.3g} "
        f"{'less' if row.higher_is_better else 'more'} is tolerated"
    )
    return Found("estimate", row.metric, text, statistic=row.metric, value=row.value, limit=row.reference)


def _ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Alarms first, of columns the most important first; else as they were found."""
    return tuple(sorted(findings, key=lambda one: (not one.alarm, -(one.importance or 0.0))))


def _outcome(findings: Sequence[Finding], window: Window) -> Outcome:
    if any(one.alarm for one in findings):
        return Outcome.FAIL
    return Outcome.PASS if window.enough else Outcome.INCONCLUSIVE
