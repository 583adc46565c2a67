"""Half-minutes of both arms of a rollout, drawn from a scenario: the same for every method, by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

HALVES = 120  # of an hour
SECONDS = 1e-4 * 2.0 ** (np.arange(68) / 4)  # upper edges, as the server has them
SCORES = np.array([0.001, 0.002, 0.005, 0.01, 0.02, *np.arange(1, 20) / 20, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0])
TYPICAL, SPREAD = 0.03, 0.5  # seconds and standard deviation of their logarithm
LEAN = -1.0  # mean of the scores' logits


@dataclass(frozen=True)
class Scenario:
    """What both arms do, and what the canary does otherwise from half-minute `since` on.

    `rate` is requests a second over both arms, `errors` stable's share of them; `noise` is the spread of a factor of
    each minute on errors and (a third of it) on seconds, common to both arms; `apart` is by how much of a half-minute
    the canary is scraped later, so that what it counts falls partly into the next.
    """

    name: str
    rate: float = 50.0
    canary: float = 0.1
    errors: float = 0.01
    noise: float = 0.0
    apart: float = 0.0
    times_errors: float = 1.0
    times_seconds: float = 1.0
    higher_scores: float = 0.0
    since: int = 0

    @property
    def alike(self) -> bool:
        """Whether the canary is no worse."""
        return self.times_errors == 1 and self.times_seconds == 1 and not self.higher_scores


@dataclass(frozen=True, eq=False)
class Stream:
    """One rollout: counts per half-minute, canary and stable: requests (h, 2), errors (h, 2), buckets (h, 2, b)."""

    requests: Ints
    errors: Ints
    seconds: Ints
    scores: Ints


def draw(scenario: Scenario, seed: int) -> Stream:
    """One hour."""
    rng = np.random.default_rng([seed, *scenario.name.encode()])
    minutes = rng.normal(size=HALVES // 2).repeat(2)
    often = np.exp(scenario.noise * minutes - scenario.noise**2 / 2)
    slower = np.exp(scenario.noise / 3 * minutes)
    later = (1 - scenario.apart) * often + scenario.apart * np.roll(often, -1)
    bad = np.arange(HALVES) >= scenario.since
    total = rng.poisson(scenario.rate * 30, HALVES)
    canary = rng.binomial(total, scenario.canary)
    requests = np.stack([canary, total - canary], axis=1)
    shares = scenario.errors * np.stack([later * np.where(bad, scenario.times_errors, 1.0), often], axis=1)
    errors = rng.binomial(requests, np.minimum(shares, 1.0))
    worse = np.stack([bad, np.zeros(HALVES, dtype=bool)], axis=1)
    times = slower[:, None] * np.where(worse, scenario.times_seconds, 1.0)
    cuts = (np.log(SECONDS) - np.log(TYPICAL * times)[:, :, None]) / SPREAD
    with np.errstate(divide="ignore"):
        moved = np.log(SCORES / (1 - SCORES)) - LEAN - np.where(worse, scenario.higher_scores, 0.0)[:, :, None]
    good, seconds = requests - errors, _chances(cuts)
    seconds[:, 0] = (1 - scenario.apart) * seconds[:, 0] + scenario.apart * np.roll(seconds[:, 0], -1, axis=0)
    return Stream(requests, errors, rng.multinomial(good, seconds), rng.multinomial(good, _chances(moved)))


def _chances(cuts: Floats) -> Floats:
    """Of a standard normal number to be between two cuts: (..., b) -> (..., b + 1)."""
    below = ndtr(cuts)
    ends = np.zeros((*cuts.shape[:-1], 1))
    return np.diff(np.concatenate([ends, below, ends + 1], axis=-1), axis=-1)


def quantile(counts: Ints, level: float) -> float:
    """As Prometheus' `histogram_quantile` has it: by straight line within the bucket."""
    total = np.cumsum(counts)
    if not total[-1]:
        return math.nan
    bucket = min(int(np.searchsorted(total, level * total[-1])), len(SECONDS) - 1)
    low = SECONDS[bucket - 1] if bucket else 0.0
    below = total[bucket - 1] if bucket else 0
    return float(low + (SECONDS[bucket] - low) * (level * total[-1] - below) / max(counts[bucket], 1))
