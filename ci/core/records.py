"""The records that stages and commands write and later ones read: the contract between `ml` and `ci`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Mode = Literal["smoke", "full"]
Task = Literal["binary", "regression"]
Scalar = bool | int | float | str | None
Seconds = Annotated[float, Field(ge=0, le=1e9)]  # bounded, so that their sum is finite too


class Outcome(StrEnum):
    """The three verdicts a gate, a model or a change can get."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Part(BaseModel):
    """A piece of a record: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Record(Part):
    """A whole file."""

    schema_version: Literal[1] = 1
    model: str


# --- written by the stages (`ml`), under artifacts/<model>/ ------------------------------------


class Violation(Part):
    """One broken rule of a schema. `rows` are the first offenders, each with its row number under `row`."""

    column: str | None
    check: str
    count: int
    message: str
    rows: tuple[dict[str, Scalar], ...] = ()


class Period(Part):
    """The first and the last moment in a column of times, as ISO 8601."""

    column: str
    start: str
    end: str


class Validation(Record):
    """validation.json: whether the raw data keeps to the model's schema. `period` is None where no column is a time."""

    file: str
    data_hash: str
    rows: int
    columns: int
    period: Period | None = None
    passed: bool
    violations: tuple[Violation, ...] = ()


class Check(Part):
    """A question that smoke training asks of itself; `limit` is what `value` was held to."""

    name: str
    passed: bool
    value: float | None
    limit: float | None
    detail: str


class LossPoint(Part):
    """Mean loss over the training and validation rows after `step` epochs or boosting rounds."""

    step: int
    train: float
    validation: float | None


class Training(Record):
    """<mode>/training.json."""

    mode: Mode
    seed: int
    rows: int
    features: tuple[str, ...]
    loss: tuple[LossPoint, ...]
    checks: tuple[Check, ...]
    model_hash: str
    size_bytes: int


class Evaluation(Record):
    """<mode>/evaluation.json: what predictions.parquet was made of. `rows_hash` identifies the evaluation rows."""

    mode: Mode
    task: Task
    rows: int
    training_rows: int
    positives: int | None
    rows_hash: str
    model_hash: str
    predictions_hash: str
    checks: tuple[Check, ...]


class Latency(Record):
    """<mode>/latency.json: single-row inference time of one model on this machine, in milliseconds."""

    mode: Mode
    model_hash: str
    runs: int
    p50_ms: float
    p99_ms: float


class OldRows(Record):
    """<mode>/old/old.json: the test rows that the champion (of `commit`) was judged on, scored by a candidate.

    `scored` of the `rows` are not among the candidate's own test rows, `trained` it was trained on. `problem` says why
    they could not be scored.
    """

    mode: Mode
    model_hash: str
    commit: str
    rows: int
    scored: int
    trained: int
    problem: str | None = None

    @property
    def words(self) -> str:
        """How many they are, and how many of them prove nothing of rows that the candidate has not seen."""
        trained = f", of which the candidate was trained on {self.trained:,}" if self.trained else ""
        return f"the {self.rows:,} test rows that the champion was judged on{trained}"


class Timings(Record):
    """<mode>/timings.json: wall seconds of each stage when it last really ran."""

    mode: Mode
    seconds: dict[str, Seconds]


class Problem(Record):
    """problem.json: why a stage stopped; gone when the stage starts anew."""

    stage: str
    message: str
    exit_code: int
    file: str | None = None
    line: int | None = None


# --- written by the commands (`ci`) -------------------------------------------------------------


class Interval(Part):
    """A confidence interval; `confidence` after any correction for multiplicity."""

    low: float
    high: float
    confidence: float


class MetricRow(Part):
    """One metric of candidate and baseline; `difference` is candidate minus baseline, paired on the same rows."""

    metric: str
    slice: str | None = None
    n: int
    higher_is_better: bool
    candidate: float | None
    candidate_interval: Interval | None = None
    baseline: float | None = None
    difference: float | None = None
    difference_interval: Interval | None = None


class GateResult(Part):
    """One gate's verdict: `rule` as declared (`min 0.6`, `no worse than merge_base by 0.01`), `reason` in words."""

    gate: str
    metric: str
    rule: str
    slice: str | None = None
    verdict: Outcome
    value: float | None
    baseline: float | None = None
    difference: float | None = None
    interval: Interval | None = None
    n: int | None = None
    reason: str
    blocks: bool
    waived_by: str | None = None


class Waiver(Part):
    """A gate set aside by a person, in `ml/models/<model>/waivers/*.yaml`."""

    gate: str
    reason: str
    who: str
    expires: str
    expired: bool
    file: str


class ParamChange(Part):
    """A value in a params file before and after; absent is None."""

    key: str
    before: Scalar
    after: Scalar


class Change(Part):
    """What this change did, against the merge base; `gates` says what it did to the gates themselves."""

    data_hash_before: str | None = None
    data_hash_after: str | None = None
    rows_before: int | None = None
    rows_after: int | None = None
    gates: tuple[str, ...] = ()
    params: tuple[ParamChange, ...] = ()
    files: tuple[str, ...] = ()


class Baseline(Part):
    """What the candidate was compared with, or why there is nothing to compare with."""

    kind: Literal["merge_base", "champion"]
    status: Literal["compared", "unchanged", "missing"]
    commit: str | None = None
    model_hash: str | None = None
    reason: str


class Curve(Part):
    """Points of a plot, thinned to at most 200."""

    name: Literal["precision_recall", "calibration", "loss"]
    series: Literal["candidate", "baseline", "train", "validation"]
    x: tuple[float, ...]
    y: tuple[float, ...]


class Verdict(Record):
    """<mode>/verdict.json: everything the report says of one model."""

    mode: Mode
    task: Task
    commit: str | None
    base_commit: str | None
    candidate_hash: str | None
    verdict: Outcome
    blocks: bool
    summary: str
    gates: tuple[GateResult, ...] = ()
    metrics: tuple[MetricRow, ...] = ()
    checks: tuple[Check, ...] = ()
    violations: tuple[Violation, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    baseline: Baseline | None = None
    old: OldRows | None = None
    change: Change = Change()
    curves: tuple[Curve, ...] = ()
    seconds: dict[str, Seconds] = {}
    cached: tuple[str, ...] = ()
    problem: Problem | None = None


class Plan(Part):
    """plan.json: which models a change touches, and why."""

    schema_version: Literal[1] = 1
    base_commit: str | None
    models: tuple[str, ...]
    reasons: dict[str, tuple[str, ...]]
    words: str
