"""What the decision on a rollout makes of release.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.core.canary import progress
from ci.core.release import release

if TYPE_CHECKING:
    from ci.core.canary.records import Decision, Rollout
    from ci.core.params import Environment
    from ci.core.release import Release


def branch(model: str, environment: str) -> str:
    """The branch of the one pull request that a rollout has open at a time."""
    return f"rollout/{model}/{environment}"


def changed(current: Release | None, rollout: Rollout) -> Release | None:
    """The release that makes a decision true; None where there is nothing to do, or no longer.

    `current` is what the base has. A canary is taken back whatever its share is by now; a step or a promotion is of the
    share that it was decided at.
    """
    decision = rollout.decision
    if current is None or decision.action == "hold" or not progress.is_of(rollout, current):
        return None
    spec = current.spec
    if decision.action == "rollback":
        return release(spec.model, spec.environment, stable=spec.stable)
    if spec.canary is None or spec.weights.canary != rollout.step.weight:
        return None
    if decision.action == "promote":
        return release(spec.model, spec.environment, stable=spec.canary)
    weight = decision.weight or 0
    return release(
        spec.model, spec.environment, stable=spec.stable, canary=spec.canary, weight=weight, split=spec.split
    )


def waits(decision: Decision, environment: Environment) -> bool:
    """Whether a person has to merge it: a step that params.yaml says so of; the one to 100 is the promotion."""
    return decision.weight in environment.approve


def settled(before: Rollout | None, now: Rollout) -> Rollout:
    """`now` with the decision of `before` where that is the same one: decided once, with what was known then.

    So a pull request that waits is not written anew with each look.
    """
    if before is None or before.step.weight != now.step.weight:
        return now
    same = (before.decision.action, before.decision.weight) == (now.decision.action, now.decision.weight)
    return now.model_copy(update={"decision": before.decision}) if same and now.decision.action != "hold" else now
