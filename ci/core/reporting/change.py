"""What a change did to a model, in words: data, parameters, code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.core.reporting.markdown import clip
from ci.core.reporting.show import MINUS, count, plural, short
from ci.core.reporting.tables import Limits, Listing, cell, listing

if TYPE_CHECKING:
    from ci.core.records import Change, Scalar


LONG = 12  # lines, beyond which a page folds them


@dataclass(frozen=True)
class ParamRow:
    """A parameter before and after."""

    key: str
    before: str
    after: str


@dataclass(frozen=True)
class ChangeView:
    """What the change did: to the data in words and hashes, to the parameters, to the code."""

    against: bool
    data: str
    hashes: tuple[str, ...]
    gates: Listing[str]
    params: Listing[ParamRow]
    files: Listing[str]
    nothing: bool
    long: bool


def change_view(change: Change, limits: Limits, *, against: bool) -> ChangeView:
    """What the change did; not `against` where there is no commit to compare with."""
    data, hashes = _data(change) if against else _data_now(change)
    params = (
        ParamRow(
            clip(param.key, limits.name), _before_or_after(param.before, limits), _before_or_after(param.after, limits)
        )
        for param in change.params
    )
    return ChangeView(
        against=against,
        data=data,
        hashes=hashes,
        gates=listing((clip(gate, limits.text) for gate in change.gates), limits.changes),
        params=listing(params, limits.changes),
        files=listing((clip(file, limits.name) for file in change.files), limits.changes),
        long=len(change.params) + len(change.files) > LONG,
        nothing=not (change.gates or change.params or change.files)
        and change.data_hash_before == change.data_hash_after,
    )


def _before_or_after(value: Scalar, limits: Limits) -> str:
    return "absent" if value is None else clip(cell(value), limits.name)


def _data(change: Change) -> tuple[str, tuple[str, ...]]:
    """What became of the data, in words and in hashes."""
    before, after = change.data_hash_before, change.data_hash_after
    if after is None:
        return ("not known", ()) if before is None else ("gone", (short(before),))
    if before == after:
        return f"unchanged, {_rows(change.rows_after)}", (short(after),)
    if before is None:
        return f"new, {_rows(change.rows_after)}", (short(after),)
    hashes = (short(before), short(after))
    if change.rows_before is None or change.rows_after is None:
        return f"changed, {_rows(change.rows_after)} now", hashes
    grown = change.rows_after - change.rows_before
    if not grown:
        return f"changed, {_rows(change.rows_after)} as before", hashes
    return (
        f"{count(change.rows_before)} → {_rows(change.rows_after)} ({'+' if grown > 0 else MINUS}{count(abs(grown))})",
        hashes,
    )


def _data_now(change: Change) -> tuple[str, tuple[str, ...]]:
    digest = change.data_hash_after
    return (_rows(change.rows_after), (short(digest),)) if digest else ("not known", ())


def _rows(n: int | None) -> str:
    return "rows not counted" if n is None else plural(n, "row")
