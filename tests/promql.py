"""Expressions of rules and panels, and the metrics that they may ask for."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import promql_parser
from prometheus_client.parser import text_string_to_metric_families

from ci.core.drift.exposition import METRICS, PREFIX, exposition
from ml.serve.metrics import Metrics
from ml.serve.model import Record
from tests.unit.ci.core.drift.drifts import BOUNDS, MEASURED, drift

if TYPE_CHECKING:
    from collections.abc import Iterable

GIVEN_BY_CLUSTER = {"environment", "track"}
JUDGED = datetime(2026, 11, 27, 6, tzinfo=UTC)
VARIABLE = re.compile(r"\$\{?([a-z_]+)\}?")


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """The vector selectors in an expression, which has to be PromQL."""
    found: list[promql_parser.VectorSelector] = []

    def visit(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.MatrixSelector):
            part = part.vector_selector
        if isinstance(part, promql_parser.VectorSelector):
            found.append(part)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def labels(selector: promql_parser.VectorSelector) -> set[str]:
    """The labels that a selector asks for."""
    return {matcher.name for matcher in selector.matchers.matchers}


def served() -> dict[str, set[str]]:
    """The samples that a server exposes, and the labels of each."""
    metrics = Metrics(Record("fraud", "a" * 64, {}), lambda: 0)
    metrics.answered("infer", 200)
    metrics.missing(["a"])
    metrics.unseen({"a": 1})
    metrics.log = lambda: (1, 0)
    return _of([metrics.exposition("text/plain")[0].decode()])


def drifting() -> dict[str, set[str]]:
    """The samples that `trunkline drift` exposes; the tests' record has something to say of each metric."""
    found = _of([exposition(drift(), judged=JUDGED, business=MEASURED, bounds=BOUNDS)])
    assert found.keys() == {f"{PREFIX}{name}" for name in METRICS}
    return found


def edges() -> dict[str, set[str]]:
    """The upper edges of each histogram of the server."""
    text = Metrics(Record("fraud", "a" * 64, {}), lambda: 0).exposition("text/plain")[0].decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if "le" in sample.labels:
                found.setdefault(sample.name, set()).add(sample.labels["le"])
    return found


def _of(texts: Iterable[str]) -> dict[str, set[str]]:
    return {
        sample.name: set(sample.labels)
        for text in texts
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
