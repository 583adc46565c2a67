"""Drift on streams whose changes are known: `python -m benchmarks.drift [--only WORD ...] [--alone]`.

A check a day of the last window (7 days), at the defaults, beside Evidently's default (half of the columns drifted) and
a Kolmogorov-Smirnov test of each column at 0.05. A false alarm is a day in alarm, after one that was not, before
anything has changed; they are counted per year of daily checks. Evidently takes seconds for each window, so it is asked
of a few windows that do not overlap, and of samples of their rows.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before scikit-learn: its threads wait for each other where cores are few

from benchmarks.drift import methods, published, simulators
from benchmarks.drift.streams import YEAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.drift.methods import Watched
    from benchmarks.drift.streams import Stream

OURS = "Trunkline"
ASKED = 4  # windows of a stream that Evidently is asked of
SOON = 2  # windows


@dataclass(frozen=True)
class Line:
    """What one method did on one stream."""

    stream: Stream
    method: str
    watched: Watched

    @property
    def before(self) -> list[int]:
        """The days that were asked before anything had changed."""
        change = self.stream.change
        return [day for day in sorted(self.watched.alarms) if change is None or day < change]

    @property
    def false(self) -> int:
        """Alarms that began among them."""
        days = self.before
        beginnings = zip([None, *days[:-1]], days, strict=True) if days else ()
        return sum(
            self.watched.alarms[day] and not (last is not None and self.watched.alarms[last])
            for last, day in beginnings
        )

    @property
    def years(self) -> float:
        """How long was watched before anything had changed, in years."""
        days = self.before
        return (days[-1] - days[0] + 1) / YEAR if days else 0.0

    @property
    def in_alarm(self) -> float:
        """Share of the checks before anything had changed that were in alarm."""
        return sum(self.watched.alarms[day] for day in self.before) / max(len(self.before), 1)

    @property
    def windows(self) -> float | None:
        """Windows from the change to the first alarm after it, begun ones counted; infinite where there was none.

        What shows in labels alone is counted from the day on which the first of them are there.
        """
        change = self.stream.change
        if change is None:
            return None
        found = [day for day, alarm in sorted(self.watched.alarms.items()) if alarm and day >= change]
        known = change + (self.stream.delay if self.stream.in_labels else 0)
        return max(1, math.ceil((found[0] - known + 1) / self.stream.window)) if found else math.inf

    @property
    def blind(self) -> bool:
        """Whether it was in alarm already when the change came, so that it told nothing of it."""
        days = self.before
        return bool(days) and self.watched.alarms[days[-1]]

    def __str__(self) -> str:
        found = ""
        if self.windows is not None:
            found = "not found" if math.isinf(self.windows) else f"window {self.windows:.0f}"
            found += " (alarm before)" if self.blind else ""
        why = "; ".join(f"day {day}: {text}" for day, text in list(self.watched.why.items())[:2])
        first = (
            f"{self.stream.name:36} {self.method:22} {len(self.watched.alarms):4} {self.false:3} {self.in_alarm:7.1%}"
        )
        return f"{first} {found:26} {1_000 * self.watched.seconds:7,.0f}   {why[:150]}"


def main() -> int:
    """Print the table, and which goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="only streams with it in their name"
    )
    parser.add_argument("--alone", action="store_true", help="without the others, which take most of the time")
    given = parser.parse_args()
    started = time.perf_counter()
    rivals = {} if given.alone else _rivals()
    print(f"{'stream':36} {'method':22} {'asked':4} false  alarmed  {'change found in':25} ms/check   first alarms")
    lines = []
    for stream in _streams(given.only):
        for name, method in {OURS: methods.trunkline, **rivals}.items():
            lines.append(Line(stream, name, method(stream)))
            print(lines[-1], flush=True)
    for name in (OURS, *rivals):
        _told([line for line in lines if line.method == name], name)
    _goals([line for line in lines if line.method == OURS])
    print(f"{time.perf_counter() - started:,.0f} s")
    return 0


def _streams(words: Sequence[str]) -> Iterator[Stream]:
    """Those whose name has one of the words, or all; one at a time, since some are large."""
    for name, make in (simulators.makers() | published.makers()).items():
        if not words or any(word in name for word in words):
            yield make()


def _rivals() -> dict[str, Callable[[Stream], Watched]]:
    found: dict[str, Callable[[Stream], Watched]] = {"KS of a column, 0.05": methods.kolmogorov_smirnov}
    if find_spec("evidently") is None:
        print("evidently is not installed, so it is left out: pip install 'evidently>=0.7' 'pandas<3'", file=sys.stderr)
        return found
    return found | {"Evidently, share 0.5": lambda stream: methods.evidently(stream, ASKED)}


def _told(lines: Sequence[Line], name: str) -> None:
    """One line of a method over all streams."""
    for kind in ("stationary", "seasonal", "unlabelled"):
        chosen = [line for line in lines if line.stream.kind == kind]
        years = sum(line.years for line in chosen)
        if years:
            alarms = sum(line.false for line in chosen)
            asked = sum(len(line.before) for line in chosen)
            share = sum(line.in_alarm * len(line.before) for line in chosen) / asked
            rate = f"{alarms} alarms in {years:.1f} years, {alarms / years:.1f} a year"
            print(f"{name}, {kind}: {rate}; {share:.1%} of the checks in alarm")
    changes = [line for line in lines if line.stream.kind == "abrupt"]
    soon = [line for line in changes if (line.windows or math.inf) <= SOON and not line.blind]
    if changes:
        print(f"{name}, abrupt: {len(soon)} of {len(changes)} found within {SOON} windows, not in alarm before")


def _goals(lines: Sequence[Line]) -> None:
    """No false alarm on covered seasons, one a year at most on what is stationary; changes found soon.

    Of an unlabelled stream nobody knows which alarms are false.
    """
    for line in lines:
        kind, false = line.stream.kind, f"{line.false} false alarms in {line.years:.2f} years"
        if kind in ("stationary", "seasonal"):
            most = 0 if kind == "seasonal" else max(1.0, line.years)
            print(f"{_met(line.false <= most)}: {line.stream.name}: {false}")
        elif kind == "abrupt":
            met = (line.windows or math.inf) <= SOON and not line.blind
            print(f"{_met(met)}: {line.stream.name}: found in window {line.windows}, {false} before")


def _met(met: bool) -> str:
    return "met" if met else "NOT MET"


if __name__ == "__main__":
    sys.exit(main())
