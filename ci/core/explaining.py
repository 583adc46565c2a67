"""Explanations of single predictions: what was logged, what ran it, and what each feature did. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ci.core.records import Part
from ci.core.tracing import Chain, Step

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

HASHED = "hmac:"
"""What begins each value of a feature that servers hash before it is logged."""
TOLERANCE = 1e-5
"""Relative: by how much the score may differ on another machine, in float32."""

Value = bool | int | float | str | None


class Logged(Part):
    """One row of a request as its server logged it."""

    request_id: str
    row: int
    time: datetime
    model: str
    model_hash: str
    version: str
    track: str
    features: dict[str, Value]
    score: float


class Contribution(Part):
    """What a feature did to the score, in its unit, with its standard error."""

    feature: str
    value: Value
    contribution: float
    error: float


class Explanation(Part):
    """Everything that is known of one prediction. `base` and all contributions add up to its score."""

    logged: Logged
    others: tuple[Logged, ...] = ()
    """The first row of each other answer to a request of the same id."""
    chain: Chain | None
    """The version that gave it; None where git knows no model with that hash."""
    ran: tuple[Step, ...]
    """What put this version where it ran at that time."""
    base: float
    references: int
    contributions: tuple[Contribution, ...]
    hidden: tuple[str, ...]
    """Features that the log shows hashed or not at all; the model saw them, so they have a share in the score."""
    hidden_contribution: float


def answers(rows: Iterable[Logged]) -> list[tuple[Logged, ...]]:
    """The rows of one id by answer, the one that its sender got first.

    An id that is there twice was used twice, of which the last counts, or is that of a request that was copied to a
    canary in the shadow: what the canary said to that nobody heard.
    """
    found: dict[tuple[bool, datetime, str], list[Logged]] = {}
    for each in sorted(rows, key=lambda row: row.row):
        found.setdefault((each.track != "canary", each.time, each.version), []).append(each)
    return [tuple(answer) for _, answer in sorted(found.items(), reverse=True)]


def hidden(logged: Logged, features: Iterable[str]) -> tuple[str, ...]:
    """The features of the model that the log does not show as they were."""
    shown = logged.features
    return tuple(name for name in features if name not in shown or str(shown[name]).startswith(HASHED))


def is_same(one: float, other: float) -> bool:
    """Whether two scores are one, computed twice."""
    return abs(one - other) <= TOLERANCE * max(1.0, abs(one))


def chosen(chains: Sequence[Chain], logged: Logged) -> Chain | None:
    """Of the versions with the model's hash the one that ran then, on the row's track at best, else the newest."""
    own = [one for one in chains if one.lineage is not None and one.lineage.model_hash == logged.model_hash]

    def fits(one: Chain) -> tuple[bool, bool]:
        steps = ran(one.steps, logged)
        return any(step.arm == logged.track for step in steps), bool(steps)

    return max(reversed(own), key=fits, default=None)


def ran(steps: Collection[Step], logged: Logged) -> tuple[Step, ...]:
    """The step of each environment that was in force at a row's time, where it gave the version traffic.

    Those on the row's own track alone, where there is one: a canary's pods stand by on stable's version while nothing
    is rolled out. A commit's time is not that of its roll-out, which follows by minutes.
    """
    latest = {step.environment: step for step in steps if _time(step.when) <= logged.time}
    had = tuple(step for step in latest.values() if step.arm)
    return tuple(step for step in had if step.arm == logged.track) or had


def since(text: str) -> datetime | None:
    """A time as people write it, in UTC unless it says otherwise; None where it is none."""
    try:
        return _time(text)
    except ValueError:
        return None


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
