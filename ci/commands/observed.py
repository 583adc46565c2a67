"""What outside systems measured over a window: the service by Prometheus, business metrics as they are declared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ci.adapters import business, prometheus
from ci.commands import champion, gate
from ci.core.drift import cells, expressions, watched
from ci.core.errors import ConfigurationError, TrunklineError, did_you_mean

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from ci.adapters.prometheus import Prometheus
    from ci.core.drift.findings import Found
    from ci.core.drift.profiles import Profile
    from ci.core.drift.rules import Business, Rules

Span = tuple["datetime", "datetime"]


@dataclass
class Outside:
    """What was found, what was seen in words and, of business metrics, in numbers; and what could not be asked."""

    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    business: dict[str, float | None] = field(default_factory=dict)
    missed: list[TrunklineError] = field(default_factory=list)


def outside(root: Path, model: str, rules: Rules, window: Profile, span: Span) -> Outside:
    """What the service did, where the model is in production, and the business metrics.

    One that cannot be asked keeps no other back. Raises ConfigurationError for a params.yaml that is no use.
    """
    told, params = Outside(), gate.root_params(root)
    path = champion.path_at_hand(root, model)
    if params.release is not None and (root / path).is_file():
        environment = list(params.release.environments)[-1]
        try:
            server = _prometheus(params.release.prometheus)
            found, words = service(rules, server, model, environment, span)
            told.found += found
            told.notes.append(f"The service in {environment}: {words}.")
        except TrunklineError as fault:
            told.missed.append(fault)
    configured = params.release.prometheus if params.release else ""
    for name, rule in rules.business.items():
        try:
            value = _value(name, rule, configured, window, span)
            told.business[name] = value
            told.found += watched.business({name: rule}, {name: value})
            told.notes.append(f"{name}: {'no value' if value is None else f'{value:.6g}'}.")
        except TrunklineError as fault:
            told.missed.append(fault)
    return told


def service(rules: Rules, server: Prometheus, model: str, environment: str, span: Span) -> tuple[list[Found], str]:
    """What is beyond the objectives, and what was seen in words. Raises EnvironmentFault where it cannot be asked."""
    at, seconds = span[1].timestamp(), round((span[1] - span[0]).total_seconds())
    errors, fallbacks, p99, load = (
        server.value(expression(model, environment, seconds), at)
        for expression in (expressions.errors, expressions.fallbacks, expressions.p99, expressions.load)
    )
    told = [
        f"{load:.3g} requests a second" if load is not None else "Prometheus has no requests of it",
        f"{errors:.3%} errors" if errors is not None else "",
        f"{fallbacks:.3%} without a score" if fallbacks is not None else "",
        f"p99 {p99:.3g} s" if p99 is not None else "",
    ]
    return watched.service(rules.service, watched.Served(errors, fallbacks, p99)), ", ".join(filter(None, told))


def _prometheus(configured: str) -> Prometheus:
    return prometheus.Prometheus(prometheus.address(configured))


def _value(name: str, rule: Business, configured: str, window: Profile, span: Span) -> float | None:
    start, end = span
    if rule.promql is not None:
        return _prometheus(configured).value(rule.promql, end.timestamp())
    if rule.sql is not None:
        return business.value(rule.sql, start=start.isoformat(), end=end.isoformat())
    return _mean(name, str(rule.column), window)


def _mean(name: str, column: str, window: Profile) -> float | None:
    """The mean of a column's values, to the width of the profile's cells; None where it has none."""
    found = window.columns.get(column)
    if found is None:
        raise ConfigurationError(
            f"business metric '{name}' is the mean of '{column}', which the window has not; "
            f"{did_you_mean(column, window.columns) if window.columns else 'it has no features at all'}"
        )
    if found.kind == "category":
        raise ConfigurationError(
            f"business metric '{name}' is the mean of '{column}', which holds texts; name a number."
        )
    return cells.moments(cells.of_columns(found, found))[0] if found.cells.total else None
