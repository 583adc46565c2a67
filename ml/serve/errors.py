"""The two ways of saying no: to a request, with a status code, and to the one who starts the server."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

SHORT = reprlib.Repr()
SHORT.maxlevel, SHORT.maxlist, SHORT.maxdict, SHORT.maxstring, SHORT.maxlong = 2, 4, 2, 60, 40


class Refused(Exception):
    """A request is not answered with scores; `words` say why, in one sentence for its sender.

    `missing` are the columns of which it lacked a value.
    """

    def __init__(self, code: int, words: str, missing: Collection[str] = ()) -> None:
        super().__init__(words)
        self.code = code
        self.words = words
        self.missing = missing


class CannotStart(Exception):
    """The server has nothing it could serve; the sentence names the file or variable and what to do."""


def shown(value: object) -> str:
    """What was found, as short as a sentence can bear: it may come from anyone, be of any length and any depth."""
    return SHORT.repr(value)
