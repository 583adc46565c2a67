"""Columns of a window beside the reference's: how they are distributed, what they lack, what they have that is new."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ci.core.drift import words
from ci.core.drift.cells import of_columns
from ci.core.drift.distances import default, distance, limit
from ci.core.drift.findings import Found
from ci.core.drift.plots import bins
from ci.core.drift.records import ColumnRow
from ci.core.drift.schema import alike
from ci.core.drift.seasons import NONE, beyond, part_of
from ci.core.drift.significance import adjusted, p_value, two_shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.core.drift.cells import Common
    from ci.core.drift.profiles import Column, Profile
    from ci.core.drift.records import Kind
    from ci.core.drift.rules import ColumnRule, Rules, Statistic
    from ci.core.drift.seasons import Covered, Season


@dataclass(frozen=True)
class Compared:
    """One distribution against another: `limit` is what is tolerated, `p_value` not yet adjusted."""

    common: Common
    statistic: Statistic
    value: float
    limit: float
    p_value: float


def compare(
    reference: Column, window: Column, effect: float, statistic: Statistic | None = None, season: Season = NONE
) -> Compared:
    """How a column is distributed, against the reference.

    What is no further off than a stretch of the reference as long as the window is what its `season`s do: the limit is
    not below any of theirs, and certain is what is beyond that.
    """
    common, whole = of_columns(reference, window), "Int" in reference.dtype
    chosen = statistic or default(reference.kind, common)
    off = season.off(chosen, whole=whole)
    value = distance(chosen, common, whole=whole)
    p = p_value(chosen, beyond(common, part_of(off, value, chosen)), whole=whole)
    return Compared(common, chosen, value, max(limit(chosen, effect, common, whole=whole), off), p)


def columns(
    reference: Profile,
    window: Profile,
    rules: Rules,
    importance: Mapping[str, float],
    covered: Covered,
) -> tuple[tuple[ColumnRow, ...], list[Found]]:
    """A row of every column that both have, and what was found in them; `covered` are the reference's seasons.

    Tests of one kind are adjusted together; a finding is certain at `rules.false_discoveries` and beyond its limit.
    """
    shared = [name for name in reference.columns if name in window.columns and name not in window.hidden]
    compared = _compared(shared, reference, window, rules, covered)
    found: list[Found] = []
    rows: dict[str, ColumnRow] = {name: _row(name, reference, window, importance) for name in shared}
    for (name, one), p in zip(compared.items(), adjusted([one.p_value for one in compared.values()]), strict=True):
        drifted = p <= rules.false_discoveries and one.value >= one.limit
        told = {"statistic": one.statistic, "value": one.value, "limit": one.limit, "p_value": p}
        rows[name] = rows[name].model_copy(update=told | {"drifted": drifted, "bins": bins(one.common)})
        if drifted:
            text = words.moved(name, one.statistic, one.value, one.limit, one.common)
            found.append(Found("data", name, text, one.statistic, one.value, one.limit, p, importance.get(name)))
    return tuple(rows.values()), [*found, *_shares(shared, reference, window, rules, importance, covered)]


def _compared(
    shared: Sequence[str], reference: Profile, window: Profile, rules: Rules, covered: Covered
) -> dict[str, Compared]:
    """The distributions that can be compared: of one type, with a value on both sides, and not declared as ignored."""
    found = {}
    for name in shared:
        rule: ColumnRule | None = rules.columns.get(name)
        mine, theirs = reference.columns[name], window.columns[name]
        if (rule and rule.ignore) or not alike(mine, theirs) or not mine.cells.total or not theirs.cells.total:
            continue
        effect = rule.effect if rule and rule.effect else rules.limits.effect
        found[name] = compare(mine, theirs, effect, rule.statistic if rule else None, covered.column(name))
    return found


def _row(name: str, reference: Profile, window: Profile, importance: Mapping[str, float]) -> ColumnRow:
    mine, theirs = reference.columns[name], window.columns[name]
    rows = max(window.rows, 1)
    return ColumnRow(
        column=name,
        kind=mine.kind,
        importance=importance.get(name),
        missing_reference=_lacking(mine, reference) / max(reference.rows, 1),
        missing=_lacking(theirs, window) / rows,
        unseen=theirs.unseen / rows,
        out_of_range=theirs.out_of_range / rows,
    )


@dataclass(frozen=True)
class _Share:
    """`count` of `of` rows, where the reference has `other` of `of_other`, and `season` more in a stretch."""

    found: Found
    count: int
    of: int
    other: int
    of_other: int
    season: float = 0.0


def _shares(
    shared: Sequence[str],
    reference: Profile,
    window: Profile,
    rules: Rules,
    importance: Mapping[str, float],
    covered: Covered,
) -> list[Found]:
    """Values that are missing, unseen or out of range, where they are certainly more, and more by the limit."""
    asked: dict[Kind, list[_Share]] = {"missing": [], "unseen": [], "range": []}
    for name in shared:
        mine, theirs = reference.columns[name], window.columns[name]
        if not alike(mine, theirs):
            continue  # told as such
        n, m = window.rows, reference.rows
        lacked = _lacking(mine, reference)
        of_season = max(0.0, covered.missing(name) - lacked / max(m, 1))
        limits = rules.limits
        counted: tuple[tuple[Kind, str, float, float, int, int], ...] = (
            ("missing", _missing(theirs), limits.missing, of_season, _lacking(theirs, window), lacked),
            ("unseen", "has categories that are new", limits.unseen, 0.0, theirs.unseen, _once(mine)),
            ("range", _beyond(mine), limits.out_of_range, 0.0, theirs.out_of_range, 2),
        )
        for kind, what, least, season, count, other in counted:
            if count:
                most = max(least, season)
                text = words.share(name, what, count / n, other / max(m, 1), most)
                one = Found(
                    kind,
                    name,
                    text,
                    value=count / n,
                    limit=most,
                    importance=importance.get(name),
                    at_once=kind == "missing" and not theirs.cells.total,  # as a column that is not there
                )
                asked[kind].append(_Share(one, count, n, min(other, m), m, season))
    return [found for shares in asked.values() for found in _certain(shares, rules)]


def _certain(shares: Sequence[_Share], rules: Rules) -> list[Found]:
    p_values = adjusted(
        [two_shares(max(0, one.count - int(one.season * one.of)), one.of, one.other, one.of_other) for one in shares]
    )
    return [
        replace(one.found, p_value=p)
        for one, p in zip(shares, p_values, strict=True)
        if p <= rules.false_discoveries
        and one.count / one.of - one.other / max(one.of_other, 1) >= (one.found.limit or 0.0)
    ]


def _lacking(column: Column, profile: Profile) -> int:
    """Rows without a finite value, those of files without the column among them."""
    return profile.rows - column.cells.total


def _once(column: Column) -> int:
    """How many categories the reference has once: the share of rows that will be new is theirs (Good 1953, Turing)."""
    return int(np.count_nonzero(np.array(column.cells.counts) == 1)) if column.kind == "category" else 0


def _missing(column: Column) -> str:
    return f"is missing or infinite ({column.infinite:,} times)" if column.infinite else "is missing"


def _beyond(column: Column) -> str:
    ends = (
        f"{words.number(column.min)} to {words.number(column.max)}"
        if column.min is not None and column.max is not None
        else "any"
    )
    return f"lies beyond {ends}"
