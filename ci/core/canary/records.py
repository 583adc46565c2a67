"""What one rollout has shown so far: the record that a look reads, brings up to date and hands on.

The evidence is carried whole, so that looking every minute or once an hour ends in the same numbers to the last bit.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from ci.core.records import Part, Record

Kind = Literal["errors", "refused", "slow", "scores", "missing", "business"]
Action = Literal["hold", "step", "promote", "rollback"]

MOST_POINTS = 120


class Share(Part):
    """A share in words, canary beside stable; stable's is of the minutes in which the canary had its requests.

    `name` is what is counted: `errors`, `slower than 0.0336 s (stable's p95)`.
    """

    name: str
    canary: float
    stable: float


class Found(Part):
    """What made a metric a reason to go back: a difference that is certain and beyond what is tolerated.

    `since` to `at` are the minutes in which the evidence rose; shares, effect and `requests` are of those.
    """

    at: float
    since: float
    requests: int
    shares: tuple[Share, ...]
    effect: float
    log_e: float


class Evidence(Part):
    """What one metric has shown, over all steps; buckets are the metric's own, counts of requests (or rows).

    `log_e` holds the logarithm of what the bet on each alternative is worth, and last of what is not bet yet; `log_now`
    that of their sum, the e-process; `log_peak` the greatest that has been since the start: by Ville's inequality it
    passes `1 / alpha` by chance with probability `alpha` at most. `standard` is what the canary's counts would be, had
    each minute of it been like stable's.
    """

    metric: str
    kind: Kind
    alpha: float
    windows: int = 0
    """Half-minutes in it."""
    log_e: tuple[float, ...]
    log_now: float = 0.0
    log_peak: float = 0.0
    edges: tuple[float, ...] = ()
    """Upper edges of the buckets, where they are a histogram's; the last bucket has none."""
    canary: tuple[int, ...]
    stable: tuple[int, ...]
    standard: tuple[float, ...]
    step_canary: tuple[int, ...]
    step_stable: tuple[int, ...]
    shares: tuple[Share, ...] = ()
    effect: float | None = None
    """Ratio of odds, canary's over stable's, in the direction that is worse (1: alike); None while nothing was seen."""
    tolerated: float = 1.0
    lowest: float = 0.0
    """The least that `log_now` has been."""
    since: float = 0.0
    """The end of the half-minute in which it was that: since then it rose."""
    since_canary: tuple[int, ...] = ()
    since_standard: tuple[float, ...] = ()
    found: Found | None = None
    last: tuple[int, ...] = ()
    """Both arms' counts in the last half-minute."""
    held_canary: tuple[int, ...] = ()
    held_stable: tuple[int, ...] = ()
    """Counts of half-minutes, `held` of them, in which something changed for both arms: not in anything above yet."""
    held: int = 0

    @property
    def e(self) -> float:
        """The e-value as it stands: how many times the money of one who bet that the canary is worse."""
        return math.exp(min(self.log_now, 700.0))

    @property
    def needed(self) -> float:
        """The e-value from which on a difference is certain."""
        return 1 / self.alpha

    @property
    def certain(self) -> bool:
        """Whether a difference was certain at any time (a boosted bet ends on it exactly, but for rounding)."""
        return self.log_peak >= -math.log(self.alpha) - 1e-9

    @property
    def worse(self) -> bool:
        """Whether the canary was found to be worse at any time: a reason to go back."""
        return self.found is not None


class Step(Part):
    """The step that a rollout is at: `weight` in per cent (0: it gets copies only), `since` in seconds of Unix time.

    `minutes` and `requests` are those that counted: both arms were seen, and both had requests.
    """

    weight: int
    since: float
    minutes: float = 0.0
    requests: int = 0


class Point(Part):
    """Where the evidence stood at a time: the logarithm (base 10) of each metric's e-value over what it needs.

    0 is certainty. For a plot; thinned to `MOST_POINTS`.
    """

    at: float
    weight: int
    requests: int
    log10: dict[str, float]


class Decision(Part):
    """What a look came to, in `words` that a person reads in a commit message.

    `metrics` are those it rests on; `weight` is the canary's next share of the traffic, in per cent, for a step.
    `facts` are lines of evidence to be quoted beneath: counts, e-values, what is missing.
    """

    action: Action
    words: str
    metrics: tuple[str, ...] = ()
    weight: int | None = None
    facts: tuple[str, ...] = ()


class Rollout(Record):
    """rollout.json: one canary beside one stable in one environment. Times are seconds of Unix time.

    Stable and canary are told by the lock hash of their lineage, and by their images' digests.
    """

    environment: str
    stable: str
    canary: str
    stable_digest: str
    canary_digest: str
    started: float
    seen_until: float
    """The end of the last minute that was counted, or passed over; a look goes on from here."""
    looked: float
    """When it was last looked."""
    counted_until: float | None = None
    """The end of the last half-minute that counted."""
    windows: int = 0
    """Half-minutes that counted so far."""
    skipped: int = 0
    """Half-minutes that were passed over, since either arm was not seen in full or had no requests."""
    requests: int = 0
    """The canary's, in those that counted."""
    born: float | None = None
    """When the youngest of the canary's processes began, where that was seen."""
    step: Step
    evidence: tuple[Evidence, ...] = ()
    points: tuple[Point, ...] = Field(default=(), max_length=MOST_POINTS)
    decision: Decision
