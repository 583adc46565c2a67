"""How a rollout is judged: `defaults.rollout` of the root params.yaml, and what a model's own `rollout` overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ci.core.canary.selectors import wrong
from ci.core.strict import Declared, over, parse

if TYPE_CHECKING:
    from ci.core.strict import Place

KEY = "rollout"

Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(ge=1)]
Few = Annotated[int, Field(ge=1)]


class Slos(Declared):
    """What the canary has to keep to in absolute terms, whatever stable does; None is not asked for."""

    errors: Share | None = 0.01
    """Share of the requests that end with a server error."""
    p99_seconds: Annotated[float, Field(gt=0)] | None = None


class Tolerated(Declared):
    """How far the canary may be beyond stable, as a ratio of odds, before certainty of a difference is a reason.

    A huge number of requests makes any difference certain; these say which are worth going back for.
    """

    errors: Ratio = 1.2
    refused: Ratio = 1.5
    slow: Ratio = 1.2
    scores: Ratio = 2.0
    missing: Ratio = 1.5


class Business(Declared):
    """A ratio of two counters that outside systems keep of each track: PromQL selectors with `$track` in them."""

    numerator: str
    denominator: str
    worse: Literal["higher", "lower"]
    tolerated: Ratio = 1.2


class Rules(Declared):
    """`rollout`."""

    false_alarms: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Chance that a rollout of a version that is no worse is ever rolled back, over all metrics and looks."""
    minutes: Few = 10
    """A step takes no less."""
    requests: Few = 500
    """Requests to the canary that a step takes no less of."""
    slos: Slos = Slos()
    tolerated: Tolerated = Tolerated()
    business: dict[str, Business] = Field(default_factory=dict)


def parse_rules(defaults: Rules, data: Any, place: Place) -> Rules:
    """The rules of a model: `data`, its own `rollout` or None, over the defaults. Raises ConfigurationError."""
    if data is None:
        return defaults
    own = parse(Rules, data, place)
    require_selectors(own, place)
    return over(defaults, own)


def require_selectors(rules: Rules, place: Place) -> None:
    """Refuse a business metric of which the tracks could not be told apart, or whose raw samples could not be read."""
    for name, each in rules.business.items():
        for key in ("numerator", "denominator"):
            if (what := wrong(getattr(each, key))) is not None:
                raise place.at("business", name, key).error(f"the selector of '{name}' is no use: {what}.")
