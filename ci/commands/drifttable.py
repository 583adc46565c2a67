"""What a window showed as tables for a terminal: what was found first, then every column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.commands.console import console
from ci.commands.table import STYLES
from ci.core.loglines import quiet
from ci.core.reporting import drift as shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ci.core.drift.records import Drift
    from ci.core.reporting.tables import Listing


def print_drift(drift: Drift) -> None:
    """Print what was found, the columns, quality and estimates where there are any, and a sentence, on stdout."""
    from rich.text import Text  # noqa: PLC0415 - only where something is printed

    out, view = console(), shown.view(drift)
    out.print(Text(quiet(f"{view.model}: {'; '.join(view.facts)}"), style="bold"))
    _table(out, "", shown.FINDINGS, view.findings)
    _table(out, "columns", shown.COLUMNS, view.columns)
    _table(out, "quality, by the labels that have arrived", shown.QUALITY, view.quality)
    _table(out, "quality, as the scores let expect it", shown.ESTIMATES, view.estimates)
    for note in view.notes:
        out.print(Text(quiet(note)))
    out.print(Text(quiet(view.summary), style=STYLES[drift.outcome]))


def _table(out: Console, title: str, names: Sequence[str], rows: Listing[tuple[str, ...]]) -> None:
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    if not rows:
        return
    table = Table(*names, title=title or None, title_justify="left")
    for row in rows.shown:
        table.add_row(*(Text(quiet(cell)) for cell in row))
    out.print(table)
    if rows.left:
        out.print(Text(f"… and {rows.left} more"))
