"""The ways a command can fail, each with its exit code and one sentence for a person."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class TrunklineError(Exception):
    """A failure told in one sentence; `file` and `line` point an annotation at its cause."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, file: Path | str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.file = str(file) if file is not None else None
        self.line = line


class ConfigurationError(TrunklineError):
    """Usage, configuration or data that a person has to mend (exit code 1)."""


class EnvironmentFault(TrunklineError):
    """Docker, network, credentials, disk: the change may be fine, the surroundings are not (exit code 2)."""

    exit_code: ClassVar[int] = 2


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the nearest known word, or all of them when none is near."""
    words = sorted(known)
    near = get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(words)}"
