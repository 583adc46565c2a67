"""Columns that are gone, new, renamed or of another type, and rules that name a column which is none."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from ci.core.drift.findings import Found
from ci.core.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from ci.core.drift.profiles import Column, Profile
    from ci.core.drift.rules import Rules

NUMBERS = ("Int", "UInt", "Float", "Decimal")
MOST = 20


def schema(reference: Profile, window: Profile) -> list[Found]:
    """What is wrong with a window's columns as such: an alarm at once, since no second window will mend it.

    Columns that the reference lacks are told of where one that it has is gone: it may have been renamed.
    """
    there = {*window.columns, *window.hidden}
    gone = [name for name in reference.columns if name not in there] if window.rows else []
    found = [Found("schema", name, _gone(name, window), at_once=True) for name in gone[:MOST]]
    for name, column in window.columns.items():
        mine = reference.columns.get(name)
        if mine is not None and not alike(mine, column):
            text = f"{name} is {column.dtype} by now, and {mine.dtype} in the reference; {_mend(name)}"
            found.append(Found("schema", name, text, at_once=True))
    return found


def require_columns(rules: Rules, reference: Profile, file: str) -> None:
    """Refuse a rule for a column that is none, and a distance of numbers for one of categories."""
    for name, rule in rules.columns.items():
        if name not in reference.columns:
            hint = did_you_mean(name, reference.columns)
            raise ConfigurationError(f"{file}: drift.columns names '{name}', which is no feature; {hint}", file=file)
        if rule.statistic in ("wasserstein", "kolmogorov_smirnov") and reference.columns[name].kind == "category":
            raise ConfigurationError(
                f"{file}: drift.columns.{name}.statistic is {rule.statistic}, which is of numbers, and {name} is a "
                "category; write jensen_shannon or psi.",
                file=file,
            )


def alike(reference: Column, window: Column) -> bool:
    """Whether a column still holds what it held; one without any value does."""
    return family(window) in (family(reference), "nothing")


def family(column: Column) -> str:
    """What kind of values a column was stored as: `numbers`, `booleans`, `texts`, `nothing`, or several of them."""
    found = {_family(dtype) for dtype in column.dtype.split("|")}
    return "|".join(sorted(found - {"nothing"})) or "nothing"


def _family(dtype: str) -> str:
    if dtype.startswith(NUMBERS):
        return "numbers"
    return {"Boolean": "booleans", "Null": "nothing"}.get(dtype, "texts")


def _gone(name: str, window: Profile) -> str:
    near = get_close_matches(name, window.extra, n=1, cutoff=0.6)
    if near:
        return f"{name} is gone, and '{near[0]}' is new: it seems to have been renamed; {_mend(name)}"
    new = f"; new are {', '.join(window.extra[:5])}" if window.extra else ""
    return f"{name} is gone{new}; {_mend(name)}"


def _mend(name: str) -> str:
    return f"bring {name} back as it was, or train on what there is now"
