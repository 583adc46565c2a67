"""Where commands print their tables: a terminal, or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(log_width: int = 200) -> Console:
    """A console on stdout. A log has no width: there names are left whole, up to so many characters a line."""
    from rich.console import Console  # noqa: PLC0415 - only where something is printed

    found = Console()
    return found if found.is_terminal else Console(width=log_width)
