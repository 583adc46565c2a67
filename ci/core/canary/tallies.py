"""From what was counted to the buckets of each metric: which requests failed, how long they took, how rows scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ci.core.canary.counts import SECONDS
from ci.core.canary.hypergeometric import Ints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.core.canary.counts import Arm, Key

PREFIX = "trunkline_serve_"
REQUESTS, MISSING = f"{PREFIX}requests_total", f"{PREFIX}missing_total"
HISTOGRAMS = {"slow": SECONDS, "scores": f"{PREFIX}score_bucket"}
READ = (REQUESTS, MISSING, *HISTOGRAMS.values())
ROUTE = "infer"

Edges = dict[str, tuple[float, ...]]
Tallies = dict[str, tuple[Ints, Ints]]
"""Each metric's counts per bucket: the canary's and stable's."""


def common_edges(canary: Arm, stable: Arm) -> Edges:
    """The upper edges that both arms' histograms have, without the last, which is infinite."""
    return {
        metric: tuple(sorted(_edges(canary, name) & _edges(stable, name) - {float("inf")}))
        for metric, name in HISTOGRAMS.items()
    }


def tallies(canary: Mapping[Key, int], stable: Mapping[Key, int], edges: Edges) -> Tallies:
    """The metrics of one half-minute; a column's only where values are missing in it.

    The server counts a request once in each of them, however many rows it has: rows that come together are no more
    witnesses than one.
    """
    arms = (_Counted(canary), _Counted(stable))
    made: Tallies = {}
    requests = [each.requests() for each in arms]
    made["errors"] = (_two(requests[0], "5"), _two(requests[1], "5"))
    made["refused"] = (_two(requests[0], "4"), _two(requests[1], "4"))
    for metric, name in HISTOGRAMS.items():
        if edges.get(metric):
            made[metric] = (arms[0].histogram(name, edges[metric]), arms[1].histogram(name, edges[metric]))
    for column in sorted(arms[0].columns() | arms[1].columns()):
        lacking = [each.total(MISSING, column=column) for each in arms]
        all_asked = [sum(each.values()) for each in requests]
        made[f"missing {column}"] = pair_of((lacking[0], lacking[1]), (all_asked[0], all_asked[1]))
    return made


def pair_of(numerators: tuple[int, int], denominators: tuple[int, int]) -> tuple[Ints, Ints]:
    """A business metric's two buckets, from both arms' counts."""
    (above, other), (below, whole) = numerators, denominators
    return _counts(max(below - above, 0), above), _counts(max(whole - other, 0), other)


class _Counted:
    """One arm's counters in one half-minute."""

    def __init__(self, counted: Mapping[Key, int]) -> None:
        self._counted = [(dict(key), number) for key, number in counted.items()]

    def requests(self) -> dict[str, int]:
        """Requests for inference by the first digit of their code."""
        found: dict[str, int] = {}
        for labels, number in self._counted:
            if labels["__name__"] == REQUESTS and labels.get("route") == ROUTE:
                kind = labels.get("code", "")[:1]
                found[kind] = found.get(kind, 0) + number
        return found

    def total(self, name: str, **wanted: str) -> int:
        return sum(
            number
            for labels, number in self._counted
            if labels["__name__"] == name and all(labels.get(key) == value for key, value in wanted.items())
        )

    def columns(self) -> set[str]:
        return {labels["column"] for labels, _ in self._counted if labels["__name__"] == MISSING}

    def histogram(self, name: str, edges: tuple[float, ...]) -> Ints:
        """Counts between the edges; a bucket of an edge that the other arm lacks goes to the next that both have."""
        made = np.zeros(len(edges) + 1, dtype=np.int64)
        for labels, number in self._counted:
            if labels["__name__"] == name:
                made[int(np.searchsorted(edges, float(labels["le"])))] += number
        return made


def _edges(arm: Arm, name: str) -> set[float]:
    keys = {key for run in arm.runs for key in run.keys}
    return {float(labels["le"]) for key in keys if (labels := dict(key)).get("__name__") == name}


def _two(requests: Mapping[str, int], bad: str) -> Ints:
    return _counts(sum(n for kind, n in requests.items() if kind != bad), requests.get(bad, 0))


def _counts(good: int, bad: int) -> Ints:
    return np.array([good, bad], dtype=np.int64)
