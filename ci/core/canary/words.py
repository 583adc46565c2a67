"""A rollout's evidence as lines that are read in a commit message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.canary.records import Evidence, Found, Share


def fact(evidence: Evidence) -> str:
    """One metric in one line: how many of how many, canary against stable, how large a difference, how certain."""
    if not sum(evidence.canary) or not sum(evidence.stable):
        return f"{evidence.metric}: nothing was counted on both arms yet"
    shown = "; ".join(
        f"{share.name} {percent(share.canary)} against {percent(share.stable)}" for share in _told(evidence)
    )
    of = f"of {sum(evidence.canary):,} against {sum(evidence.stable):,}"
    effect = "" if evidence.effect is None else f"; {_odds(evidence.effect, evidence.tolerated)}"
    return f"{shown or evidence.metric} {of}{effect}; {certainty(evidence)}"


def certainty(evidence: Evidence) -> str:
    """How far the evidence is: `e = 3.1 of 25`."""
    needed = f"{evidence.needed:,.0f}"
    if evidence.certain:
        return f"e = {_number(evidence.e)}, so a difference is certain ({needed} is enough)"
    return f"e = {_number(evidence.e)} of the {needed} that make a difference certain"


def worse(found: Found, evidence: Evidence) -> str:
    """Why a metric is a reason to go back, in a clause."""
    return (
        f"{difference(evidence, found.shares, found.requests, found.effect)}, from {clock(found.since)} to "
        f"{clock(found.at)}"
    )


def difference(evidence: Evidence, shares: Sequence[Share], requests: int, effect: float) -> str:
    """The share that differs most, on both arms."""
    worst = max(shares, key=lambda share: abs(share.canary - share.stable))
    return (
        f"{worst.name} {percent(worst.canary)} of {requests:,} on the canary against {percent(worst.stable)} on stable "
        f"in the same minutes ({_odds(effect, evidence.tolerated)})"
    )


def percent(share: float) -> str:
    """A share with the digits that matter: 0.12 %, 1.9 %, 34 %."""
    return f"{share:.2g}" if 0 < share < 1e-6 else f"{share * 100:.3g} %"


def minutes(number: float) -> str:
    """A duration, in minutes or hours."""
    whole = max(1, round(number))
    if whole < 120:
        return f"{whole} minute{'s' if whole > 1 else ''}"
    return f"{round(number / 60)} hours"


def clock(time: float) -> str:
    """A moment: `12:03 UTC`."""
    return f"{datetime.fromtimestamp(time, UTC):%H:%M} UTC"


def _told(evidence: Evidence) -> list[Share]:
    """The shares worth telling: of scores' many the one that differs most."""
    if evidence.kind != "scores" or not evidence.shares:
        return list(evidence.shares)
    return [max(evidence.shares, key=lambda share: abs(share.canary - share.stable))]


def _odds(effect: float, tolerated: float) -> str:
    return f"{effect:.2f} times stable's odds, {tolerated:g} times are tolerated"


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"
