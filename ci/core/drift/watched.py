"""What outside systems measured, held to its bounds: the service's objectives, and business metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.core.drift import words
from ci.core.drift.findings import Found

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.core.drift.rules import Business, Service


@dataclass(frozen=True)
class Served:
    """What a service did over the window: shares of errors and of requests without a score, the slowest hundredth.

    None is what was not seen.
    """

    errors: float | None = None
    fallbacks: float | None = None
    p99_seconds: float | None = None


def service(rules: Service, seen: Served) -> list[Found]:
    """What is beyond what is asked for: an alarm at once. Nothing is found in what was not seen."""
    errors, fallbacks, p99_seconds = seen.errors, seen.fallbacks, seen.p99_seconds
    found = []
    if errors is not None and rules.errors is not None and errors > rules.errors:
        text = f"{words.percent(errors)} of requests ended with an error, {words.percent(rules.errors)} are tolerated"
        found.append(Found("service", "errors", text, value=errors, limit=rules.errors, at_once=True))
    if fallbacks is not None and rules.fallbacks is not None and fallbacks > rules.fallbacks:
        text = (
            f"{words.percent(fallbacks)} of requests got no score, so that their senders fell back on something else; "
            f"{words.percent(rules.fallbacks)} are tolerated"
        )
        found.append(Found("service", "fallbacks", text, value=fallbacks, limit=rules.fallbacks, at_once=True))
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
