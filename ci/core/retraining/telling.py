"""What a retraining says of itself: evidence first, then what was added, what it costs, and what happens next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.core.gating.verdict import inconclusive
from ci.core.records import Outcome
from ci.core.reporting.drift import when
from ci.core.reporting.markdown import clean, clip
from ci.core.reporting.plots import COLOUR_WORDS, COLOURS, mermaid, sparkline
from ci.core.reporting.show import NOTHING, count, interval, number, plural, seconds, short
from ci.core.retraining.deciding import CURED, MEASURED

if TYPE_CHECKING:
    from ci.core.drift.records import ColumnRow, Drift, Finding, QualityRow
    from ci.core.records import Verdict
    from ci.core.retraining.records import Proposed, Rows

FINDINGS = ("found", "what", "value", "limit", "since", "windows in a row", "weight")
QUALITY = ("metric", "rows", "reference", "window", "difference", "interval", "")
MARKS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.INCONCLUSIVE: "❔"}
PLOTS = 3
MOST = 15  # rows of a table


@dataclass(frozen=True)
class Plot:
    """The distribution of one column, reference and window, as blocks; the first also as Mermaid."""

    column: str
    reference: str
    window: str
    bins: str
    mermaid: str | None


@dataclass(frozen=True)
class Cost:
    """What the last full training took, and of how many rows, where that is known."""

    seconds: float | None = None
    rows: int | None = None


@dataclass(frozen=True)
class View:
    """What a reader sees; every text is plain."""

    model: str
    words: str
    helpless: str | None
    window: str
    findings: tuple[tuple[str, ...], ...]
    quality: tuple[tuple[str, ...], ...]
    estimate: str
    plots: tuple[Plot, ...]
    legend: str
    facts: tuple[tuple[str, str], ...]
    steps: tuple[str, ...]


def branch(model: str) -> str:
    """The branch of the one pull request that retrains a model."""
    return f"retrain/{model}"


def is_of(name: str | None, model: str) -> bool:
    """Whether a branch is that one: there an inconclusive candidate is refused, since it is not shown to help."""
    return name == branch(model)


def title(model: str, new: Rows) -> str:
    """Of pull request and commit."""
    return f"Retrain {model} on {plural(new.rows, 'new row')}"


def message(model: str, words: str, proposed: Proposed, drift: Drift) -> str:
    """A commit's message: what was found, and what is added."""
    found = "\n".join(f"- {clean(one.words)}" for one in _ordered(drift)[:MOST])
    parts = [title(model, proposed.rows), clean(words), found, f"Data: {proposed.pin.md5}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def view(drift: Drift, words: str, proposed: Proposed, cost: Cost, split: str) -> View:
    """The pull request's text; `split` says which rows a training takes by itself."""
    window = drift.window
    plots = _plots(drift)
    return View(
        model=drift.model,
        words=clean(words),
        helpless=proposed.helpless,
        window=f"{when(window.start)} to {when(window.end)} UTC, {plural(window.rows, 'row')}, "
        f"{count(window.labelled)} with a label",
        findings=tuple(_finding(one) for one in _ordered(drift)[:MOST]),
        quality=tuple(_quality(row) for row in drift.quality[:MOST]),
        estimate=_estimate(drift),
        plots=plots,
        legend=f"reference {COLOUR_WORDS['baseline']}, window {COLOUR_WORDS['candidate']}",
        facts=(
            ("rows added", _added(proposed.rows)),
            ("data", short(proposed.pin.md5)),
            ("window parameters", split),
            ("expected cost", _cost(cost)),
        ),
        steps=_steps(drift.model, proposed.helpless),
    )


def refused(verdict: Verdict) -> str:
    """Why a candidate does not help, for the middle of a sentence."""
    passes = verdict.verdict is Outcome.INCONCLUSIVE and not verdict.blocks  # by policy, which has no say here
    summary = inconclusive(verdict.model, verdict.gates) if passes else verdict.summary.rstrip(".")
    return clip(f"{verdict.verdict}: {summary}", 300)


def issue_marker(model: str, proposed: Proposed) -> str:
    """The first line of the issue about a retraining that does not help; other data is another."""
    return f"<!-- trunkline:retraining:{model}:{proposed.pin.md5[:12]} -->"


def issue_title(model: str) -> str:
    """Of that issue."""
    return f"Retraining does not help {model}"


def issue(model: str, proposed: Proposed, url: str) -> str:
    """Its text, plain."""
    return (
        f"{model} was to be trained again on {plural(proposed.rows.rows, 'new row')}, since: "
        f"{', '.join(proposed.findings) or 'it was found to drift'}. That did not help: {proposed.helpless}. "
        f"Nothing more is tried by itself while the pull request is open: {url}. Look at features, labels and what the "
        "data means by now; push to its branch, or close it, and say there why."
    )


def _ordered(drift: Drift) -> list[Finding]:
    """The alarms that training may cure, then the others: measured first, then by weight and size."""
    return sorted(
        drift.alarms,
        key=lambda one: (one.kind not in MEASURED, one.kind not in CURED, -(one.importance or 0), -(one.value or 0)),
    )


def _finding(one: Finding) -> tuple[str, ...]:
    weight = NOTHING if one.importance is None else number(one.importance)
    return (one.kind, clean(one.words), number(one.value), number(one.limit), when(one.since), str(one.windows), weight)


def _quality(row: QualityRow) -> tuple[str, ...]:
    name = f"{row.metric} ({row.slice})" if row.slice else row.metric
    told = (count(row.n), number(row.reference), number(row.value), number(row.difference, sign=True))
    return (clean(name), *told, interval(row.interval, sign=True) or NOTHING, _mark(row))


def _mark(row: QualityRow) -> str:
    """The verdict, and why there is none where nothing was measured."""
    return MARKS[row.verdict] if row.value is not None else f"{MARKS[row.verdict]} {clean(clip(row.reason, 160))}"


def _estimate(drift: Drift) -> str:
    worse = [row for row in drift.estimate if row.worse]
    told = [
        f"{row.metric} {number(row.value)} ({interval(row.interval)}), {number(row.reference)} on the reference"
        for row in worse
    ]
    return clean("; ".join(told))


def _plots(drift: Drift) -> tuple[Plot, ...]:
    """The columns that drifted and weigh most."""
    drifted = [row for row in drift.columns if row.drifted and len(row.bins) > 1]
    drifted.sort(key=lambda row: (-(row.importance or 0), -(row.value or 0)))
    return tuple(_plot(row, drawn=at == 0) for at, row in enumerate(drifted[:PLOTS]))


def _plot(row: ColumnRow, *, drawn: bool) -> Plot:
    reference, window = [one.reference for one in row.bins], [one.window for one in row.bins]
    names = (row.bins[0].name, row.bins[-1].name)
    picture = None
    if drawn:
        across, top = (f"bins of {_plain(row.column)}", 1.0, float(len(row.bins))), max(*reference, *window, 0.01)
        lines = {"baseline": reference, "candidate": window}
        picture = mermaid(across, ("share of rows", 0.0, top), lines, COLOURS)
    bins = clean(" … ".join(names))
    marks = sparkline([*reference, *window])  # on one scale
    return Plot(clean(row.column), marks[: len(reference)], marks[len(reference) :], bins, picture)


def _plain(name: str) -> str:
    """A name that ends no text of Mermaid's."""
    return "".join(letter if letter.isalnum() or letter in "_ -." else "?" for letter in name)[:60]


def _added(rows: Rows) -> str:
    return count(rows.rows) + (f", {when(rows.first)} to {when(rows.last)} UTC" if rows.first and rows.last else "")


def _cost(cost: Cost) -> str:
    if cost.seconds is None:
        return "not known: no full training has left its times here"
    return (
        f"about {seconds(cost.seconds)} of training on {plural(cost.rows, 'row') if cost.rows else 'the data before'}"
    )


def _steps(model: str, helpless: str | None) -> tuple[str, ...]:
    if helpless:
        return (
            "Nothing more is tried by itself: a person looks, pushes to this branch, or closes it and says why.",
            "An issue tells of it.",
        )
    return (
        f"The label train starts full training of {model} on these rows. The champion scores the same newest rows.",
        "What was trained comes to this branch as a commit of dvc.lock; its report comes as a comment.",
        "Merging it brings the model to its environments as any other change does.",
        "Closing it without a merge snoozes: say why in a comment or a label, which is kept.",
        "A commit by a person on this branch is respected: nothing is written over it.",
    )
