"""What the stages left in files, gathered for a judgement and held against each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ci.adapters import files, predictions
from ci.core.errors import ConfigurationError
from ci.core.gating.evidence import Evidence
from ci.core.lineage import TRAINING
from ci.core.records import (
    Baseline,
    Evaluation,
    Latency,
    Mode,
    OldRows,
    Problem,
    Record,
    Task,
    Timings,
    Training,
    Validation,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

R = TypeVar("R", bound=Record)
STAGES = (*TRAINING, "latency")


def problem(artifacts: Path) -> Problem | None:
    """Why a stage stopped, where one did."""
    return _optional(artifacts / "problem.json", Problem)


def seconds(directory: Path) -> dict[str, float]:
    """What each stage took, where it was written down."""
    timings = _optional(directory / "timings.json", Timings)
    return timings.seconds if timings else {}


def gather(
    artifacts: Path,
    candidate: Path,
    mode: Mode,
    task: Task,
    *,
    words: Collection[str],
    days: Collection[str],
) -> Evidence:
    """The candidate's records; of a run that stopped, those that it can have written.

    Raises ConfigurationError when a record is missing though nothing stopped, or belongs to another run.
    """
    validation = _optional(artifacts / "validation.json", Validation)
    evidence = Evidence(mode=mode, task=task, validation=validation)
    stopped = problem(artifacts)
    if stopped is not None or (validation is not None and not validation.passed):
        # Records of later stages are left over from an earlier run.
        reached = STAGES.index(stopped.stage) if stopped and stopped.stage in STAGES else 0
        if reached < STAGES.index("train"):
            return evidence
        return replace(evidence, training=_optional(candidate / "training.json", Training))
    training = _of_mode(candidate / "training.json", Training, mode)
    evaluation = _of_mode(candidate / "evaluation.json", Evaluation, mode)
    _require_one_run(candidate, training, evaluation)
    return replace(
        evidence,
        validation=validation or files.read_record(artifacts / "validation.json", Validation),
        training=training,
        evaluation=evaluation,
        latency=_optional(candidate / "latency.json", Latency),
        rows=predictions.read(candidate / "predictions.parquet", words=words, days=days),
    )


def beside(evidence: Evidence, baseline: Baseline | None, directory: Path | None) -> Evidence:
    """The same with what the candidate is compared with.

    A baseline is called unchanged when its model and its predictions are the candidate's, byte for byte: one model may
    well score other features.
    """
    if baseline is None or directory is None or baseline.status != "compared" or evidence.evaluation is None:
        return replace(evidence, baseline=baseline)
    training = files.read_record(directory / "training.json", Training)
    evaluation = files.read_record(directory / "evaluation.json", Evaluation)
    _require_one_run(directory, training, evaluation)
    ours = (evidence.evaluation.model_hash, evidence.evaluation.predictions_hash)
    same = (evaluation.model_hash, evaluation.predictions_hash) == ours
    known = {"model_hash": evaluation.model_hash, "status": "unchanged" if same else "compared"}
    return replace(
        evidence,
        baseline=baseline.model_copy(update=known),
        baseline_training=training,
        baseline_rows=None if same else predictions.read(directory / "predictions.parquet"),
    )


def on_old_rows(
    evidence: Evidence, directory: Path | None, *, words: Collection[str], days: Collection[str]
) -> Evidence:
    """The same with the candidate's scores of the champion's own test rows, where `directory` has them."""
    old = _optional(directory / "old.json", OldRows) if directory is not None else None
    if directory is None or old is None or evidence.evaluation is None:
        return evidence
    if old.model_hash != evidence.evaluation.model_hash or evidence.baseline is None or evidence.baseline_rows is None:
        return evidence
    scored = directory / "predictions.parquet"
    return replace(
        evidence,
        old=old,
        old_rows=predictions.read(scored, words=words, days=days) if old.scored and not old.problem else None,
        old_baseline=None if old.problem else predictions.read(directory / "champion.parquet"),
    )


def _require_one_run(candidate: Path, training: Training, evaluation: Evaluation) -> None:
    """Refuse records that do not belong together."""
    if evaluation.model_hash != training.model_hash:
        raise ConfigurationError(
            f"{candidate / 'evaluation.json'} is of model {evaluation.model_hash[:12]}, but training.json beside it of "
            f"{training.model_hash[:12]}; run `trunkline check` to evaluate the model that was trained.",
            file=candidate / "evaluation.json",
        )
    path = candidate / "predictions.parquet"
    if path.is_file() and files.md5(path) != evaluation.predictions_hash:
        raise ConfigurationError(
            f"{path} is not the file that evaluation.json beside it was made of: it was changed, or DVC's cache is "
            "damaged; remove .dvc/cache and artifacts, and run `trunkline check`.",
            file=path,
        )


M = TypeVar("M", Training, Evaluation)


def _of_mode(path: Path, kind: type[M], mode: Mode) -> M:
    record = files.read_record(path, kind)
    if record.mode != mode:
        raise ConfigurationError(f"{path} is of mode {record.mode}, expected {mode}; name it with --mode.", file=path)
    return record


def _optional(path: Path, kind: type[R]) -> R | None:
    return files.read_record(path, kind) if path.is_file() else None
