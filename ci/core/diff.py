"""What changed between two trees of parameters."""

from __future__ import annotations

from math import isfinite
from typing import Any

from ci.core.records import ParamChange, Scalar


def flatten(tree: Any, where: str = "") -> dict[str, Scalar]:
    """Leaves of nested mappings and lists by dotted key (`model.layers.0`); dates, infinities and the like as text."""
    if isinstance(tree, dict):
        pairs = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list):
        pairs = [(str(index), value) for index, value in enumerate(tree)]
    else:
        known = tree is None or isinstance(tree, bool | int | str) or (isinstance(tree, float) and isfinite(tree))
        return {where: tree if known else str(tree)}
    leaves: dict[str, Scalar] = {}
    for key, value in pairs:
        leaves |= flatten(value, f"{where}.{key}" if where else key)
    return leaves


def params_diff(before: Any, after: Any, file: str) -> tuple[ParamChange, ...]:
    """The leaves of `file` that differ, by key."""
    old, new = flatten(before or {}), flatten(after or {})
    return tuple(
        ParamChange(key=f"{file}:{key}", before=old.get(key), after=new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) or (key in old) != (key in new)
    )
