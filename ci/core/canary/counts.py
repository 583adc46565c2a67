"""From raw samples of counters to what each arm counted in each half-minute, and which of those may be compared.

A target is one process as Prometheus sees it: its series are scraped together, so a counter that is not there yet is 0.
A run of a target are its scrapes without a hole; what was counted across a hole is left out, and so is a half-minute in
which an arm was not seen throughout. Nothing here depends on when it is looked at: the same samples up to an edge give
the same counts, in however many looks they are read.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Floats = NDArray[np.float64]

WINDOW = 30.0  # seconds; with what Prometheus usually scrapes, two samples or more
APART = 75.0  # seconds between two scrapes from which on something is missing: more than the usual minute
WARM = 60.0  # seconds after a process's start in which how long its requests take is not counted
LATE = 2.0  # seconds until a sample that was taken can be read
OF_THE_SERIES = frozenset({"__name__", "model", "version", "route", "code", "le", "column"})
STARTED = "process_start_time_seconds"
SECONDS = "trunkline_serve_request_seconds_bucket"
HISTOGRAM = "_bucket"


@dataclass(frozen=True)
class Series:
    """One time series: its labels, and samples of (seconds of Unix time, value)."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


Key = tuple[tuple[str, str], ...]
"""What tells a counter of a target from its others: the labels that are the series' own, sorted."""


@dataclass(frozen=True)
class Run:
    """Scrapes of one target without a hole: `times` (s,), and what each counter counted since the run began (s, c).

    `whole`: nothing was counted before the first scrape that is not in it. `started` (s,) is when the process that was
    scraped began, in seconds of Unix time, not a number where that is not known.
    """

    times: Floats
    counted: Floats
    keys: tuple[Key, ...]
    whole: bool
    started: Floats

    def at(self, edge: float) -> Floats:
        """What was counted up to `edge`, between two scrapes by their share of the time, in whole numbers: (c,)."""
        index = int(np.searchsorted(self.times, edge, side="right")) - 1
        if index < 0:
            return np.zeros(self.counted.shape[1])
        if index == len(self.times) - 1:
            return self.counted[index]  # type: ignore[no-any-return]
        share = (edge - self.times[index]) / (self.times[index + 1] - self.times[index])
        more: Floats = self.counted[index] + np.floor(share * (self.counted[index + 1] - self.counted[index]) + 1e-9)
        return more

    def around(self, edge: float) -> Floats:
        """What was counted between the scrapes before and after `edge`: (c,)."""
        index = int(np.searchsorted(self.times, edge, side="right")) - 1
        if not 0 <= index < len(self.times) - 1:
            return np.zeros(self.counted.shape[1])
        more: Floats = self.counted[index + 1] - self.counted[index]
        return more

    def covers(self, start: float, end: float) -> bool:
        """Whether it was seen on both sides of the stretch, or from its birth within it."""
        return bool(self.times[-1] >= end and (self.times[0] <= start or (self.whole and self.times[0] <= end)))


@dataclass(frozen=True)
class Arm:
    """What was scraped of one arm."""

    runs: tuple[Run, ...]

    def settled(self, edge: float, *, absent: bool = False) -> bool:
        """Whether all that is seen shortly before `edge` was seen after it too, so that nothing more is to come.

        `absent`: also where nothing was seen shortly before.
        """
        shortly = [run for run in self.runs if np.any((run.times > edge - APART) & (run.times <= edge))]
        return (absent or bool(shortly)) and all(run.times[-1] >= edge for run in shortly)

    def covers(self, start: float, end: float) -> bool:
        """Whether at least one target was seen throughout."""
        return any(run.covers(start, end) for run in self.runs)

    def between(self, start: float, end: float) -> dict[Key, int]:
        """What all targets counted."""
        return _total((run, run.at(end) - run.at(start)) for run in self._near(start, end))

    def around(self, edge: float) -> dict[Key, int]:
        """What all targets counted between their scrapes before and after `edge`."""
        return _total((run, run.around(edge)) for run in self._near(edge, edge))

    def born(self, until: float) -> float | None:
        """When the youngest process began that was scraped up to a time, in seconds of Unix time, where it is known."""
        known = [run.started[(run.times <= until) & ~np.isnan(run.started)] for run in self.runs]
        return max((float(each.max()) for each in known if each.size), default=None)

    def _near(self, start: float, end: float) -> list[Run]:
        return [run for run in self.runs if run.times[0] <= end and run.times[-1] > start]


def _total(counted: Iterable[tuple[Run, Floats]]) -> dict[Key, int]:
    total: dict[Key, int] = defaultdict(int)
    for run, numbers in counted:
        for key, more in zip(run.keys, numbers.tolist(), strict=True):
            if more:
                total[key] += int(more)
    return total


@dataclass(frozen=True)
class Window:
    """A half-minute. `unseen` names the arms that were not seen throughout; then the counts say nothing.

    `canary_edge` and `stable_edge` are what was counted between the scrapes around its end.
    """

    start: float
    end: float
    canary: Mapping[Key, int] = field(default_factory=dict)
    stable: Mapping[Key, int] = field(default_factory=dict)
    canary_edge: Mapping[Key, int] = field(default_factory=dict)
    stable_edge: Mapping[Key, int] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()


