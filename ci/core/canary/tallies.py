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
REQUESTS, ROWS, MISSING = f"{PREFIX}requests_total", f"{PREFIX}rows_total", f"{PREFIX}missing_total"
HISTOGRAMS = {"slow": SECONDS, "scores": f"{PREFIX}score_bucket"}
READ = (REQUESTS, ROWS, MISSING, *HISTOGRAMS.values())
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

    A value that is missing is one that a refused request lacked, so it stands beside the rows that were scored; a
    request may lack a thousand, which come together, so there are no more of them than requests that were refused.
    Rows of one request come and go together, so rows are counted as requests: by their mean number in this half-minute.
    """
    arms = (_Counted(canary), _Counted(stable))
    made: Tallies = {}
    requests = [each.requests() for each in arms]
    made["errors"] = (_two(requests[0], "5"), _two(requests[1], "5"))
    made["refused"] = (_two(requests[0], "4"), _two(requests[1], "4"))
    for metric, name in HISTOGRAMS.items():
        if edges.get(metric):
            made[metric] = (arms[0].histogram(name, edges[metric]), arms[1].histogram(name, edges[metric]))
    rows = [each.total(ROWS) for each in arms]
    answered = sum(each.get("2", 0) for each in requests)
    together = max(1, -(-sum(rows) // answered)) if answered else 1
    for column in sorted(arms[0].columns() | arms[1].columns()):
        lacking = [min(a.total(MISSING, column=column), b.get("4", 0)) for a, b in zip(arms, requests, strict=True)]
        made[f"missing {column}"] = (_counts(rows[0], lacking[0]), _counts(rows[1], lacking[1]))
    for metric, pair in made.items():
        if together > 1 and (metric == "scores" or metric.startswith("missing ")):
            made[metric] = (_thinned(pair[0], together), _thinned(pair[1], together))
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


def _thinned(counts: Ints, by: int) -> Ints:
    return (counts + by // 2) // by
