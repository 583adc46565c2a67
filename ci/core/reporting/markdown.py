"""Untrusted text as Markdown that shows it and does nothing else, and whole sections made to fit a comment."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMENT_LIMIT = 65_536
ROOM = 536  # below the limit, for a marker that is put in front
NOTICE = 1_200  # the longest notice of a cut

_GAP = "\N{ZERO WIDTH SPACE}"
_CHARACTERS = str.maketrans({character: f"&#{ord(character)};" for character in "\\`|$"}) | str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", **{character: f"\\{character}" for character in "*_[]~"}}
)
# GitHub links what it finds in the finished text, after Markdown's own escapes are gone: only a gap stops that.
_LINKS = (
    (re.compile(r"@"), f"@{_GAP}"),
    (re.compile(r"#(?=\w)"), f"#{_GAP}"),
    (re.compile(r"(?<=gh)-(?=\d)", re.IGNORECASE), f"-{_GAP}"),
    (re.compile(r":(?=//)"), f":{_GAP}"),
    (re.compile(r"(?<=www)\.", re.IGNORECASE), f"{_GAP}."),
)
_INSTEAD = {"Cc": " ", "Cf": "", "Cs": "\N{REPLACEMENT CHARACTER}"}
_SPACE = re.compile(r"[^\S\N{NO-BREAK SPACE}]+")
_BLOCK = re.compile(r"^(?P<number>\d*)(?P<sign>[-+=#:.)])(?=[-=#:\s]|$)")
_PLAIN_CODE = re.compile(r"[^`|<>&\\$]+")


class Safe(str):
    """Markdown that goes out as it is."""

    __slots__ = ()


@dataclass(frozen=True)
class Section:
    """A piece of a report that is kept or dropped whole; rank 0 always stays, the highest goes first."""

    title: str
    text: str
    rank: int


def clean(text: str) -> str:
    """`text` on one line, without characters that cannot be seen or that turn the line round."""
    shown = "".join(_INSTEAD.get(unicodedata.category(character), character) for character in text)
    return " ".join(part for part in _SPACE.split(shown) if part)


def clip(text: str, longest: int) -> str:
    """At most `longest` characters of `text`, with an ellipsis where it was cut."""
    line = clean(text)
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def escape(value: object) -> Safe:
    """Markdown that shows `value` as plain text in a paragraph, a list or a table cell: no markup, link or mention."""
    if isinstance(value, Safe):
        return value
    text = clean(str(value))
    for pattern, broken in _LINKS:
        text = pattern.sub(broken, text)
    return Safe(_BLOCK.sub(r"\g<number>\\\g<sign>", text.translate(_CHARACTERS)))


def code(value: object) -> Safe:
    """Markdown that shows `value` in a fixed-width face: backticks, or a tag where those could be broken out of."""
    text = clean(str(value))
    if not text:
        return Safe("\N{EN DASH}")
    return Safe(f"`{text}`") if _PLAIN_CODE.fullmatch(text) else Safe(f"<code>{escape(text)}</code>")


def length(text: str) -> int:
    """Characters of `text`, counted the dearest way GitHub might: UTF-16 units, a line break as two."""
    return len(text.encode("utf-16-le")) // 2 + text.count("\n")


def fit(sections: Sequence[Section], *, whole: str, limit: int = COMMENT_LIMIT - ROOM) -> str:
    """The sections as one text of at most `limit` characters.

    What is too much is dropped a section at a time, the highest rank and of that the last one first, and a line
    says what is gone and where `whole` is.
    """
    kept = dict(enumerate(section for section in sections if section.text.strip()))
    size = sum(length(section.text) + 4 for section in kept.values())
    dropped: list[int] = []
    for index in sorted((i for i in kept if kept[i].rank), key=lambda i: (kept[i].rank, i), reverse=True):
        if size <= limit - (NOTICE if dropped else 0):
            break
        size -= length(kept[index].text) + 4
        dropped.append(index)
    texts = [section.text.strip() for index, section in kept.items() if index not in dropped]
    if dropped:
        texts.append(_notice([kept[index].title for index in sorted(dropped)], whole))
    return "\n\n".join(texts) + "\n"


def _notice(titles: Sequence[str], whole: str) -> str:
    named = ", ".join(titles)
    gone = named if len(named) <= 400 else f"{named[:400].rsplit(', ', 1)[0]} and more ({len(titles)} sections)"
    where = f"The whole report is in {code(whole)}, kept with the job."
    return f"> ✂️ **Cut to fit a GitHub comment.** Left out: {escape(gone)}. {where}"
