"""The paired bootstrap of AP and ROC AUC beside a naive loop over scikit-learn: `python -m benchmarks.bootstrap`.

The naive loop runs a few resamples, and its time is scaled up; both see the same rows, in one process.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from ci.core.statistics.intervals import interval
from ci.core.statistics.measure import Resampling, measure
from ci.core.statistics.metrics import Metric
from ci.core.statistics.rows import Floats, Ints, Rows

AP, AUC = Metric("average_precision"), Metric("roc_auc")
NAIVE = 10


def main() -> None:
    """Print both times, their ratio and the intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=2_000)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 0.01], help="of positive rows")
    arguments = parser.parse_args()
    for share in arguments.shares:
        compare(arguments.rows, arguments.resamples, share)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


def compare(n: int, resamples: int, share: float) -> None:
    """One line for one share of positives."""
    rng = np.random.default_rng(1)
    label = (rng.random(n) < share).astype(np.float64)
    candidate, baseline = (1 / (1 + np.exp(-(lift * label + rng.normal(size=n)))) for lift in (1.5, 1.45))
    rows = Rows(ids=np.arange(n), label=label, score=candidate, columns={}, days={})

    started = time.perf_counter()
    found = measure(rows, baseline, [AP, AUC], Resampling(resamples, 1), "all")
    ours = time.perf_counter() - started

    started = time.perf_counter()
    for _ in range(NAIVE):
        naive(label, candidate, baseline, rng.integers(0, n, n))
    theirs = (time.perf_counter() - started) / NAIVE * resamples

    print(f"{n:,} paired rows, {share:.0%} positive, {resamples:,} resamples of AP and ROC AUC of two models")
    print(f"  vectorised {ours:.2f} s; naive loop {theirs:.0f} s (from {NAIVE} resamples); ratio {theirs / ours:.0f}")
    for metric, one in found.items():
        assert one.differences is not None
        around = interval(one.differences, 0.95)
        assert around is not None
        print(f"  {metric.label}: difference in [{around.low:+.4f}, {around.high:+.4f}]")


def naive(label: Floats, candidate: Floats, baseline: Floats, drawn: Ints) -> tuple[float, float]:
    """One resample as one would write it at first."""
    differences = [
        metric(label[drawn], candidate[drawn]) - metric(label[drawn], baseline[drawn])
        for metric in (average_precision_score, roc_auc_score)
    ]
    return differences[0], differences[1]


if __name__ == "__main__":
    main()
