"""Guarantees of the canary analysis, by simulation: `python -m benchmarks.canary [--runs 200]`.

Beside it, on the same streams: Argo Rollouts' and Flagger's fixed thresholds as their documentation has them and as
best tuned, a z-test looked at each minute, and a normal mSPRT. One hour of 50 requests a second, one in ten on the
canary; base rates unknown to all but the tuned.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.canary import methods
from benchmarks.canary.streams import Scenario, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.canary.streams import Stream

NOISE = 0.5
ALIKE, NOISY = Scenario("no worse"), Scenario("no worse, noisy", noise=NOISE)
APART = Scenario("the same, scrapes 7.5 s apart", noise=NOISE, apart=0.25)
ERRORS = Scenario("errors 1 % → 2 %", times_errors=2)
NOISY_ERRORS = Scenario("errors 1 % → 2 %, noisy", times_errors=2, noise=NOISE)
SECONDS = Scenario("20 % slower", times_seconds=1.2)
NOISY_SECONDS = Scenario("20 % slower, noisy", times_seconds=1.2, noise=NOISE)
OTHERS = (
    Scenario("scores half a deviation higher", higher_scores=0.5),
    Scenario("rare errors 0.05 % → 0.5 %", errors=0.0005, times_errors=10),
    Scenario("low traffic, errors 2 % → 20 %", rate=1.0, errors=0.02, times_errors=10),
    Scenario("errors doubled after half an hour", times_errors=2, since=60),
)


@dataclass(frozen=True)
class Line:
    """What one method did on one scenario's streams."""

    scenario: Scenario
    name: str
    halves: Sequence[int | None]
    streams: Sequence[Stream]

    @property
    def rolled_back(self) -> float:
        """Share of runs, before a difference only where there is none."""
        return float(np.mean([half is not None for half in self.halves]))

    @property
    def early(self) -> float:
        """Share of runs that were rolled back before there was a difference."""
        return float(np.mean([half is not None and half < self.scenario.since for half in self.halves]))

    def median(self, *, each_minute: bool = False) -> float:
        """The canary's requests until certain, or until a look at the end of that minute."""
        since = self.scenario.since
        after = [
            methods.requests(stream, half if half is None or not each_minute else half | 1, since)
            for stream, half in zip(self.streams, self.halves, strict=True)
            if half is None or half >= since
        ]
        return float(np.median(after)) if after else math.nan

    def __str__(self) -> str:
        low, high = interval(self.rolled_back, len(self.halves))
        text = f"{self.scenario.name:32} {self.name:50} {self.rolled_back:6.1%} ({low:.1%}-{high:.1%})".ljust(112)
        if self.scenario.alike:
            return text
        text = f"{text} {_number(self.median()):>8} {_number(self.median(each_minute=True)):>8}"
        return f"{text}   {self.early:.1%} before" if self.scenario.since else text


def main() -> None:
    """Print the table, and which goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="per scenario")
    runs = parser.parse_args().runs
    started = time.perf_counter()
    print(f"{'scenario':32} {'method':50} {'rolled back (95 % interval)':27} requests, look each minute: median")
    tuning = {
        scenario: [draw(scenario, seed) for seed in range(10_000, 10_200)] for scenario in (ALIKE, ERRORS, SECONDS)
    }
    errors, seconds = _rivals(tuning)
    lines: list[Line] = []
    for scenario, rivals in (
        (ALIKE, {**errors, **seconds}),
        (NOISY, {**errors, **seconds}),
        (APART, {}),
        (ERRORS, errors),
        (NOISY_ERRORS, errors),
        (SECONDS, seconds),
        (NOISY_SECONDS, seconds),
        *((other, {}) for other in OTHERS),
    ):
        streams = [draw(scenario, seed) for seed in range(runs)]
        causes: Counter[str] = Counter()
        halves = []
        for stream in streams:
            found = methods.by_metric(stream)
            causes.update(metric for metric, _ in found)
            halves.append(found[0][1] if found else None)
        lines.append(Line(scenario, "Trunkline, all metrics", halves, streams))
        print(f"{lines[-1]}   {', '.join(f'{name} {count}' for name, count in causes.most_common())}", flush=True)
        for name, method in rivals.items():
            lines.append(Line(scenario, name, [method(stream) for stream in streams], streams))
            print(lines[-1], flush=True)
    for scenario in (ALIKE, NOISY, APART, ERRORS, NOISY_ERRORS):
        streams = [draw(scenario, seed) for seed in range(5 * runs)]
        halves = [methods.errors_alone(stream) for stream in streams]
        print(Line(scenario, f"Trunkline, errors alone ({5 * runs} runs)", halves, streams), flush=True)
    _goals([line for line in lines if line.name.startswith("Trunkline")])
    print(f"{runs} runs each, {time.perf_counter() - started:.0f} s")


def _rivals(
    tuning: dict[Scenario, list[Stream]],
) -> tuple[dict[str, Callable[[Stream], int | None]], dict[str, Callable[[Stream], int | None]]]:
    shares = np.arange(0.011, 0.06, 0.002).tolist()
    limits = (np.arange(1.02, 1.6, 0.04) * 0.096).tolist()
    best_share, share_words = methods.tuned(methods.share_above, shares, tuning[ALIKE], tuning[ERRORS])
    best_p99, p99_words = methods.tuned(methods.p99_above, limits, tuning[ALIKE], tuning[SECONDS])
    errors = {
        "Argo Rollouts: success >= 95 %, failureLimit 3": methods.share_above(0.05, 3),
        "Flagger: success >= 99 %, threshold 5": methods.share_above(0.01, 4),
        f"threshold best tuned ({share_words})": best_share,
        "z-test each minute (errors)": methods.z_errors,
        "normal mSPRT (errors)": methods.msprt_errors,
    }
    seconds = {
        "Flagger: p99 <= 0.5 s, threshold 5": methods.p99_above(0.5, 4),
        f"p99 best tuned ({p99_words})": best_p99,
        "z-test each minute (log seconds)": methods.z_seconds,
        "normal mSPRT (log seconds)": methods.msprt_seconds,
    }
    return errors, seconds


def _goals(lines: Sequence[Line]) -> None:
    by_name = {line.scenario.name: line for line in lines}
    for scenario in (ALIKE, NOISY, APART):
        line = by_name[scenario.name]
        low, high = interval(line.rolled_back, len(line.halves))
        said = "met" if line.rolled_back <= 0.05 else "NOT MET" if low > 0.05 else "not refuted by so few runs"
        print(f"{said}: {scenario.name}: {line.rolled_back:.1%} ({low:.1%}-{high:.1%}) rolled back, 5 % at most")
    for scenario, limit in ((ERRORS, 1_000), (NOISY_ERRORS, 1_000), (SECONDS, 300), (NOISY_SECONDS, 300)):
        line = by_name[scenario.name]
        met = line.median() <= limit and line.rolled_back >= 0.99
        print(
            f"{_met(met)}: {scenario.name}: found in {line.rolled_back:.1%}, in a median of {line.median():,.0f} "
            f"requests to the canary; at least 99 % and {limit:,} at most"
        )


def interval(share: float, runs: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share."""
    middle = (share + z**2 / (2 * runs)) / (1 + z**2 / runs)
    half = z / (1 + z**2 / runs) * math.sqrt(share * (1 - share) / runs + z**2 / (4 * runs**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _met(is_met: bool) -> str:
    return "met" if is_met else "NOT MET"


def _number(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "never"


if __name__ == "__main__":
    main()
