"""Evidence that the canary differs from stable: one e-process per metric, which may be looked at as often as one likes.

A minute's e-value (`hypergeometric`) has expectation 1 if the arms are alike, whatever happened before and whatever
moved both arms together, since it is conditional on what both counted. Products of such are a martingale of bets
(Shafer 2021, J. R. Stat. Soc. A 184; Grünwald, de Heide and Koolen 2024, J. R. Stat. Soc. B 86), and by Ville's
inequality (1939) the chance that one ever passes 1 / alpha is alpha at most: at any number of looks, and wherever one
stops. For canaries, sequential inference of this kind is in Lindon, Sanden and Shirikian (2022, KDD) and Maharaj et al.
(2023, WWW). How it is bet is in `bets`. The chance of a false alarm is split over the metrics, and adds up to
`rules.false_alarms`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ci.core.canary import bets
from ci.core.canary.alternatives import BAD
from ci.core.canary.effects import measure, odds
from ci.core.canary.records import Evidence, Found, Kind, Share

if TYPE_CHECKING:
    from ci.core.canary.hypergeometric import Ints
    from ci.core.canary.rules import Rules

SHARES: dict[Kind, float] = {
    "errors": 0.8,  # rare, and so slow to be told
    "slow": 0.08,  # every request tells something
    "refused": 0.03,
    "scores": 0.03,
    "missing": 0.03,
    "business": 0.03,
}
MOST_COLUMNS = 100
JUMP, JUMP_OF_SHARES = 1.5, 0.15  # of odds between two half-minutes, and of a share of requests below any edge
MOST_HELD = 20  # half-minutes
BUSINESS, MISSING = "business ", "missing "


def kind_of(metric: str) -> Kind:
    """What a metric is, by its name: `missing amount` and `business refunds` carry a name of their own."""
    for prefix in (MISSING, BUSINESS):
        if metric.startswith(prefix):
            return "missing" if prefix == MISSING else "business"
    if metric in ("errors", "refused", "slow", "scores"):
        return metric  # type: ignore[return-value]
    raise ValueError(metric)


def start(metric: str, rules: Rules, *, at: float = 0.0, place: int = 0, edges: tuple[float, ...] = ()) -> Evidence:
    """The evidence of a metric of which nothing was seen before `at`; `place` counts the metrics of its kind from 0.

    Columns are not known beforehand, so the k-th to be seen has 1 / (k (k + 1)) of their share: all add up to it.
    """
    kind = kind_of(metric)
    share = SHARES[kind]
    if kind == "errors" and not rules.business:
        share += SHARES["business"]
    elif kind == "business":
        share /= len(rules.business)
    elif kind == "missing":
        share /= (place + 1) * (place + 2)
    tolerated = (
        rules.business[metric.removeprefix(BUSINESS)].tolerated
        if kind == "business"
        else float(getattr(rules.tolerated, kind))
    )
    none = (0,) * (len(edges) + 1 if kind in ("slow", "scores") else 2)
    return Evidence(
        metric=metric,
        kind=kind,
        alpha=rules.false_alarms * share,
        log_e=tuple(bets.opening(kind).tolist()),
        edges=edges,
        canary=none,
        stable=none,
        standard=tuple(map(float, none)),
        step_canary=none,
        step_stable=none,
        since=at,
        since_canary=none,
        since_standard=tuple(map(float, none)),
        tolerated=tolerated,
    )


def add(
    evidence: Evidence,
    canary: Ints,
    stable: Ints,
    *,
    at: float = 0.0,
    lower_is_worse: bool = False,
    edge: Ints | None = None,
) -> Evidence:
    """The evidence with one more half-minute, which ends at `at`: counts per bucket of both arms, (b,) and (b,).

    Scrapes of the two arms are seconds apart. Where something changes for both at an edge, a part of it is counted on
    one arm before the edge and on the other after it, and either half-minute would be evidence of a difference that
    there is not. So half-minutes between which both arms together changed are held, and counted as one when it is over.
    `edge` is what both arms counted between the scrapes around `at`, (b,), which tells of a change that just began.
    """
    pooled = canary + stable
    jumped = evidence.held < MOST_HELD and (
        (bool(evidence.last) and jump(np.array(evidence.last), pooled)) or (edge is not None and jump(pooled, edge))
    )
    if evidence.held:
        canary, stable = canary + np.array(evidence.held_canary), stable + np.array(evidence.held_stable)
    evidence = evidence.model_copy(
        update={
            "last": tuple(pooled.tolist()),
            "held_canary": tuple(canary.tolist()) if jumped else (),
            "held_stable": tuple(stable.tolist()) if jumped else (),
            "held": evidence.held + 1 if jumped else 0,
        }
    )
    return evidence if jumped else _bet(evidence, canary, stable, at, lower_is_worse=lower_is_worse)


def jump(before: Ints, after: Ints) -> bool:
    """Whether two half-minutes, of both arms together, differ by more than chance and by much: (b,) and (b,).

    Which arm a request fell on has no part in it, so that what is held says nothing of a difference between them.
    """
    n, m = int(before.sum()), int(after.sum())
    if not n or not m:
        return False
    if len(before) == 2:
        ratio = odds(after[BAD], m) / odds(before[BAD], n)
        share = (before[BAD] + after[BAD]) / (n + m)
        spread = math.sqrt(share * (1 - share) * (1 / n + 1 / m))
        return max(ratio, 1 / ratio) > JUMP and abs(after[BAD] / m - before[BAD] / n) > 3.5 * spread
    apart = float(np.abs(np.cumsum(after) / m - np.cumsum(before) / n).max())
    return apart > JUMP_OF_SHARES and apart * math.sqrt(n * m / (n + m)) > 2  # Kolmogorov and Smirnov's statistic


def _bet(evidence: Evidence, canary: Ints, stable: Ints, at: float, *, lower_is_worse: bool) -> Evidence:
    held = bets.after(
        evidence.kind,
        np.array(evidence.log_e),
        canary,
        stable,
        seen=evidence.windows,
        alpha=evidence.alpha,
        decided=evidence.certain,
        lower=lower_is_worse,
    )
    now = float(np.logaddexp.reduce(held))
    alike = _alike(canary, stable)
    lowest = now <= evidence.lowest
    none = np.zeros(len(canary), dtype=np.int64)
    more = evidence.model_copy(
        update={
            "windows": evidence.windows + 1,
            "log_e": tuple(held.tolist()),
            "log_now": now,
            "log_peak": max(evidence.log_peak, now),
            "canary": _sum(evidence.canary, canary),
            "stable": _sum(evidence.stable, stable),
            "standard": tuple((np.array(evidence.standard) + alike).tolist()),
            "step_canary": _sum(evidence.step_canary, canary),
            "step_stable": _sum(evidence.step_stable, stable),
            "lowest": min(now, evidence.lowest),
            "since": at if lowest else evidence.since,
            "since_canary": tuple(none.tolist()) if lowest else _sum(evidence.since_canary, canary),
            "since_standard": tuple(none.astype(float).tolist())
            if lowest
            else tuple((np.array(evidence.since_standard) + alike).tolist()),
        }
    )
    return _judged(more, at, lower_is_worse=lower_is_worse)


def _judged(evidence: Evidence, at: float, *, lower_is_worse: bool) -> Evidence:
    """The evidence, with what was found if it is certain now and the difference is large where it rose.

    A difference since long ago would be made small by the minutes before it came.
    """
    if evidence.found is not None or evidence.log_now < -math.log(evidence.alpha) - 1e-9:
        return evidence
    shares, effect = risen(evidence, lower_is_worse=lower_is_worse)
    if effect is None or effect <= evidence.tolerated:
        return evidence
    found = Found(
        at=at,
        since=evidence.since,
        requests=sum(evidence.since_canary),
        shares=shares,
        effect=effect,
        log_e=evidence.log_now,
    )
    return evidence.model_copy(update={"found": found})


def risen(evidence: Evidence, *, lower_is_worse: bool = False) -> tuple[tuple[Share, ...], float | None]:
    """Shares and effect in the minutes since the evidence was least."""
    return measure(
        evidence, np.array(evidence.since_canary, dtype=float), np.array(evidence.since_standard), lower=lower_is_worse
    )


def pending(evidence: Evidence, *, lower_is_worse: bool = False) -> tuple[tuple[Share, ...], float | None]:
    """Shares and effect in the half-minutes that are held."""
    canary, stable = np.array(evidence.held_canary, dtype=float), np.array(evidence.held_stable, dtype=float)
    return measure(evidence, canary, _alike(canary, stable), lower=lower_is_worse)


def anew(evidence: Evidence) -> Evidence:
    """The evidence at the start of a step."""
    none = (0,) * len(evidence.canary)
    return evidence.model_copy(update={"step_canary": none, "step_stable": none})


def rebucketed(evidence: Evidence, edges: tuple[float, ...]) -> Evidence:
    """The evidence with other buckets: what was counted in the old ones is let go, what it showed is not."""
    none = (0,) * (len(edges) + 1)
    whole = dict.fromkeys(("canary", "stable", "step_canary", "step_stable", "since_canary"), none)
    parts = dict.fromkeys(("standard", "since_standard"), tuple(map(float, none)))
    held: dict[str, object] = {"last": (), "held_canary": (), "held_stable": (), "held": 0}
    return evidence.model_copy(update={**whole, **parts, **held, "edges": edges})


def measured(evidence: Evidence, *, lower_is_worse: bool = False) -> Evidence:
    """The evidence with its shares and its effect, which say how large a difference is: certainty does not."""
    canary, standard = np.array(evidence.canary, dtype=float), np.array(evidence.standard)
    shares, effect = measure(evidence, canary, standard, lower=lower_is_worse)
    return evidence.model_copy(update={"shares": shares, "effect": effect})


def _alike(canary: NDArray[Any], stable: NDArray[Any]) -> NDArray[Any]:
    """What the canary's counts would be, were it like stable: (b,) and (b,) -> (b,)."""
    return stable * (canary.sum() / stable.sum()) if stable.sum() else np.zeros(len(stable))


def _sum(total: tuple[int, ...], more: Ints) -> tuple[int, ...]:
    return tuple((np.array(total, dtype=np.int64) + more).tolist())
