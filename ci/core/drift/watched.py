"""What outside systems measured, held to its bounds: the service's objectives, and business metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.core.drift import words
from ci.core.drift.findings import Found

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.core.drift.rules import Business, Service


def service(rules: Service, errors: float | None, p99_seconds: float | None) -> list[Found]:
    """Share of errors and the slowest hundredth over the window, beyond what is asked for: an alarm at once.

    None is what was not seen, and nothing is found in it.
    """
    found = []
    if errors is not None and rules.errors is not None and errors > rules.errors:
        text = f"{words.percent(errors)} of requests ended with an error, {words.percent(rules.errors)} are tolerated"
        found.append(Found("service", "errors", text, value=errors, limit=rules.errors, at_once=True))
    if p99_seconds is not None and rules.p99_seconds is not None and p99_seconds > rules.p99_seconds:
        text = f"p99 of the latency is {p99_seconds:.3g} s, {rules.p99_seconds:g} s are tolerated"
        found.append(Found("service", "p99", text, value=p99_seconds, limit=rules.p99_seconds, at_once=True))
    return found


def business(rules: Mapping[str, Business], values: Mapping[str, float | None]) -> list[Found]:
    """Declared metrics that are out of their bounds, or have no value: what is not known is not known to be well."""
    found = []
    for name, rule in rules.items():
        value = values.get(name)
        if value is None:
            found.append(Found("business", name, f"{name} has no value in this window"))
        elif rule.min is not None and value < rule.min:
            text = f"{name} is {words.number(value)}, at least {rule.min:g} is asked for"
            found.append(Found("business", name, text, value=value, limit=rule.min))
        elif rule.max is not None and value > rule.max:
            text = f"{name} is {words.number(value)}, at most {rule.max:g} is asked for"
            found.append(Found("business", name, text, value=value, limit=rule.max))
    return found