def arm(series: Iterable[Series], starts: Iterable[Series] = ()) -> Arm:
    """The targets of one arm from its counters; `starts` are the `process_start_time_seconds` of all targets.

    Samples out of order are sorted, a time that occurs twice counts once. Cumulative buckets are made single ones.
    """
    born = {_target(each.labels): dict(each.samples) for each in starts}
    targets: dict[Key, dict[Key, dict[float, float]]] = defaultdict(dict)
    for each in series:
        targets[_target(each.labels)][_own(each.labels)] = dict(each.samples)
    return Arm(tuple(run for target in _once(targets, born) for run in _runs(targets[target], born.get(target, {}))))


def _once(targets: Iterable[Key], born: Mapping[Key, Mapping[float, float]]) -> Iterator[Key]:
    """The targets in order, each process once, though two jobs scrape it, or two Prometheus that answer as one.

    What is counted twice would seem twice as certain. One process has one `instance` and one start, to the last bit.
    """
    seen: set[tuple[str, float]] = set()
    for target in sorted(targets):
        instance = dict(target).get("instance")
        lives = {(instance, start) for start in born.get(target, {}).values()} if instance else set()
        if not lives & seen:
            seen |= lives
            yield target


def windows(canary: Arm, stable: Arm, *, seen_until: float, now: float, others: Sequence[Arm] = ()) -> Iterator[Window]:
    """The half-minutes from `seen_until` on of which nothing more is to come, in order; nor of `others`."""
    start = seen_until
    while (end := start + WINDOW) + LATE <= now and (
        end + APART + LATE <= now
        or (canary.settled(end) and stable.settled(end) and all(other.settled(end, absent=True) for other in others))
    ):
        seen = {"canary": canary.covers(start, end), "stable": stable.covers(start, end)}
        unseen = tuple(name for name, is_seen in seen.items() if not is_seen)
        if unseen:
            yield Window(start, end, unseen=unseen)
        else:
            yield Window(
                start,
                end,
                canary.between(start, end),
                stable.between(start, end),
                canary.around(end),
                stable.around(end),
            )
        start = end


def edge_before(time: float) -> float:
    """The last edge of a half-minute up to `time`."""
    return time // WINDOW * WINDOW


def edge_after(time: float) -> float:
    """The first edge of a half-minute from `time` on."""
    return -edge_before(-time)


def _target(labels: Mapping[str, str]) -> Key:
    return tuple(sorted((name, value) for name, value in labels.items() if name not in OF_THE_SERIES))


def _own(labels: Mapping[str, str]) -> Key:
    return tuple(sorted((name, value) for name, value in labels.items() if name in OF_THE_SERIES))


def _runs(counters: Mapping[Key, Mapping[float, float]], born: Mapping[float, float]) -> Iterator[Run]:
    times = np.array(sorted({time for samples in counters.values() for time in samples}))
    keys = tuple(sorted(counters))
    values = np.array([[counters[key].get(time, 0.0) for key in keys] for time in times.tolist()])
    values = _single(keys, values)
    takes_time = np.array([dict(key).get("__name__") == SECONDS for key in keys])
    cuts = [0, *(np.flatnonzero(np.diff(times) > APART) + 1).tolist(), len(times)]
    for first, last in pairwise(cuts):
        scraped, counts = times[first:last], values[first:last]
        started = np.array([born.get(time, np.nan) for time in scraped.tolist()])
        whole = bool(started[0] >= scraped[0] - APART)
        more = np.diff(counts, axis=0)
        # Prometheus' own rule is that a counter which falls was reset; all counters of a process are reset with it.
        anew = (more < 0).any(axis=1) | (np.diff(started) > 1.0)
        more = np.where(anew[:, None], counts[1:], more)
        before = counts[:1] if whole else np.zeros_like(counts[:1])
        counted = np.concatenate([before, more])
        # The first requests of any process are slow, and a canary's processes are the newer ones.
        began = np.concatenate([started[:1], scraped[:-1]])
        counted[np.ix_(began - started < WARM, takes_time)] = 0.0
        yield Run(scraped, np.cumsum(counted, axis=0), keys, whole, started)


def _single(keys: Sequence[Key], values: Floats) -> Floats:
    """Each bucket's own count in place of the count up to its edge."""
    families: dict[Any, list[tuple[float, int]]] = defaultdict(list)
    for index, key in enumerate(keys):
        labels = dict(key)
        if labels.get("__name__", "").endswith(HISTOGRAM) and "le" in labels:
            rest = tuple(pair for pair in key if pair[0] != "le")
            families[rest].append((float(labels["le"]), index))
    single = values.copy()
    for family in families.values():
        family.sort()
        for (_, below), (_, index) in pairwise(family):
            single[:, index] = np.maximum(values[:, index] - values[:, below], 0.0)
    return single
