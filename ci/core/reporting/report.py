"""What a report says of verdicts: every word and number chosen here, so that the templates only set them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.core.errors import ConfigurationError
from ci.core.gating import names
from ci.core.params import NAME
from ci.core.records import Outcome, Verdict
from ci.core.reporting.change import ChangeView, change_view
from ci.core.reporting.markdown import clip
from ci.core.reporting.plots import Plot, plots
from ci.core.reporting.show import plural, seconds, short
from ci.core.reporting.tables import (
    COMMENT,
    ICONS,
    Blocker,
    CheckRow,
    GateRow,
    Limits,
    Listing,
    MetricLine,
    ViolationRow,
    WaiverRow,
    blockers,
    check_row,
    common_confidence,
    gate_rows,
    listing,
    metric_line,
    violation_row,
    waiver_row,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

BASELINES = {"merge_base": "the merge base", "champion": "the champion"}
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_WORST_FIRST = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)


@dataclass(frozen=True)
class ProblemView:
    """Why a stage stopped, and where to look."""

    stage: str
    message: str
    where: str
    advice: str


@dataclass(frozen=True)
class StageRow:
    """How long a stage took when it last ran."""

    stage: str
    seconds: str
    cached: bool


@dataclass(frozen=True)
class ModelView:
    """All that the report says of one model."""

    name: str
    title: str
    mode: str
    icon: str
    tone: str
    word: str
    summary: str
    compared: str
    tally: str
    facts: tuple[str, ...]
    problem: ProblemView | None
    violations: Listing[ViolationRow]
    blockers: Listing[Blocker]
    change: ChangeView
    confidence: str
    has_baseline: bool
    metrics: Listing[MetricLine]
    gates: Listing[GateRow]
    slices: Listing[MetricLine]
    checks: Listing[CheckRow]
    waivers: Listing[WaiverRow]
    plots: tuple[Plot, ...]
    stages: Listing[StageRow]
    time: str
    lineage: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class ReportView:
    """All models, the worst first, under one headline."""

    icon: str
    tone: str
    headline: str
    models: tuple[ModelView, ...]
    summary: Listing[ModelView]


def is_model_name(name: str) -> bool:
    """Whether `name` can be a folder, a word of a command and a heading without harm."""
    return NAME.fullmatch(name) is not None


def marker(workflow: str, model: str) -> str:
    """The line by which a comment is found again: one per workflow and model, the same for ever.

    Raises ConfigurationError for a name that could end the line early.
    """
    for name in (workflow, model):
        if not is_model_name(name):
            raise ConfigurationError(
                f"'{clip(name, 64)}' cannot name a workflow or model in a report; "
                "use up to 64 letters, digits, `_`, `.` or `-`, a letter or digit first."
            )
    return f"<!-- trunkline:{workflow}:{model} -->"


def view(verdicts: Sequence[Verdict], limits: Limits = COMMENT) -> ReportView:
    """The report on `verdicts`; lists and texts beyond `limits` are cut, visibly."""
    order = sorted(
        verdicts, key=lambda verdict: (not verdict.blocks, _WORST_FIRST.index(verdict.verdict), verdict.model)
    )
    often = Counter(verdict.model for verdict in verdicts)
    models = tuple(_model(verdict, limits, several=often[verdict.model] > 1) for verdict in order)
    worst = next((o for o in _WORST_FIRST if any(verdict.verdict is o for verdict in verdicts)), Outcome.PASS)
    return ReportView(ICONS[worst], worst.value, _headline(verdicts, models), models, listing(models, limits.models))


def _headline(verdicts: Sequence[Verdict], models: Sequence[ModelView]) -> str:
    if not models:
        return "No model is touched by this change"
    if len(models) == 1:
        return f"{models[0].title}: {models[0].word}"
    thing = "model" if len({verdict.model for verdict in verdicts}) == len(models) else "verdict"
    tally = Counter(verdict.verdict for verdict in verdicts)
    if tally[Outcome.PASS] == len(models):
        return f"All {plural(len(models), thing)} pass"
    parts = []
    if fail := tally[Outcome.FAIL]:
        parts.append(f"{fail} of {plural(len(models), thing)} {'fails' if fail == 1 else 'fail'}")
    if unsure := tally[Outcome.INCONCLUSIVE]:
        of = "" if parts else f" of {plural(len(models), thing)}"
        parts.append(f"{unsure}{of} {'is' if unsure == 1 else 'are'} inconclusive")
    return ", ".join(parts)


def _model(verdict: Verdict, limits: Limits, *, several: bool) -> ModelView:
    gates = gate_rows(verdict.gates, verdict.checks, limits)
    unchanged = verdict.baseline is not None and verdict.baseline.status == "unchanged"
    lines = [metric_line(row, unchanged=unchanged, limits=limits) for row in verdict.metrics]
    told = names.PROBLEM if verdict.problem is not None else None  # it stands above as what stopped the stage
    tally, time = _tally(gates), _time(verdict)
    overall = [line for line in lines if not line.slice]
    return ModelView(
        name=verdict.model,
        title=clip(verdict.model, limits.name) + (f", {verdict.mode}" if several else ""),
        mode=verdict.mode,
        icon=ICONS[verdict.verdict],
        tone=verdict.verdict.value,
        word=_word(verdict, unchanged=unchanged, limits=limits),
        summary=clip(verdict.summary, limits.text),
        compared=_compared(verdict, limits),
        tally=tally,
        facts=tuple(fact for fact in (f"{verdict.mode} mode", f"gates: {tally}" if gates else "", time) if fact),
        problem=_problem(verdict, limits),
        violations=listing((violation_row(one, limits) for one in verdict.violations), limits.violations),
        blockers=listing(blockers((row for row in gates if row.gate != told), limits), limits.blockers),
        change=change_view(verdict.change, limits, against=verdict.base_commit is not None),
        confidence=common_confidence(overall),
        has_baseline=any(row.baseline is not None for row in verdict.metrics),
        metrics=listing(overall, limits.rows),
        gates=listing(gates, limits.rows),
        slices=listing((line for line in lines if line.slice), limits.rows),
        checks=listing((check_row(check, limits) for check in verdict.checks), limits.rows),
        waivers=listing((waiver_row(waiver, limits) for waiver in verdict.waivers), limits.rows),
        plots=plots(verdict.curves),
        stages=listing(
            (
                StageRow(clip(stage, limits.name), seconds(spent), stage in verdict.cached)
                for stage, spent in verdict.seconds.items()
            ),
            limits.rows,
        ),
        time=time,
        lineage=_lineage(verdict, limits),
        commands=commands(verdict),
    )


def _word(verdict: Verdict, *, unchanged: bool, limits: Limits) -> str:
    if verdict.problem is not None:
        return f"{verdict.verdict.value}, stopped in {clip(verdict.problem.stage, limits.name)}"
    if verdict.violations and verdict.verdict is Outcome.FAIL:
        return "fail, the data breaks its schema"
    if verdict.verdict is Outcome.INCONCLUSIVE:
        return f"inconclusive, {'blocks' if verdict.blocks else 'does not block'}"
    return f"{verdict.verdict.value}, unchanged" if unchanged else verdict.verdict.value


def _compared(verdict: Verdict, limits: Limits) -> str:
    """With what the candidate was compared, as a clause or a sentence."""
    baseline = verdict.baseline
    if baseline is None:
        return ""
    name = BASELINES[baseline.kind]
    if baseline.status == "unchanged":
        return f"The candidate and {name} are the same model, byte for byte: there is nothing to compare."
    if baseline.status == "missing":
        return f"Nothing to compare with: {clip(baseline.reason, limits.text)}"
    where = f" ({short(baseline.commit)})" if baseline.commit else ""
    return f"Compared with {name}{where} on the same rows.{_forgotten(verdict, limits)}"


def _forgotten(verdict: Verdict, limits: Limits) -> str:
    """Whether anything was forgotten: where that is asked, and what the answer does not say."""
    old = verdict.old
    if old is None:
        return ""
    if old.problem:
        return f" Whether anything was forgotten is not known: {clip(old.problem, limits.text)}"
    seen = " Rows that it was trained on show that, and not how well it does on rows it has not seen."
    return f" Whether anything was forgotten is asked on {old.words}.{seen if old.trained else ''}"


def _tally(gates: Sequence[GateRow]) -> str:
    """`12 pass, 1 fail, 1 inconclusive`."""
    counted = Counter(gate.tone for gate in gates)
    tones = ("fail", "inconclusive", "waived", "pass")
    return ", ".join(f"{counted[tone]} {tone}" for tone in tones if counted[tone]) or "none"


def _problem(verdict: Verdict, limits: Limits) -> ProblemView | None:
    problem = verdict.problem
    if problem is None:
        return None
    where = "" if problem.file is None else problem.file + ("" if problem.line is None else f":{problem.line}")
    if problem.message.startswith(where):
        where = ""  # said already
    advice = (
        "The machine it ran on is to blame, not the change: mend that and run again." if problem.exit_code == 2 else ""
    )
    return ProblemView(
        clip(problem.stage, limits.name), clip(problem.message, 2 * limits.text), clip(where, limits.name), advice
    )


def _time(verdict: Verdict) -> str:
    """`4.2 s now, 12 s saved by the cache`."""
    saved = sum(spent for stage, spent in verdict.seconds.items() if stage in verdict.cached)
    spent = sum(verdict.seconds.values()) - saved
    parts = ((spent, "now"), (saved, "saved by the cache"))
    return ", ".join(f"{seconds(part)} {words}" for part, words in parts if part)


def _lineage(verdict: Verdict, limits: Limits) -> tuple[tuple[str, str], ...]:
    baseline = verdict.baseline
    pairs = (
        ("commit", verdict.commit),
        ("base commit", verdict.base_commit),
        ("data", verdict.change.data_hash_after),
        ("data before", verdict.change.data_hash_before),
        ("model", verdict.candidate_hash),
        ("baseline commit", baseline.commit if baseline else None),
        ("baseline model", baseline.model_hash if baseline else None),
    )
    return tuple((name, clip(value, limits.name)) for name, value in pairs if value)


def commands(verdict: Verdict) -> tuple[str, ...]:
    """What to type to get this verdict again. Nothing where a name would not be safe in a shell."""
    if not is_model_name(verdict.model):
        return ()
    if verdict.mode == "full":
        last: tuple[str, ...] = (
            f"dvc repro evaluate@{verdict.model}-full",
            f"trunkline gate {verdict.model} --mode full",
        )
    else:
        last = (f"trunkline check {verdict.model}",)
    if verdict.commit is None or not _COMMIT.fullmatch(verdict.commit):
        return last
    return (f"git fetch origin {verdict.commit} && git checkout {verdict.commit}", "make check", *last)
