"""What `trunkline doctor` finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from ci.core.errors import TrunklineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

State = Literal["ok", "missing", "broken"]


class Finding(NamedTuple):
    """What was looked at, how it is, and what there is to say or to do."""

    what: str
    state: State
    words: str


def all_of(checks: Mapping[str, Callable[[], list[Finding]]]) -> list[Finding]:
    """What checks find, each by what it looks at; what one raises is that this is broken."""
    found: list[Finding] = []
    for what, check in checks.items():
        try:
            found += check()
        except TrunklineError as fault:
            found.append(Finding(what, "broken", fault.message))
    return found
