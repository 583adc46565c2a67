"""The model card of a release: what a model is for, what it was made of and how well it does, from records alone.

What is bound to one machine (latency) stays out, so that the same model has the same card wherever it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ci.core.reporting.show import NOTHING, count, plural
from ci.core.reporting.tables import PAGE, MetricLine, WaiverRow, common_confidence, gate_rows, metric_line, waiver_row
from ci.core.statistics.metrics import KINDS
from ci.core.strict import Declared, Place, mapping, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.core.lineage import Lineage
    from ci.core.records import Evaluation, GateResult, MetricRow, Validation, Verdict
    from ci.core.strict import Where

KEY = "card"
Said = Annotated[str, Field(min_length=1)]
OTHER = ("fail", "inconclusive", "waived")
TASKS = {"binary": "binary classification", "regression": "regression"}
BASELINES = {"merge_base": "the merge base", "champion": "the champion"}


class Words(Declared):
    """`card` in a model's params.yaml: what no record can tell."""

    intended_use: Said
    out_of_scope: Said
    limits: Annotated[list[Said], Field(min_length=1)]
    owner: Said


@dataclass(frozen=True)
class FairnessRow:
    """A difference between groups of people, and the gate it is held to."""

    metric: str
    value: str
    interval: str
    rule: str
    verdict: str


@dataclass(frozen=True)
class Card:
    """Everything that the template sets; `data` and `lineage` are rows of two cells."""

    model: str
    version: str
    task: str
    words: Words
    data: tuple[tuple[str, str], ...]
    rows: str
    passed: str
    other: tuple[tuple[str, tuple[str, ...]], ...]
    """Gates that did not pass by themselves, in groups with a word for each."""
    compared: str
    confidence: str
    metrics: tuple[MetricLine, ...]
    slices: tuple[MetricLine, ...]
    fairness: tuple[FairnessRow, ...]
    waivers: tuple[WaiverRow, ...]
    lineage: tuple[tuple[str, str], ...]


def words(data: Any, line_of: Callable[[Where], int | None], *, file: str) -> Words:
    """`card` of a model's params.yaml. Raises ConfigurationError with the line of a mistake, or where there is none."""
    place = Place(file, line_of)
    if not isinstance(data, dict) or KEY not in data:
        raise place.error(f"'{KEY}' is missing, and a release has a model card; give {', '.join(Words.model_fields)}.")
    mapping(data[KEY], place.at(KEY), Words.model_fields)
    return parse(Words, data[KEY], place.at(KEY))


def view(
    lineage: Lineage,
    verdict: Verdict,
    validation: Validation,
    evaluation: Evaluation,
    said: Words,
    version: str,
    image: str,
) -> Card:
    """The card of a version: every number as it is shown."""
    unchanged = verdict.baseline is not None and verdict.baseline.status == "unchanged"
    measured = [row for row in verdict.metrics if not _is_of_machine(row.metric)]
    lines = [(row, metric_line(row, unchanged=unchanged, limits=PAGE)) for row in measured]
    overall = tuple(line for row, line in lines if row.slice is None and not _is_fairness(row.metric))
    gates = [gate for gate in verdict.gates if not _is_of_machine(gate.metric)]
    return Card(
        model=lineage.model,
        version=version,
        task=TASKS[verdict.task],
        words=said,
        data=_data(lineage, validation),
        rows=f"Trained on {plural(evaluation.training_rows, 'row')}, measured on {_measured_on(evaluation)}.",
        passed=f"{sum(_outcome(gate) == 'pass' for gate in gates)} of {plural(len(gates), 'gate')} pass.",
        other=_other(gates),
        compared=_compared(verdict),
        confidence=common_confidence(overall),
        metrics=overall,
        slices=tuple(line for row, line in lines if row.slice is not None),
        fairness=tuple(_fairness(row, gates) for row in measured if row.slice is None and _is_fairness(row.metric)),
        waivers=tuple(waiver_row(waiver, PAGE) for waiver in verdict.waivers),
        lineage=_lineage(lineage, image),
    )


def _is_of_machine(metric: str) -> bool:
    return metric.startswith("latency")


def _is_fairness(metric: str) -> bool:
    kind = KINDS.get(metric.partition("@")[0])
    return kind is not None and "group" in kind.needs


def _data(lineage: Lineage, validation: Validation) -> tuple[tuple[str, str], ...]:
    period = validation.period
    when = f"{period.start} to {period.end} ({period.column})" if period else "no column of the data is a time"
    return (
        ("file", validation.file),
        ("hash", lineage.data_hash),
        ("period", when),
        ("rows", count(validation.rows)),
        ("columns", count(validation.columns)),
    )


def _measured_on(evaluation: Evaluation) -> str:
    positives = "" if evaluation.positives is None else f", {count(evaluation.positives)} of them positive"
    return f"{count(evaluation.rows)} others{positives}"


def _outcome(gate: GateResult) -> str:
    return "waived" if gate.waived_by is not None else gate.verdict.value


def _other(gates: Sequence[GateResult]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    groups = {word: tuple(gate.gate for gate in gates if _outcome(gate) == word) for word in OTHER}
    return tuple((word, names) for word, names in groups.items() if names)


def _compared(verdict: Verdict) -> str:
    baseline = verdict.baseline
    if baseline is None:
        return "Compared with no other model."
    if baseline.status == "missing":
        return f"Compared with no other model: {baseline.reason}."
    who = BASELINES[baseline.kind] + (f" (commit {baseline.commit[:12]})" if baseline.commit else "")
    if baseline.status == "unchanged":
        return f"It is {who}, byte for byte."
    return f"Differences are to {who}, on the same rows."


def _fairness(row: MetricRow, gates: Sequence[GateResult]) -> FairnessRow:
    line = metric_line(row, unchanged=False, limits=PAGE)
    held = next((one for one in gate_rows([gate for gate in gates if gate.metric == row.metric], (), PAGE)), None)
    return FairnessRow(
        metric=line.metric,
        value=line.candidate,
        interval=line.candidate_interval,
        rule=held.rule if held else NOTHING,
        verdict=held.word if held else "no gate",
    )


def _lineage(lineage: Lineage, image: str) -> tuple[tuple[str, str], ...]:
    return (
        ("commit", lineage.commit),
        ("data", lineage.data_hash),
        ("parameters", lineage.params_hash),
        ("code", lineage.code_hash),
        ("environment", lineage.environment_hash),
        ("lock", lineage.lock_hash),
        ("model", lineage.model_hash),
        ("predictions", lineage.predictions_hash),
        ("image", image),
    )
