"""What the registry of models is told of a trained version: tags, parameters and metrics, from records alone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ci.core.records import Outcome, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ci.core.lineage import Lineage
    from ci.core.records import MetricRow, Training, Verdict

KEY = "lock_hash"
"""The tag by which a run and a version are found again: the hash of all that the lock says of the trained model."""
CANDIDATE, CANARY, CHAMPION = "candidate", "canary", "champion"
LONGEST = 6_000  # characters of a parameter that MLflow keeps
_NOT_IN_NAMES = re.compile(r"[^\w\-. /]")


class Registered(Part):
    """A version in the registry; `tags` are its lineage and its verdict, `url` is for people."""

    model: str
    version: str
    run_id: str | None
    tags: dict[str, str]
    url: str


class Point(Part):
    """One value of a metric; `step` counts epochs or boosting rounds, and is 0 for what was measured once."""

    name: str
    value: float
    step: int = 0


def tags(lineage: Lineage, verdict: Verdict) -> dict[str, str]:
    """The whole lineage and what the gates came to, as tags of a run and of a version."""
    return {**lineage.model_dump(exclude={"model"}), **judged(verdict)}


def judged(verdict: Verdict) -> dict[str, str]:
    """The tags that change when the same bytes are judged again, against another champion."""
    return {"verdict": verdict.verdict.value, "summary": verdict.summary}


def refusal(model_hash: str, lock_hash: str, verdict: Verdict, lineage: Lineage) -> str | None:
    """Why these bytes may not be registered with this verdict and lineage; None where nothing speaks against it."""
    if lock_hash != lineage.lock_hash:
        return f"dvc.lock has changed since commit {lineage.commit[:12]}, whose training this is to be"
    if model_hash != lineage.model_hash:
        return f"its md5 is {model_hash}, but dvc.lock pins {lineage.model_hash}: it is not the model that was trained"
    if verdict.candidate_hash != model_hash or verdict.mode != "full":
        return f"the verdict at hand is of {verdict.mode} model {verdict.candidate_hash}, not of these bytes"
    if verdict.verdict is Outcome.FAIL or verdict.blocks:
        return f"its gates do not let it pass: {verdict.summary}"
    return None


def is_newest(version: str, candidate: str | None) -> bool:
    """Whether the alias `candidate` is to move on to `version`: never back to an older one."""
    return candidate is None or int(version) > int(candidate)


def params(entries: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that the stages of one model read, by dotted key, from their entries in dvc.lock."""
    found: dict[str, str] = {}
    for entry in entries.values():
        for values in entry.get("params", {}).values():
            found |= _flat(values)
    return dict(sorted(found.items()))


def _flat(value: Any, *steps: str) -> dict[str, str]:
    if isinstance(value, dict) and value:
        return {key: text for name, inner in value.items() for key, text in _flat(inner, *steps, str(name)).items()}
    text = value if isinstance(value, str) else json.dumps(value)
    return {_named(".".join(steps)): text[:LONGEST]}


def points(training: Training, rows: Iterable[MetricRow], measured: Mapping[str, float]) -> tuple[Point, ...]:
    """The loss of every epoch, the stage's own metrics, and what the gates measured with its interval; no slices."""
    found = [Point(name="loss/train", value=point.train, step=point.step) for point in training.loss]
    found += [
        Point(name="loss/validation", value=point.validation, step=point.step)
        for point in training.loss
        if point.validation is not None
    ]
    once = dict(measured)
    for row in rows:
        if row.slice is not None or row.candidate is None:
            continue
        once[row.metric] = row.candidate
        if row.candidate_interval is not None:
            once[f"{row.metric}.low"] = row.candidate_interval.low
            once[f"{row.metric}.high"] = row.candidate_interval.high
    return (*found, *(Point(name=_named(name), value=value) for name, value in sorted(once.items())))


def _named(name: str) -> str:
    """A name as MLflow takes it: `recall_at_fpr@0.01` stands in a group of its own."""
    return _NOT_IN_NAMES.sub("_", name.replace("@", "/"))
