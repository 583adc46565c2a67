"""What a change did to the gates themselves: a gate that is gone cannot fail, and a reviewer has to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ci.core.gating.gateparams import Gate
    from ci.core.records import Mode


def gates_diff(before: Sequence[Gate], after: Sequence[Gate], mode: Mode) -> tuple[str, ...]:
    """The gates of `mode` that are gone, declared otherwise or new, in words and in this order."""
    return tuple(_told(_by_name(before, mode), _by_name(after, mode)))


def _by_name(gates: Sequence[Gate], mode: Mode) -> dict[str, Gate]:
    return {
        str(gate.name(column, "*" if column else None)): gate
        for gate in gates
        if mode in gate.modes
        for column in gate.slices or (None,)
    }


def _told(before: dict[str, Gate], after: dict[str, Gate]) -> Iterator[str]:
    for name, gate in before.items():
        now = after.get(name)
        if now is None:
            yield f"{name} ({gate.words}) is gone"
        elif now.words != gate.words:
            yield f"{name}: {gate.words} → {now.words}"
        elif (now.min_rows, now.confidence, now.on_inconclusive) != (
            gate.min_rows,
            gate.confidence,
            gate.on_inconclusive,
        ):
            yield f"{name}: {_manner(gate)} → {_manner(now)}"
    for name in sorted(after.keys() - before.keys()):
        yield f"{name} ({after[name].words}) is new"


def _manner(gate: Gate) -> str:
    return f"at {gate.confidence:g} from {gate.min_rows:,} rows, inconclusive: {gate.on_inconclusive}"
