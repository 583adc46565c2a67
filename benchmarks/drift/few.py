"""Alarms that labels alone give in years in which nothing changes: `python -m benchmarks.drift.few [--years N]`.

Frauds of the simulator come in clusters, a terminal that stays compromised for weeks, which p-values and intervals take
for independent rows. Banks of one, two and four times the size are watched a year each, with the least number of labels
that concept and quality ask of each class, and without one.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in __main__

from benchmarks.drift import methods, simulators
from benchmarks.drift.streams import LABEL
from ci.core.drift import concept, quality
from ci.core.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ci.core.drift.records import Drift, Kind

SIZES = (1, 2, 4)
KINDS: tuple[Kind, ...] = ("concept", "quality")
FIRST_SEED = 100  # other years than those of benchmarks.drift


def main() -> int:
    """Print a line for each size and kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=6, help="of each size")
    years: int = parser.parse_args().years
    started = time.perf_counter()
    print(
        f"{'frauds a week':>13} {'years':>5} {'kind':8} {'without least: alarms (years)':30} with least: alarms (years)"
    )
    for size in SIZES:
        known, free = Counter[str](), Counter[str]()
        frauds = 0.0
        for seed in range(years):
            stream = simulators.fraud_stationary(FIRST_SEED + seed, size)
            frauds += sum(day.get_column(LABEL).sum() for day in stream.days) / len(stream.days) * 7 / years
            _count(known, methods.trunkline(stream).records)
            with _without_least():
                _count(free, methods.trunkline(stream).records)
        for kind in KINDS:
            told = [f"{one[kind]} ({one[kind + ' years']})" for one in (free, known)]
            print(f"{frauds:13.0f} {years:5} {kind:10} {told[0]:26} {told[1]}", flush=True)
        judged = known["judged"] / max(known["asked"], 1)
        print(f"{'':28} quality was judged with it in {judged:.0%} of {known['asked']} checks with labels")
    print(f"{time.perf_counter() - started:,.0f} s")
    return 0


def _count(counts: Counter[str], records: Sequence[Drift]) -> None:
    """Alarms of each kind that began, and in how many years any did; checks whose labels were judged."""
    for kind in KINDS:
        days = [any(one.kind == kind for one in record.alarms) for record in records]
        began = sum(now and not before for before, now in zip([False, *days[:-1]], days, strict=True))
        counts[kind] += began
        counts[f"{kind} years"] += began > 0
    rows = [record.quality for record in records if record.quality]
    counts["asked"] += len(rows)
    counts["judged"] += sum(any(row.verdict is not Outcome.INCONCLUSIVE for row in row_set) for row_set in rows)


@contextmanager
def _without_least() -> Iterator[None]:
    """Judge by any labels."""
    before = concept.LEAST_OF_EACH, quality.LEAST_OF_EACH
    concept.LEAST_OF_EACH = quality.LEAST_OF_EACH = 1
    try:
        yield
    finally:
        concept.LEAST_OF_EACH, quality.LEAST_OF_EACH = before


if __name__ == "__main__":
    sys.exit(main())
