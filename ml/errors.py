"""The one way a stage stops: a sentence for a person, an exit code, and where to look."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BAD_INPUT, ENVIRONMENT, REFUSED = 1, 2, 3


class StageError(Exception):
    """A failure told in one sentence; `file` and `line` point an annotation at its cause."""

    def __init__(
        self, message: str, *, exit_code: int = BAD_INPUT, file: Path | str | None = None, line: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.file = str(file) if file is not None else None
        self.line = line


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the nearest known word, or all of them when none is near."""
    words = sorted(known)
    near = get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(words)}"
