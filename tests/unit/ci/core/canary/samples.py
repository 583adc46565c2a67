"""A release with a canary, and what Prometheus would have of both arms under load that is made up."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.adapters.prometheus import Prometheus
from ci.core.canary.counts import STARTED, Series
from ci.core.canary.tallies import HISTOGRAMS, MISSING, REQUESTS
from ci.core.lineage import Lineage
from ci.core.release import Release, Version, release

if TYPE_CHECKING:
    from collections.abc import Sequence

T0 = 1_800_000_000.0
SECONDS = tuple(1e-4 * 2 ** (k / 4) for k in range(68))
SCORES = tuple(k / 20 for k in range(21))


def version(key: str) -> Version:
    names = ("data", "params", "code", "environment", "predictions")
    hashes = {f"{name}_hash": key * 32 for name in names}
    lineage = Lineage(model="churn", commit=key * 40, lock_hash=key * 64, model_hash=key * 32, **hashes)
    return Version(image=f"127.0.0.1:5000/trunkline/churn@sha256:{key * 64}", version="3", lineage=lineage)


STABLE, CANARY = version("a"), version("b")


def stands(weight: int = 10, canary: Version | None = CANARY) -> Release:
    return release("churn", "production", stable=STABLE, canary=canary, weight=weight if canary else 0)


@dataclass(frozen=True)
class Load:
    """What an arm does: requests a second over all `pods`, its shares of errors and refusals, its speed, its scores."""

    track: str
    key: str
    rate: float
    errors: float = 0.01
    refused: float = 0.0
    slower: float = 1.0
    higher: float = 0.0
    pods: int = 1
    started: float = -900.0
    every: float = 15.0
    burst: tuple[float, float] = (0.0, 0.0)
    """From when to when half of the requests fail, whatever the arm."""

    def series(self, seed: int, minutes: float) -> list[Series]:
        """From the arm's start to the end, with the labels that Prometheus gives."""
        made = []
        for pod in range(self.pods):
            rng = np.random.default_rng([seed, pod, ord(self.key)])
            target = {"instance": f"{self.track}-{pod}", "environment": "production", "track": self.track}
            times = np.arange(T0 + self.started + rng.uniform(0, self.every), T0 + minutes * 60, self.every)
            n = rng.poisson(self.rate / self.pods * self.every, len(times))
            inside = np.clip(
                np.minimum(times - T0, self.burst[1]) - np.maximum(times - T0 - self.every, self.burst[0]), 0, None
            )
            bad = rng.binomial(n, self.errors + (0.5 - self.errors) * inside / self.every)
            refused = rng.binomial(n - bad, self.refused)
            good = n - bad - refused
            seconds = [rng.lognormal(math.log(0.03 * self.slower), 0.5, k) for k in good]
            scores = [1 / (1 + np.exp(-rng.normal(self.higher, 1.0, k))) for k in good]
            told = {"model": "churn", "version": self.key * 12, **target}

            def counter(name: str, values: object, **own: str) -> Series:
                total = np.cumsum(np.asarray(values, dtype=float))
                return Series({"__name__": name, **told, **own}, list(zip(times.tolist(), total.tolist(), strict=True)))  # noqa: B023

            made += [
                counter(REQUESTS, good, route="infer", code="200"),
                counter(REQUESTS, n * 0 + 1, route="health", code="500"),
                counter(REQUESTS, bad, route="infer", code="500"),
                counter(REQUESTS, refused, route="infer", code="400"),
                counter(MISSING, refused, column="amount"),
                Series({"__name__": STARTED, **target}, [(t, T0 + self.started - 5.0) for t in times.tolist()]),
            ]
            for metric, edges, values in (("slow", SECONDS, seconds), ("scores", SCORES, scores)):
                counts = np.array([np.bincount(np.searchsorted(edges, v), minlength=len(edges) + 1) for v in values])
                for index, edge in enumerate((*edges, math.inf)):
                    le = "+Inf" if math.isinf(edge) else f"{edge:.6g}"
                    made.append(counter(HISTOGRAMS[metric], counts[:, : index + 1].sum(axis=1), le=le))
        return made


CANARY_LOAD, STABLE_LOAD = Load("canary", "b", 5.0), Load("stable", "a", 45.0, pods=2)


def made(minutes: float, *, seed: int = 2, stable: Load = STABLE_LOAD, **canary: Any) -> list[Series]:
    """Both arms; `canary` says what the canary does otherwise."""
    return replace(CANARY_LOAD, **canary).series(seed, minutes) + stable.series(seed, minutes)


class Kept(Prometheus):
    """A Prometheus that holds what it is given, for as long as it is up."""

    def __init__(self, series: Sequence[Series]) -> None:
        super().__init__("http://127.0.0.1:9")
        self.series = series

    def samples(self, selector: str, start: float, end: float) -> list[Series]:
        wanted = [
            (name, re.compile(value) if operator == "=~" else re.compile(re.escape(value)))
            for name, operator, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', selector)
        ]
        if named := re.match(r"\w+", selector):
            wanted.append(("__name__", re.compile(named[0])))
        chosen = [
            Series(each.labels, [sample for sample in each.samples if start <= sample[0] <= end])
            for each in self.series
            if all(pattern.fullmatch(each.labels.get(name, "")) for name, pattern in wanted)
        ]
        return [each for each in chosen if each.samples]
