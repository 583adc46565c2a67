"""What a rollout's evidence comes to: hold, step, promote or rollback, in words.

A rollback takes certainty and a difference beyond what is tolerated. A step takes time, requests, absolute limits kept,
and no suspicion that is about to become certain. What was not seen is neither health nor failure, and holds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ci.core.canary import words
from ci.core.canary.alternatives import BAD
from ci.core.canary.counts import WINDOW
from ci.core.canary.effects import quantile
from ci.core.canary.evidence import pending, risen
from ci.core.canary.progress import lower
from ci.core.canary.records import Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.core.canary.records import Evidence, Rollout
    from ci.core.canary.rules import Rules

STALE = 300.0  # seconds without a half-minute that counts, after which what is known is old
SUSPICION = math.log(3)  # an e-value that a canary which is no worse reaches once in three rollouts at most


def decide(
    rules: Rules,
    steps: Sequence[int],
    rollout: Rollout,
    *,
    now: float,
    lacking: str | None = None,
    blocked: str | None = None,
) -> Decision:
    """The decision; `steps` are the environment's, in per cent of the traffic.

    `lacking` says why the newest half-minutes did not count, if so, and `blocked` why nothing can be said now.
    """
    facts = (*(words.fact(each) for each in rollout.evidence), _seen(rollout))
    if worse := [(each, each.found) for each in rollout.evidence if each.found is not None]:
        return Decision(
            action="rollback",
            words=f"the canary is certainly worse: {'; '.join(words.worse(found, each) for each, found in worse)}",
            metrics=tuple(each.metric for each, _ in worse),
            facts=facts,
        )
    at = f"at {rollout.step.weight} %" if rollout.step.weight else "in the shadow"
    following = next((step for step in steps if step > rollout.step.weight), None)
    if blocked is not None:
        waits = [blocked]
    elif now - (rollout.counted_until or 0) > STALE:
        waits = [_stale(rollout, lacking)]
    else:
        waits = _waits(rules, rollout)
    if following is None:
        waits.append("the canary has all of the traffic, so nothing is left to compare it with; promote it, or go back")
    if waits or following is None:
        return Decision(action="hold", words=f"held {at}: {'; '.join(waits)}", facts=facts)
    shown = f"{rollout.step.requests:,} requests in {words.minutes(rollout.step.minutes)} {at} show nothing worse"
    if following == 100:
        return Decision(action="promote", words=f"{shown}: the canary becomes stable", weight=100, facts=facts)
    return Decision(action="step", words=f"{shown}: on to {following} %", weight=following, facts=facts)


def _stale(rollout: Rollout, lacking: str | None) -> str:
    until = "so far" if rollout.counted_until is None else f"since {words.clock(rollout.counted_until)}"
    return f"there is nothing to compare {until}: {lacking or 'no half-minute has passed'}"


def _waits(rules: Rules, rollout: Rollout) -> list[str]:
    """What keeps the rollout where it is, each with how much more it takes."""
    waits = []
    step = rollout.step
    if step.minutes < rules.minutes or step.requests < rules.requests:
        waits.append(_more(rules, rollout))
    elif rollout.born is not None and rollout.seen_until - rollout.born < rules.minutes * 60 - WINDOW:
        # A process that crashes takes its own errors along, uncounted: only that it began anew tells of them.
        began = f"a process of it began at {words.clock(rollout.born)} only"
        waits.append(f"{began}: none is to be younger than {rules.minutes} minutes")
    for each in rollout.evidence:
        waits += filter(None, (_suspicious(each, rules), _pending(each, rules)))
    by_name = {each.metric: each for each in rollout.evidence}
    if step.requests and (limit := rules.slos.errors) is not None:
        waits += _beyond("errors", _share(by_name.get("errors")), limit, words.percent)
    if step.requests and (limit := rules.slos.p99_seconds) is not None:
        waits += _beyond("p99", _p99(by_name.get("slow")), limit, lambda seconds: f"{seconds:.3g} s")
    return waits


def _suspicious(evidence: Evidence, rules: Rules) -> str | None:
    """What may soon be a reason to go back, with how many more requests make it one if it goes on as since it rose."""
    shares, effect = risen(evidence, lower_is_worse=lower(evidence.metric, rules))
    if effect is None or effect <= evidence.tolerated or evidence.log_now < SUSPICION:
        return None
    seen = sum(evidence.since_canary)
    rate = (evidence.log_now - evidence.lowest) / seen
    more = max(1, math.ceil((-math.log(evidence.alpha) - evidence.log_now) / rate))
    return (
        f"{words.difference(evidence, shares, seen, effect)} is suspicious and not certain yet "
        f"({words.certainty(evidence)}); about {more:,} more requests to the canary would make it so, if it goes on"
    )


def _pending(evidence: Evidence, rules: Rules) -> str | None:
    """What half-minutes that are held back, and no evidence yet, look like, if that would be a reason to go back."""
    shares, effect = pending(evidence, lower_is_worse=lower(evidence.metric, rules))
    if effect is None or effect <= evidence.tolerated:
        return None
    seen = words.difference(evidence, shares, sum(evidence.held_canary), effect)
    return f"{seen} for {words.minutes(evidence.held / 2)}, and whether that is both arms' doing is not known yet"


def _more(rules: Rules, rollout: Rollout) -> str:
    """How far the step is, and how long the rest takes at the rate so far."""
    step = rollout.step
    parts = [f"{step.requests:,} of {rules.requests:,} requests"] if step.requests < rules.requests else []
    parts += [f"{step.minutes:g} of {rules.minutes} minutes"] if step.minutes < rules.minutes else []
    so_far = f"{' and '.join(parts)} so far"
    passed = (rollout.seen_until - step.since) / 60
    if not step.requests or passed <= 0:
        return f"{so_far}, too few to say how long the rest takes"
    rest = max(
        (rules.requests - step.requests) * passed / step.requests,
        (rules.minutes - step.minutes) * passed / max(step.minutes, 0.5),
    )
    return f"{so_far}, about {words.minutes(rest)} more at this rate"


def _beyond(name: str, found: tuple[float, float] | None, limit: float, shown: Callable[[float], str]) -> list[str]:
    """Whether the canary keeps to an absolute limit in this step.

    It is held to its point estimate: a bound on it would hold a canary as good as stable for ever where stable is near
    the limit, and how certain a difference is, is what the comparison says.
    """
    if found is None:
        return [f"its {name} is to be {shown(limit)} at most and nothing counts it"]
    canary, stable = found
    if canary <= limit:
        return []
    words_ = f"its {name} is {shown(canary)} in this step, beyond the limit of {shown(limit)}"
    if stable > limit:
        return [f"{words_}; stable's is {shown(stable)} in the same minutes, so this is not the canary's doing"]
    return [f"{words_}, which stable keeps with {shown(stable)}"]


def _share(evidence: Evidence | None) -> tuple[float, float] | None:
    if evidence is None or not sum(evidence.step_canary) or not sum(evidence.step_stable):
        return None
    return (
        evidence.step_canary[BAD] / sum(evidence.step_canary),
        evidence.step_stable[BAD] / sum(evidence.step_stable),
    )


def _p99(evidence: Evidence | None) -> tuple[float, float] | None:
    if evidence is None or not sum(evidence.step_canary) or not sum(evidence.step_stable):
        return None
    arms = (evidence.step_canary, evidence.step_stable)
    canary, stable = (quantile(counts, evidence.edges, 0.99) for counts in arms)
    return canary, stable


def _seen(rollout: Rollout) -> str:
    passed = f", {words.minutes(rollout.skipped / 2)} passed over" if rollout.skipped else ""
    return (
        f"{words.minutes(rollout.windows / 2)} compared{passed}, {rollout.requests:,} requests to the canary, "
        f"since {words.clock(rollout.started)}"
    )
