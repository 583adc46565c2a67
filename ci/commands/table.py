"""Verdicts as tables for a terminal, failing gates first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ci.commands.console import console
from ci.core.loglines import quiet
from ci.core.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ci.core.records import GateResult, Interval, Verdict

STYLES = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "yellow"}


def print_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Print a table and a sentence for each verdict on stdout."""
    from rich.text import Text  # noqa: PLC0415 - only where something is printed

    out = console()
    for verdict in verdicts:
        if verdict.gates:
            out.print(gate_table(verdict, wide=out.width >= 160))
        out.print(Text(quiet(verdict.summary), style=STYLES[verdict.verdict]))


def gate_table(verdict: Verdict, *, wide: bool) -> Table:
    """The gates of one verdict, in its order, which puts failures first; where it is `wide`, only reasons wrap."""
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(title=f"{verdict.model} ({verdict.mode})", title_justify="left", title_style="bold")
    for name in ("gate", "rule", "value", "interval", "verdict", "reason"):
        justify: Literal["left", "right"] = "right" if name == "value" else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=wide and name != "reason")
    for gate in verdict.gates:
        table.add_row(
            Text(quiet(gate.gate)),
            Text(quiet(gate.rule)),
            "" if gate.value is None else f"{gate.value:.6g}",
            Text(_interval(gate.interval)),
            Text(_verdict(gate), style=STYLES[gate.verdict]),
            Text(quiet(gate.reason)),
        )
    return table


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval.low:.4g}, {interval.high:.4g}]"


def _verdict(gate: GateResult) -> str:
    if gate.waived_by is not None:
        return "pass (waived)"
    return (
        f"{gate.verdict.value} (blocks)" if gate.blocks and gate.verdict is Outcome.INCONCLUSIVE else gate.verdict.value
    )
