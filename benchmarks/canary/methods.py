"""Ways to judge a canary. Each maps a stream to the half-minute in which it would roll back, or None.

All but Trunkline's own look at the end of each minute at what that minute, or all minutes so far, counted.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.canary.streams import SCORES, SECONDS, Stream, quantile
from ci.core.canary import evidence
from ci.core.canary.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.canary.streams import Floats

    Method = Callable[[Stream], int | None]

MIDDLES = np.log(np.concatenate([SECONDS[:1], np.sqrt(SECONDS[1:] * SECONDS[:-1]), SECONDS[-1:]]))
ALPHA = 0.05


def errors_alone(stream: Stream) -> int | None:
    """Trunkline's evidence of errors, with its own part of the chance of a false alarm."""
    found = by_metric(stream, ("errors",))
    return found[0][1] if found else None


def by_metric(stream: Stream, metrics: Sequence[str] = ("errors", "slow", "scores")) -> list[tuple[str, int]]:
    """The half-minute in which the first metric was found to be worse, with its name; all that are in the same.

    As `trunkline rollout` has it, at once for all metrics.
    """
    rules = Rules()
    known = {
        "errors": evidence.start("errors", rules),
        "slow": evidence.start("slow", rules, edges=tuple(SECONDS.tolist())),
        "scores": evidence.start("scores", rules, edges=tuple(SCORES.tolist())),
    }
    for half in range(len(stream.requests)):
        good, bad = stream.requests[half] - stream.errors[half], stream.errors[half]
        counted = {
            "errors": np.stack([good, bad], axis=1),
            "slow": stream.seconds[half],
            "scores": stream.scores[half],
        }
        if not stream.requests[half].all():
            continue
        for metric in metrics:
            known[metric] = evidence.add(known[metric], counted[metric][0], counted[metric][1])
        if found := [(metric, half) for metric in metrics if known[metric].worse]:
            return found
    return []


def share_above(limit: float, allowed: int, minutes: int = 1) -> Method:
    """Fixed threshold on the canary's errors: back when more than `allowed` intervals were beyond `limit`."""

    def judge(stream: Stream) -> int | None:
        errors, requests = _intervals(stream.errors[:, 0], minutes), _intervals(stream.requests[:, 0], minutes)
        return _nth(errors > limit * requests, allowed, minutes)

    return judge


def p99_above(limit: float, allowed: int, minutes: int = 1) -> Method:
    """Likewise on the canary's p99, in seconds."""

    def judge(stream: Stream) -> int | None:
        return _nth(_p99(stream, minutes) > limit, allowed, minutes)

    return judge


def z_errors(stream: Stream) -> int | None:
    """One-sided z-test of two shares at 5 %, on all minutes so far, at the end of each."""
    difference, variance = _errors(stream)
    return _first(difference / np.sqrt(np.maximum(variance, 1e-300)) > 1.645)


def z_seconds(stream: Stream) -> int | None:
    """Likewise of the mean logarithm of seconds."""
    difference, variance = _seconds(stream)
    return _first(difference / np.sqrt(variance) > 1.645)


def msprt_errors(stream: Stream) -> int | None:
    """Mixture sequential probability ratio test with a normal limit (Johari et al. 2022), of the share of errors."""
    return _msprt(*_errors(stream), tau=0.01)


def msprt_seconds(stream: Stream) -> int | None:
    """Likewise of the mean logarithm of seconds."""
    return _msprt(*_seconds(stream), tau=0.2)


def tuned(
    make: Callable[[float, int, int], Method], limits: Sequence[float], alike: Sequence[Stream], worse: Sequence[Stream]
) -> tuple[Method, str]:
    """The fixed threshold that finds `worse` with fewest requests among those that alarm on 5 % of `alike` at most.

    It is told what no one knows beforehand: both base rates, and the difference to be found.
    """
    best: tuple[float, float, Method, str] | None = None
    for limit, allowed, minutes in product(limits, (0, 1, 2, 3, 5, 8), (1, 2, 5, 10)):
        method = make(limit, allowed, minutes)
        if sum(method(stream) is not None for stream in alike) > ALPHA * len(alike):
            continue
        after = [requests(stream, method(stream)) for stream in worse]
        key = (float(np.median(after)), -float(np.isfinite(after).mean()))
        if best is None or key < best[:2]:
            best = (*key, method, f"{limit:.3g}, {allowed} of {minutes} min")
    assert best is not None
    return best[2], best[3]


def requests(stream: Stream, half: int | None, since: int = 0) -> float:
    """The canary's requests up to the decision, from `since` on."""
    return math.inf if half is None else float(stream.requests[since : half + 1, 0].sum())


@cache
def _p99(stream: Stream, minutes: int) -> Floats:
    counts = stream.seconds[:, 0].reshape(-1, 2 * minutes, stream.seconds.shape[2]).sum(axis=1)
    return np.array([quantile(each, 0.99) for each in counts])


def _intervals(counts: Floats, minutes: int) -> Floats:
    return counts.reshape(-1, 2 * minutes).sum(axis=1)


def _nth(failed: Floats, allowed: int, minutes: int) -> int | None:
    beyond = np.flatnonzero(np.cumsum(failed) > allowed)
    return None if not len(beyond) else int((beyond[0] + 1) * 2 * minutes - 1)


def _first(reached: Floats) -> int | None:
    """At the end of a minute."""
    found = np.flatnonzero(reached[1::2])
    return None if not len(found) else int(2 * found[0] + 1)


def _errors(stream: Stream) -> tuple[Floats, Floats]:
    bad, all_ = np.cumsum(stream.errors, axis=0), np.maximum(np.cumsum(stream.requests, axis=0), 1)
    pooled = bad.sum(axis=1) / all_.sum(axis=1)
    shares = bad / all_
    return shares[:, 0] - shares[:, 1], pooled * (1 - pooled) * (1 / all_).sum(axis=1)


def _seconds(stream: Stream) -> tuple[Floats, Floats]:
    counts = np.cumsum(stream.seconds, axis=0)
    all_ = np.maximum(counts.sum(axis=2), 1)
    means = counts @ MIDDLES / all_
    variances = np.maximum(counts @ MIDDLES**2 / all_ - means**2, 1e-6)
    return means[:, 0] - means[:, 1], (variances / all_).sum(axis=1)


def _msprt(difference: Floats, variance: Floats, tau: float) -> int | None:
    variance = np.maximum(variance, 1e-12)
    logs = 0.5 * np.log(variance / (variance + tau**2)) + tau**2 * difference**2 / (2 * variance * (variance + tau**2))
    return _first((logs >= -math.log(ALPHA)) & (difference > 0))
