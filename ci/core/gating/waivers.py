"""Waivers: a gate set aside by a named person, for a reason, until a day."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import StringConstraints

from ci.core.errors import did_you_mean
from ci.core.gating import names
from ci.core.records import GateResult, Outcome, Waiver
from ci.core.strict import Declared, Place, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.core.gating.gateparams import Gate
    from ci.core.strict import Where

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class WaiverEntry(Declared):
    """A waiver as written."""

    gate: Text
    reason: Text
    who: Text
    expires: date | str


def parse_waiver(
    data: Any, line_of: Callable[[Where], int | None], *, file: str, gates: Sequence[Gate], today: date
) -> Waiver:
    """A waiver file. Raises ConfigurationError, also for a gate that no mode of the model declares.

    It holds to the end of the day `expires`.
    """
    place = Place(file, line_of)
    entry = parse(WaiverEntry, data, place)
    try:
        expires = entry.expires if isinstance(entry.expires, date) else date.fromisoformat(entry.expires)
    except ValueError:
        raise place.at("expires").error(f"'expires' is {entry.expires!r}; expected a day such as 2026-12-31.") from None
    if not _declared(entry.gate, gates):
        known = {names.SCHEMA, names.FULL_TRAINING, *map(names.check, names.CHECKS)}
        known |= {str(gate.name(column, "...")) for gate in gates for column in gate.slices}
        known |= {str(gate.name()) for gate in gates if not gate.slices}
        raise place.at("gate").error(f"there is no gate '{entry.gate}' to waive; {did_you_mean(entry.gate, known)}")
    return Waiver(
        gate=entry.gate,
        reason=entry.reason,
        who=entry.who,
        expires=expires.isoformat(),
        expired=today > expires,
        file=file,
    )


def require_slices(waivers: Sequence[Waiver], results: Sequence[GateResult]) -> None:
    """Refuse a waiver for a slice whose column was judged but has no such value. Raises ConfigurationError."""
    judged = [name for result in results if (name := names.parse(result.gate)) and name.column is not None]
    for waiver in waivers:
        name = names.parse(waiver.gate)
        beside = [str(one) for one in judged if name and (one.metric, one.rule, one.column) == _kin(name)]
        if beside and waiver.gate not in beside:
            hint = did_you_mean(waiver.gate, beside)
            place = Place(waiver.file, lambda _: None)
            raise place.error(f"there is no gate '{waiver.gate}' to waive: the data has no such slice; {hint}")


def apply(results: Sequence[GateResult], waivers: Sequence[Waiver]) -> tuple[GateResult, ...]:
    """Let waived gates that would block pass, and add a failing gate `waiver` for each that has expired."""
    active = {waiver.gate: waiver for waiver in waivers if not waiver.expired}
    waived = [
        _waived(result, active[result.gate]) if result.blocks and result.gate in active else result
        for result in results
    ]
    return (*waived, *(_expired(waiver) for waiver in waivers if waiver.expired))


def _waived(result: GateResult, waiver: Waiver) -> GateResult:
    words = f"{result.reason}; waived by {waiver.who} until {waiver.expires}: {waiver.reason}"
    return result.model_copy(
        update={"verdict": Outcome.PASS, "blocks": False, "waived_by": waiver.who, "reason": words}
    )


def _expired(waiver: Waiver) -> GateResult:
    words = f"the waiver of {waiver.gate} by {waiver.who} expired on {waiver.expires}"
    return GateResult(
        gate=names.WAIVER,
        metric=waiver.gate,
        rule=f"valid until {waiver.expires}",
        verdict=Outcome.FAIL,
        value=None,
        reason=f"{words}; renew or remove {waiver.file}",
        blocks=True,
    )


def _declared(gate: str, gates: Sequence[Gate]) -> bool:
    """Whether a gate of this name can exist in some mode; slices are known by their column alone."""
    if gate in {names.SCHEMA, names.FULL_TRAINING, *map(names.check, names.CHECKS)}:
        return True
    name = names.parse(gate)
    if name is None:
        return False
    return any(
        (name.column in one.slices if one.slices else name.column is None)
        and _kin(name) == _kin(one.name(name.column, name.value))
        for one in gates
    )


def _kin(name: names.GateName) -> tuple[str, str, str | None]:
    return name.metric, name.rule, name.column
