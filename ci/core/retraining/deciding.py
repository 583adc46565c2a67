"""What is to be done about a model's retraining: decided from the drift of a window and from what there is already.

In two steps, since the second needs the rows that there are to train on, which take time to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from ci.core.records import Outcome
from ci.core.reporting.markdown import clip
from ci.core.reporting.show import count, plural
from ci.core.retraining.records import Past, Pin, Proposed, Retraining, Rows
from ci.core.training import LABEL

if TYPE_CHECKING:
    from ci.core.drift.records import Drift, Finding
    from ci.core.drift.rules import Retrain
    from ci.core.forge import Ended, Pull

Action = Literal[
    "nothing",  # no reason to train again
    "look",  # the rows that there are say whether
    "few",  # too few of them
    "snoozed",
    "cooldown",
    "budget",
    "propose",
    "update",  # with newer rows
    "keep",  # what is open; its words alone are brought up to date
    "theirs",  # a person goes on with it
    "helpless",  # it does not help
    "withdraw",
]

DAY = 86_400.0  # seconds
MEASURED = frozenset({"quality", "concept"})
CURED = MEASURED | {"data", "prediction", "estimate"}
"""The kinds of findings that training again may cure; it mends no broken pipeline, and no service."""
AGE = "age"
LABELS = ("retraining", LABEL)
"""Of the pull request; the second starts full training."""
LONGEST = 300  # characters of a person's words


@dataclass(frozen=True)
class Standing:
    """What the forge has: the open pull request, the last that is not, and what base (by md5) and branch pin.

    `theirs` names a person's commit on the branch, `refused` says why the candidate was.
    """

    base_pin: str
    pull: Pull | None = None
    ended: Ended | None = None
    branch_pin: Pin | None = None
    theirs: str | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Decision:
    """What to do, and why, in words; `findings` are the names of the reasons to train again."""

    action: Action
    words: str
    findings: tuple[str, ...] = ()


def reasons(drift: Drift) -> tuple[Finding, ...]:
    """The alarms that call for training again.

    Where quality was measured and held, other distributions and estimates are no reason: the model copes with them. It
    held where no gate metric is worse by more than its margin, though labels may be too few to be certain of that.
    """
    alarms = [one for one in drift.alarms if one.kind in CURED]
    measured = [row for row in drift.quality if row.slice is None]
    if measured and all(row.held for row in measured):
        alarms = [one for one in alarms if one.kind in MEASURED]
    return tuple(alarms)


def settled(model: str, before: Retraining | None, standing: Standing, now: float) -> Retraining:
    """The record with what became of the pull request since it was written."""
    record = before or Retraining(model=model)
    proposed, pull, ended = record.proposed, standing.pull, standing.ended
    if proposed is None:
        if pull is None:
            return record
        pin = standing.branch_pin or Pin(md5="")  # its record was lost
        base = standing.base_pin
        proposed = Proposed(pin=pin, base=base, rows=Rows(rows=0), since=now, findings=())
    if pull is not None:
        kept = proposed.model_copy(update={"helpless": standing.refused})
        return record.model_copy(update={"proposed": kept})
    if ended is not None and ended.pull.number <= max(proposed.after, (proposed.number or 1) - 1):
        ended = None  # an earlier one
    merged = standing.base_pin == proposed.pin.md5 or (ended is not None and ended.merged)
    if not merged and ended is None and proposed.number is None:
        return record  # a run was killed before it opened it
    past = Past(
        how="merged" if merged else "closed",
        at=now,
        number=ended.pull.number if ended else proposed.number,
        findings=proposed.findings,
        words="" if merged or ended is None else _said(ended),
    )
    return record.model_copy(update={"proposed": None, "past": past})


def first(drift: Drift, rules: Retrain, record: Retraining, standing: Standing, *, now: float, age: float) -> Decision:
    """What to do, by all but the rows; `age` is in days since what is trained was trained."""
    found = reasons(drift)
    old = rules.age_days is not None and age >= rules.age_days
    names = tuple(dict.fromkeys(f"{one.kind} {one.subject}" for one in found)) + ((AGE,) if old else ())
    why = f"it was trained {age:.0f} days ago" if old and not found else "; ".join(_briefly(found))
    if standing.theirs:
        words = f"{standing.theirs} is on its branch, so that is a person's to go on with: it is left as it is"
        return Decision("theirs", words, names)
    if not names:
        return _without_reason(drift, record, standing)
    waits = _waits(rules, record, now)
    if (proposed := record.proposed) is not None:
        if proposed.helpless:
            words = f"training again did not help ({proposed.helpless}); a person has to look"
            return Decision("helpless", words, names)
        at_once = standing.pull is None or moved(record, standing)
        return _look(why, names) if waits is None or at_once else Decision("keep", f"{why}; {waits.words}", names)
    if snoozed := _snoozed(rules, record.past, names, now):
        return Decision("snoozed", snoozed, names)
    return Decision(waits.action, f"{why}; {waits.words}", names) if waits else _look(why, names)


def second(looked: Decision, rules: Retrain, record: Retraining, standing: Standing, fresh: Rows | None) -> Decision:
    """What a decision to look comes to, by the new labelled rows; None where no place of rows is declared."""
    names = looked.findings
    if fresh is None:
        words = "but `drift.rows` names no labelled rows to train on; name them, or train by hand"
        return Decision("few", f"{looked.words}; {words}", names)
    is_open, anew = standing.pull is not None, moved(record, standing)
    seen = record.proposed.rows.rows if is_open and record.proposed and not anew else 0
    new = plural(max(fresh.rows - seen, 0), "new labelled row")
    if fresh.rows - seen < rules.least_labelled:
        few = f"{looked.words}; {new}, of {count(rules.least_labelled)} needed"
        return Decision("withdraw" if anew else "keep" if is_open else "few", few, names)
    return Decision("update" if is_open else "propose", f"{looked.words}; {new}", names)


def moved(record: Retraining, standing: Standing) -> bool:
    """Whether what is open was put behind other data than the base has by now."""
    proposed = record.proposed
    return standing.pull is not None and proposed is not None and proposed.base != standing.base_pin


def withdrawn(record: Retraining, now: float, why: str) -> Retraining:
    """The record once what is open is not wanted any more."""
    proposed = record.proposed
    number, findings = (proposed.number, proposed.findings) if proposed else (None, ())
    past = Past(how="withdrawn", at=now, number=number, findings=findings, words=why)
    return record.model_copy(update={"proposed": None, "past": past})


def proposing(
    record: Retraining, decision: Decision, standing: Standing, pin: Pin, fresh: Rows, now: float
) -> Retraining:
    """The record before data is pushed, so that whoever is killed then does not count it twice."""
    before = record.proposed
    if before is not None and standing.pull is None:  # counted already
        now_is = {"pin": pin, "base": standing.base_pin, "rows": fresh, "findings": decision.findings}
        again = before.model_copy(update=now_is)
        return record.model_copy(update={"proposed": again})
    since, number = (before.since, before.number) if before else (now, None)
    after = before.after if before else standing.ended.pull.number if standing.ended else 0
    made = Proposed(
        pin=pin,
        base=standing.base_pin,
        rows=fresh,
        since=since,
        findings=decision.findings,
        after=after,
        number=number,
    )
    kept = tuple(at for at in record.pushed if now - at < 366 * DAY)
    return record.model_copy(update={"proposed": made, "pushed": (*kept, now)})


def _without_reason(drift: Drift, record: Retraining, standing: Standing) -> Decision:
    there = standing.pull is not None or record.proposed is not None
    if drift.outcome is Outcome.INCONCLUSIVE:
        words = f"nothing can be said of this window: {drift.summary}"
        return Decision("keep" if standing.pull is not None else "nothing", words)
    held = any(one.kind in CURED for one in drift.alarms)
    words = "quality was measured and held, whatever else drifted" if held else "nothing that training would cure"
    return (
        Decision("withdraw", f"{words} any more" if there and not held else words)
        if there
        else Decision("nothing", words)
    )


def _look(why: str, names: tuple[str, ...]) -> Decision:
    return Decision("look", why, names)


def _snoozed(rules: Retrain, past: Past | None, names: tuple[str, ...], now: float) -> str | None:
    """Why what a person closed is not proposed again yet."""
    if past is None or past.how != "closed":
        return None
    until = past.at + rules.snooze_days * DAY
    if not set(names) <= set(past.findings) or now >= until:
        return None
    said = f" ({past.words})" if past.words else ""
    return f"#{past.number} was closed{said}, and nothing else was found since; not before {_day(until)}"


def _waits(rules: Retrain, record: Retraining, now: float) -> Decision | None:
    """Why no data may be pushed yet."""
    past = record.past
    last = max((*record.pushed, *([past.at] if past and past.how != "withdrawn" else [])), default=None)
    if last is not None and now < last + rules.cooldown_days * DAY:
        until = _day(last + rules.cooldown_days * DAY)
        return Decision("cooldown", f"the last retraining was on {_day(last)}; no other before {until}")
    spent = [at for at in record.pushed if now - at < 7 * DAY]
    if len(spent) >= rules.per_week:
        until = _day(spent[-rules.per_week] + 7 * DAY)
        return Decision("budget", f"{plural(len(spent), 'full training')} of this week are spent; none before {until}")
    return None


def _briefly(found: tuple[Finding, ...]) -> list[str]:
    """The findings in a few words: what was measured first, then what weighs most."""
    order = sorted(found, key=lambda one: (one.kind not in MEASURED, -(one.importance or 0.0)))
    more = [f"and {count(len(order) - 3)} more"] if len(order) > 3 else []
    return [*(clip(one.words, 200).rstrip(".") for one in order[:3]), *more]


def _said(ended: Ended) -> str:
    others = [label for label in ended.labels if label not in LABELS]
    labels = f"labelled {', '.join(others)}" if others else ""
    return clip("; ".join(part for part in (ended.comment or "", labels) if part), LONGEST)


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
