"""A rollout's record from one half-minute to the next, and from one step to the next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ci.core.canary import bets, evidence
from ci.core.canary.counts import WINDOW
from ci.core.canary.records import MOST_POINTS, Decision, Point, Rollout, Step

if TYPE_CHECKING:
    from ci.core.canary.rules import Rules
    from ci.core.canary.tallies import Edges, Tallies
    from ci.core.release import Release


def start(release: Release, *, since: float, now: float) -> Rollout:
    """The record of a rollout of which nothing was seen yet. `release` has a canary."""
    spec = release.spec
    if spec.canary is None:
        raise ValueError(spec.model)
    return Rollout(
        model=spec.model,
        environment=spec.environment,
        stable=spec.stable.lineage.lock_hash,
        canary=spec.canary.lineage.lock_hash,
        stable_digest=spec.stable.digest,
        canary_digest=spec.canary.digest,
        started=since,
        seen_until=since,
        looked=now,
        step=Step(weight=spec.weights.canary, since=since),
        decision=Decision(action="hold", words="nothing was looked at yet"),
    )


def is_of(rollout: Rollout, release: Release) -> bool:
    """Whether the record is of the two versions that a release.yaml has beside each other, in its environment."""
    if release.spec.canary is None:
        return False
    fresh = start(release, since=0, now=0)
    keys = ("model", "environment", "stable", "canary", "stable_digest", "canary_digest")
    return all(getattr(rollout, key) == getattr(fresh, key) for key in keys)


def goes_on(rollout: Rollout, release: Release, since: float | None) -> bool:
    """Whether what is seen now belongs to the record: of these two versions, and not released anew later (`since`).

    One whose bets are not those that are made now, from another version of this code, cannot be gone on with.
    """
    return (
        is_of(rollout, release)
        and (since is None or since <= rollout.started)
        and all(len(each.log_e) == len(bets.opening(each.kind)) for each in rollout.evidence)
    )


def under(rollout: Rollout, rules: Rules) -> Rollout:
    """The record without the business metrics that params.yaml has no more."""
    kept = tuple(
        each
        for each in rollout.evidence
        if each.kind != "business" or each.metric.removeprefix(evidence.BUSINESS) in rules.business
    )
    return rollout.model_copy(update={"evidence": kept})


def at_weight(rollout: Rollout, weight: int) -> Rollout:
    """The record at this weight: a new step if it is another than before. What was seen stays evidence."""
    if weight == rollout.step.weight:
        return rollout
    return rollout.model_copy(
        update={
            "step": Step(weight=weight, since=rollout.seen_until),
            "evidence": tuple(evidence.anew(each) for each in rollout.evidence),
        }
    )


def passed_over(rollout: Rollout, end: float) -> Rollout:
    """The record after half-minutes up to `end` that say nothing."""
    skipped = round((end - rollout.seen_until) / WINDOW)
    return rollout.model_copy(update={"seen_until": end, "skipped": rollout.skipped + skipped})


def counted(rollout: Rollout, end: float, tallies: Tallies, around: Tallies, edges: Edges, rules: Rules) -> Rollout:
    """The record after a half-minute in which both arms were seen and had requests.

    `around` is what was counted between the scrapes around its end.
    """
    known = {each.metric: each for each in rollout.evidence}
    for metric, (canary, stable) in tallies.items():
        each = known.get(metric)
        if each is None:
            place = sum(evidence.kind_of(other) == evidence.kind_of(metric) for other in known)
            if place >= evidence.MOST_COLUMNS:
                continue
            each = evidence.start(metric, rules, at=rollout.seen_until, place=place, edges=edges.get(metric, ()))
        elif each.edges != edges.get(metric, ()):
            each = evidence.rebucketed(each, edges.get(metric, ()))
        known[metric] = evidence.add(
            each,
            canary,
            stable,
            at=end,
            lower_is_worse=lower(metric, rules),
            edge=around[metric][0] + around[metric][1] if metric in around else None,
        )
    requests = int(tallies["errors"][0].sum())
    step = rollout.step
    done = rollout.model_copy(
        update={
            "seen_until": end,
            "counted_until": end,
            "windows": rollout.windows + 1,
            "requests": rollout.requests + requests,
            "step": step.model_copy(
                update={"minutes": step.minutes + WINDOW / 60, "requests": step.requests + requests}
            ),
            "evidence": tuple(known.values()),
        }
    )
    return _plotted(done)


def measured(rollout: Rollout, rules: Rules) -> Rollout:
    """The record with how large each difference is."""
    return rollout.model_copy(
        update={
            "evidence": tuple(
                evidence.measured(each, lower_is_worse=lower(each.metric, rules)) for each in rollout.evidence
            )
        }
    )


def lower(metric: str, rules: Rules) -> bool:
    """Whether less of it is worse."""
    return evidence.kind_of(metric) == "business" and (
        rules.business[metric.removeprefix(evidence.BUSINESS)].worse == "lower"
    )


def _plotted(rollout: Rollout) -> Rollout:
    """The record with a point for its last half-minute: each for the first hour, then every second, fourth, ..."""
    every = 1
    while rollout.windows > every * MOST_POINTS:
        every *= 2
    points = rollout.points
    if every > 1 and rollout.windows == every // 2 * MOST_POINTS + 1:
        points = points[1::2]
    if rollout.windows % every == 0:
        points = (*points, _point(rollout))
    return rollout.model_copy(update={"points": points})


def _point(rollout: Rollout) -> Point:
    heights: dict[str, float] = {}
    for each in rollout.evidence:
        name = "missing" if each.kind == "missing" else each.metric
        height = round((each.log_now + math.log(each.alpha)) / math.log(10), 3)
        heights[name] = max(height, heights.get(name, height))
    return Point(at=rollout.seen_until, weight=rollout.step.weight, requests=rollout.requests, log10=heights)
