"""One look at a rollout: what Prometheus counted since the last one, the evidence brought up to date, a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.core.canary import counts, progress, selectors, tallies
from ci.core.canary.counts import Arm
from ci.core.canary.decision import decide
from ci.core.canary.evidence import BUSINESS
from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    from ci.adapters.prometheus import Prometheus
    from ci.core.canary.counts import Window
    from ci.core.canary.records import Rollout
    from ci.core.canary.rules import Rules
    from ci.core.canary.tallies import Tallies
    from ci.core.params import Environment
    from ci.core.release import Release

UNKNOWN = 3600.0  # seconds: how far is read back where it is not known when the canary was released
LONGEST = 86_400.0  # seconds: how far is read back at most
AT_ONCE = 1700.0  # seconds read in one go, so that what is held does not grow with the time nobody looked
TRACKS = ("canary", "stable")
NAMES = {"canary": "the canary", "stable": "stable"}

Business = dict[str, tuple[tuple[Arm, Arm], tuple[Arm, Arm]]]
"""Of each business metric, the numerators of canary and stable, and their denominators."""


def look(
    rules: Rules,
    release: Release,
    environment: Environment,
    before: Rollout | None,
    prometheus: Prometheus,
    *,
    now: float,
    since: float | None = None,
) -> Rollout:
    """What the rollout in `release` has shown up to `now`, and what is to be done about it (`.decision`).

    `before` is what the last look gave; None, or the record of another pair of versions or of an earlier release of
    this one, starts anew from `since` (when the canary was released; an hour ago where that is not known). `now` is in
    seconds of Unix time. Writes nothing: the same inputs and the same Prometheus give the same record.

    Raises ConfigurationError where nothing is being rolled out or a business metric's selector is no PromQL, and
    EnvironmentFault where Prometheus cannot be asked; the record of before stays good.
    """
    spec = release.spec
    if spec.canary is None:
        raise ConfigurationError(f"nothing is being rolled out: {spec.model} in {spec.environment} has no canary.")
    since = None if since is None else min(since, now)
    if before is None or not progress.goes_on(before, release, since):
        began = max(now - UNKNOWN if since is None else since, now - LONGEST)
        # From the next edge on: what the same model did before it was released again is not to be counted.
        before = progress.start(release, since=counts.edge_after(began), now=now)
    rollout = progress.at_weight(progress.under(before, rules), spec.weights.canary).model_copy(update={"looked": now})
    lacking: str | None = None
    blocked: str | None = None
    if now < min(rollout.seen_until, before.looked):
        blocked = f"the clock is {rollout.seen_until - now:.0f} s behind what was looked at already"
    else:
        if now - rollout.seen_until > LONGEST:
            rollout = progress.passed_over(rollout, counts.edge_before(now - LONGEST))
        while now - rollout.seen_until > AT_ONCE:
            rollout, _ = _read(rollout, rules, release, prometheus, rollout.seen_until + AT_ONCE)
        rollout, lacking = _read(rollout, rules, release, prometheus, now)
    rollout = progress.measured(rollout, rules)
    decision = decide(rules, environment.steps, rollout, now=now, lacking=lacking, blocked=blocked)
    return rollout.model_copy(update={"decision": decision})


def _read(
    rollout: Rollout, rules: Rules, release: Release, prometheus: Prometheus, now: float
) -> tuple[Rollout, str | None]:
    """The record brought up to `now`, and why the newest half-minutes did not count, if so."""
    spec = release.spec
    span = (rollout.seen_until - counts.APART - counts.LATE - 1, now)
    place = {"model": spec.model, "environment": spec.environment}
    versions = {"canary": spec.canary or spec.stable, "stable": spec.stable}
    starts = prometheus.samples(selectors.of_server({counts.STARTED}, environment=spec.environment), *span)
    canary, stable = (
        counts.arm(
            prometheus.samples(
                selectors.of_server(
                    tallies.READ, **place, track=track, version=versions[track].lineage.model_hash[:12]
                ),
                *span,
            ),
            starts,
        )
        for track in TRACKS
    )
    business = _business(rules, prometheus, span)
    edges = tallies.common_edges(canary, stable)
    lacking = None
    others = [arm for parts in business.values() for pair in parts for arm in pair]
    for window in counts.windows(canary, stable, seen_until=rollout.seen_until, now=now, others=others):
        made = None if window.unseen else tallies.tallies(window.canary, window.stable, edges)
        lacking = _lacking(window, made)
        if made is None or lacking is not None:
            rollout = progress.passed_over(rollout, window.end)
        else:
            made |= _business_of(business, window)
            around = tallies.tallies(window.canary_edge, window.stable_edge, edges)
            rollout = progress.counted(rollout, window.end, made, around, edges, rules)
    born = max(filter(None, (rollout.born, canary.born(rollout.seen_until))), default=None)
    return rollout.model_copy(update={"born": born}), lacking


def _lacking(window: Window, made: Tallies | None) -> str | None:
    if made is None:
        names = " and of ".join(NAMES[name] for name in window.unseen)
        return f"Prometheus has no unbroken samples of {names}"
    idle = [name for name, counted in zip(TRACKS, made["errors"], strict=True) if not counted.sum()]
    return f"{' and '.join(NAMES[name] for name in idle)} had no requests" if idle else None


def _business(rules: Rules, prometheus: Prometheus, span: tuple[float, float]) -> Business:
    def arms(selector: str) -> tuple[Arm, Arm]:
        read = [counts.arm(prometheus.samples(selectors.of_track(selector, track), *span)) for track in TRACKS]
        return read[0], read[1]

    return {name: (arms(each.numerator), arms(each.denominator)) for name, each in rules.business.items()}


def _business_of(business: Business, window: Window) -> Tallies:
    """The business metrics of which both parts were seen on both arms throughout the half-minute."""
    made: Tallies = {}
    for name, (numerators, denominators) in business.items():
        if all(arm.covers(window.start, window.end) for arm in (*numerators, *denominators)):
            above, below = (
                tuple(sum(arm.between(window.start, window.end).values()) for arm in arms)
                for arms in (numerators, denominators)
            )
            made[f"{BUSINESS}{name}"] = tallies.pair_of((above[0], above[1]), (below[0], below[1]))
    return made
