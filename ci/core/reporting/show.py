"""Numbers, intervals and spans of time as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ci.core.records import Interval

NOTHING = "\N{EN DASH}"
MOST = 10**12
MINUS = "\N{MINUS SIGN}"


def number(value: float | None, *, sign: bool = False) -> str:
    """About four telling digits; `sign` also writes the plus. A true minus, so that it lines up with the plus."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    text = f"{value:{'+' if sign else ''}{_form(value)}}"
    return text.replace("-", MINUS, 1) if value < 0 else text


def _form(value: float) -> str:
    size = abs(value)
    if size >= 1e12 or 0 < size < 1e-4:
        return ".2e"
    if size >= 1000 or (size >= 10 and float(value).is_integer()):
        return ",.0f"
    return ".2f" if size >= 10 else ".4f"


def count(value: int | None) -> str:
    """A whole number, its thousands apart; a record may hold one of any length, a table cell may not."""
    if value is None:
        return NOTHING
    return f"{value:,}" if abs(value) < MOST else f"beyond {MOST:,}"


def interval(value: Interval | None, *, sign: bool = False) -> str:
    """`0.7912 to 0.8301`, or nothing."""
    return "" if value is None else f"{number(value.low, sign=sign)} to {number(value.high, sign=sign)}"


def percent(share: float) -> str:
    """`95 %`, `99.17 %`: no more digits than it has."""
    return f"{100 * share:.4g} %"


def seconds(value: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(min(value, MOST))
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"


def plural(n: int, word: str) -> str:
    """`1 gate`, `2 gates`."""
    return f"{count(n)} {word}" if n == 1 else f"{count(n)} {word}s"


def short(digest: str | None) -> str:
    """The first characters of a hash: enough to tell two apart."""
    return NOTHING if digest is None else digest[:8]
