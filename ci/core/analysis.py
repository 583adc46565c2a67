"""What a look at a rollout says to who asks by HTTP, and the release as it is while a controller steps by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.core.errors import ConfigurationError
from ci.core.release import release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.canary.records import Rollout
    from ci.core.release import Release


class Unknown(ConfigurationError):
    """There is no such model, environment or share (exit code 1)."""


def at_weight(of: Release, weight: int, steps: Sequence[int]) -> Release:
    """The same release with another share on its canary. Raises Unknown for a share that is no step below 100."""
    if weight not in steps or weight == 100:
        raise Unknown(f"{weight} is no step before the last; the steps of {of.spec.environment} are {list(steps)}.")
    spec = of.spec
    return release(
        spec.model, spec.environment, stable=spec.stable, canary=spec.canary, weight=weight, split=spec.split
    )


def earlier(weight: int, steps: Sequence[int]) -> int | None:
    """The step before this one, None for the first."""
    return max((step for step in steps if step < weight), default=None)


def answer(seen: Rollout) -> dict[str, Any]:
    """The decision on a rollout and what it rests on, as JSON."""
    return {
        "model": seen.model,
        "environment": seen.environment,
        "canary": seen.canary_digest,
        "weight": seen.step.weight,
        "decision": seen.decision.action,
        "words": seen.decision.words,
        "facts": list(seen.decision.facts),
        "requests": seen.requests,
        "seen_until": seen.seen_until,
        "metrics": {
            one.metric: {
                "e": one.e,
                "needed": one.needed,
                "certain": one.certain,
                "odds": one.effect,
                "tolerated": one.tolerated,
            }
            for one in seen.evidence
        },
    }
