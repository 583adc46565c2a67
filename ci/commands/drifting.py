"""One model's newest window: read, judged beside the windows before it, written down, and kept.

What counts is what the forge has: a look that is killed anywhere, or two at once, come to one record of the window.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from ci.adapters import drifts, evidently, files, inference_log, pushgateway, templates
from ci.commands import observed, qualifying, reference, report, weighing, windowing
from ci.commands.reference import ONNX, TRAINED_ON
from ci.core.drift import exposition, judge, reading, seasons
from ci.core.drift.estimate import estimate
from ci.core.drift.findings import Found
from ci.core.errors import EnvironmentFault, TrunklineError
from ci.core.loglines import quiet

if TYPE_CHECKING:
    from pathlib import Path

    from ci.adapters.drifts import Kept
    from ci.adapters.forge import Forge
    from ci.commands.reference import Reference
    from ci.commands.windowing import Readers, Windowed
    from ci.core.drift.records import Drift, EstimateRow, QualityRow
    from ci.core.drift.residuals import Residuals
    from ci.core.drift.rules import Rules

ROUNDS = 5  # looks that others may overtake before it is said
RECORD, SUMMARY, PAGE, METRICS = "drift.json", "drift.md", "drift.html", "drift.prom"
JOB = "trunkline-drift"


@dataclass(frozen=True)
class Seen:
    """All that a judgement rests on, but the windows before it."""

    window: Windowed
    labelled: Windowed
    quality: tuple[QualityRow, ...] = ()
    residuals: Residuals | None = None
    estimate: tuple[EstimateRow, ...] = ()
    outside: tuple[Found, ...] = ()
    business: dict[str, float | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drifting:
    """A model, how it is watched, and the window's time."""

    root: Path
    forge: Forge
    model: str
    rules: Rules
    span: tuple[datetime, datetime]

    def look(self, readers: Readers) -> tuple[Drift, list[TrunklineError]]:
        """The window's record, and what could not be asked; the rest was judged without it.

        Raises ConfigurationError and EnvironmentFault where there is nothing to judge, or nothing to hold it to.
        """
        self.forge.sync()
        self._say(f"held to {self._reference.words}, {self._reference.profile.rows:,} rows")
        missed: list[TrunklineError] = []
        seen = self._seen(readers, missed)
        for _ in range(ROUNDS):
            kept = drifts.read(self.root, self.forge, self.model)
            drift = self._judged(seen, kept)
            self._write(drift, kept)
            if drifts.write(self.root, self.forge, drift, kept) is not None:
                self._show(seen)
                self._expose(drift, seen, missed)
                return drift, missed
        raise EnvironmentFault(
            f"windows of {self.model} were written by others {ROUNDS} times while this ran; run it again."
        )

    @cached_property
    def _reference(self) -> Reference:
        return reference.of(self.root, self.model)

    @property
    def _folder(self) -> Path:
        return self.root / "artifacts" / self.model / "drift"

    def _seen(self, readers: Readers, missed: list[TrunklineError]) -> Seen:
        """All of it but what could not be asked, which is added to `missed`."""
        window = windowing.read(self._reference, self.rules, self.span, self._folder, readers)
        seen = Seen(window, window, notes=reading.notes(window.read))
        if self.rules.delay_days and (self.rules.labels or not self.rules.log):
            seen = self._with_labels(seen, readers)
        outside = observed.outside(self.root, self.model, self.rules, window.profile, self.span)
        missed += outside.missed
        found = (*self._ahead(), *outside.found)
        seen = replace(seen, outside=found, business=outside.business, notes=(*seen.notes, *outside.notes))
        try:
            folder = self._folder / "reference"
            rows, residuals = qualifying.by_labels(self._reference, seen.labelled, self.rules, folder)
            seen = replace(seen, quality=rows, residuals=residuals)
        except TrunklineError as fault:
            missed.append(fault)
        return replace(seen, estimate=estimate(self._reference.profile, window.profile, self.rules))

    def _ahead(self) -> list[Found]:
        """Rows of an hour that is still to come: no window has them yet, and one that will have them has wrong ones."""
        hour = inference_log.newest(self.rules.log, self.model) if self.rules.log else None
        now = datetime.now(UTC)
        if hour is None or hour <= now:
            return []
        words = (
            f"the log has rows of {hour:%Y-%m-%d %H:00} UTC, and it is {now:%Y-%m-%d %H:%M}; see to the clock and the "
            "time zone of what writes them"
        )
        return [Found("freshness", "future", words, at_once=True)]

    def _with_labels(self, seen: Seen, readers: Readers) -> Seen:
        """The same with the newest window whose labels have had the time that they take."""
        late = timedelta(days=self.rules.delay_days or 0)
        span = self.span[0] - late, self.span[1] - late
        labelled = windowing.read(self._reference, self.rules, span, self._folder / "labelled", readers)
        words = (
            f"Labels take {late.days} days: quality is that of the rows from {span[0]:%Y-%m-%d %H:%M} to "
            f"{span[1]:%Y-%m-%d %H:%M} UTC."
        )
        return replace(seen, labelled=labelled, notes=(*seen.notes, words))

    def _judged(self, seen: Seen, kept: Kept) -> Drift:
        held_to = self._reference
        profile = held_to.profile
        weights = weighing.known(kept.windows, held_to.model_hash, tuple(profile.columns))
        drift = judge.judge(
            profile,
            seen.window.profile,
            self.rules,
            now=self.span[1],
            span=self.span,
            earlier=kept.windows,
            importance=self._importance() if weights is None else weights,
            quality=seen.quality,
            residuals=seen.residuals,
            estimate=seen.estimate,
            labelled=seen.labelled.profile,
            service=seen.outside,
            commit=held_to.commit,
            file=f"ml/models/{self.model}/params.yaml",
        )
        notes = (*seen.notes, *drift.notes, *seasons.notes(profile, self.rules))
        return drift.model_copy(update={"notes": notes})

    def _importance(self) -> dict[str, float]:
        """Each feature's weight; of a model whose rows are gone it is not known, which is told."""
        try:
            found = self._reference.fetch(ONNX, TRAINED_ON)
            return weighing.importance(self._reference.words, found[ONNX], found[TRAINED_ON])
        except TrunklineError as fault:
            print(f"trunkline: {quiet(fault.message)} Columns are not weighed.", file=sys.stderr)
            return {}

    def _write(self, drift: Drift, kept: Kept) -> None:
        """The record and its summary; the page of an earlier window does not stay."""
        earlier = kept.before(drift.window.start, drift.window.end)
        files.write_record(self._folder / RECORD, drift)
        files.write_text(self._folder / SUMMARY, templates.render_drift(drift, earlier))
        (self._folder / PAGE).unlink(missing_ok=True)

    def _show(self, seen: Seen) -> None:
        """For people: the step's summary and Evidently's page, without which everything else is good."""
        report.add_to_step_summary((self._folder / SUMMARY).read_text(encoding="utf-8"))
        try:
            evidently.write_page(self._folder / PAGE, self._reference.profile, seen.window.profile)
        except EnvironmentFault as fault:
            print(f"trunkline: {quiet(fault.message)}", file=sys.stderr)

    def _expose(self, drift: Drift, seen: Seen, missed: list[TrunklineError]) -> None:
        """For Prometheus: a file for its textfile collector, and the same to a Pushgateway where one is named."""
        text = exposition.exposition(
            drift, judged=datetime.now(UTC), business=seen.business, bounds=self.rules.business
        )
        files.write_text(self._folder / METRICS, text)
        if url := os.environ.get(pushgateway.VARIABLE):
            try:
                pushgateway.put(url, JOB, self.model, text, exposition.CONTENT_TYPE)
            except TrunklineError as fault:
                missed.append(fault)

    def _say(self, words: str) -> None:
        print(f"{self.model}: {quiet(words)}")
