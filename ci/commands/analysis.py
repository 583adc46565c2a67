"""One look at a rollout: what Prometheus counted since the last one, the evidence brought up to date, a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ci.adapters.prometheus import Prometheus
    from ci.core.canary.records import Rollout
    from ci.core.canary.rules import Rules
    from ci.core.params import Environment
    from ci.core.release import Release


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

    `before` is what the last look gave; None, or the record of another pair of versions, starts anew from `since`
    (when the canary was released; an hour ago where that is not known). `now` is in seconds of Unix time. Writes
    nothing: the same inputs and the same Prometheus give the same record.

    Raises ConfigurationError where nothing is being rolled out or a business metric's selector is no PromQL, and
    EnvironmentFault where Prometheus cannot be asked; the record of before stays good.
    """
    raise NotImplementedError
