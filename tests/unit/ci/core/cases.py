"""Rows, gates and records in few words, for the tests of gates."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml

from ci.core.gating.evidence import Evidence
from ci.core.gating.gateparams import Gate, parse_model
from ci.core.params import Defaults, Root, parse_root
from ci.core.records import Baseline, Check, Evaluation, Latency, LossPoint, Training, Validation
from ci.core.statistics.measure import Measured
from ci.core.statistics.rows import Column, Floats, Rows


def nowhere(_: tuple[str | int, ...]) -> int | None:
    """A file without lines."""
    return None


def root(resamples: int = 400, **gates: Any) -> Root:
    """Root parameters of models a and b."""
    defaults = {"confidence": 0.95, "resamples": resamples, "min_rows": 100, "on_inconclusive": "warn"} | gates
    return parse_root({"models": ["a", "b"], "defaults": {"seed": 7, "gates": defaults}}, nowhere)


def defaults(**gates: Any) -> Defaults:
    return root(**gates).defaults.gates


def gates(text: str, task: str = "binary", **given: Any) -> tuple[Gate, ...]:
    """Gates from YAML lines `- {...}`."""
    entries = yaml.safe_load(text)
    model = {"task": task, "data": {"keep": columns(entries)}, "gates": entries}
    return parse_model(model, nowhere, defaults(**given), file="a.yaml")[1]


def columns(entries: list[dict[str, Any]]) -> list[str]:
    """All columns that gates name, so that predictions carry them."""
    named = [entry[key] for entry in entries for key in ("group", "card", "time") if key in entry]
    return [*named, *(column for entry in entries for column in entry.get("slices", ()))]


def gate(text: str, task: str = "binary", **given: Any) -> Gate:
    (one,) = gates(f"- {{{text}}}", task, **given)
    return one


def column(values: list[str] | np.ndarray[Any, Any]) -> Column:
    names, codes = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return Column(tuple(map(str, names)), codes.astype(np.int64))


def rows(label: Any, score: Any, ids: Any = None, days: Any = None, **columns: Any) -> Rows:
    label = np.asarray(label, dtype=np.float64)
    return Rows(
        ids=np.arange(len(label)) if ids is None else np.asarray(ids),
        label=label,
        score=np.asarray(score, dtype=np.float64),
        columns={name: column(values) for name, values in columns.items()},
        days={} if days is None else {"DAY": np.asarray(days, dtype=np.int64)},
    )


def scored(n: int = 1000, *, seed: int = 0, lift: float = 1.5, share: float = 0.3) -> tuple[Floats, Floats]:
    """Labels and probabilities that tell something of them."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < share).astype(np.float64)
    return label, 1 / (1 + np.exp(-(lift * label + rng.normal(size=n) - 1)))


def measured(samples: Any, value: float, n: int = 1000) -> Measured:
    """A measured difference: candidate `value` against a baseline of 0."""
    found = np.asarray(samples, dtype=np.float64)
    return Measured(n=n, value=value, samples=found, baseline=0.0, differences=found)


def training(
    model_hash: str = "new", *, rows: int = 5000, size: int = 1000, checks: tuple[Check, ...] = ()
) -> Training:
    loss = tuple(LossPoint(step=step, train=1 / step, validation=2 / step) for step in range(1, 4))
    return Training(
        model="a",
        mode="smoke",
        seed=7,
        rows=rows,
        features=("x",),
        loss=loss,
        checks=checks,
        model_hash=model_hash,
        size_bytes=size,
    )


def evaluation(n: int, model_hash: str = "new") -> Evaluation:
    return Evaluation(
        model="a",
        mode="smoke",
        task="binary",
        rows=n,
        training_rows=5000,
        positives=None,
        rows_hash="r",
        model_hash=model_hash,
        predictions_hash="p",
        checks=(),
    )


def evidence(mine: Rows | None, theirs: Rows | None = None, **given: Any) -> Evidence:
    """The evidence of a candidate, compared with a merge base where `theirs` is given."""
    baseline = Baseline(kind="merge_base", status="compared", model_hash="old", reason="the merge base")
    usual: dict[str, Any] = {
        "mode": "smoke",
        "task": "binary",
        "validation": Validation(model="a", file="a.parquet", data_hash="d", rows=10, columns=2, passed=True),
        "training": training(),
        "evaluation": evaluation(len(mine) if mine is not None else 0),
        "latency": Latency(model="a", mode="smoke", model_hash="new", runs=10, p50_ms=0.5, p99_ms=2.0),
        "rows": mine,
        "baseline": baseline if theirs is not None else None,
        "baseline_training": training("old") if theirs is not None else None,
        "baseline_rows": theirs,
    }
    return Evidence(**(usual | given))
