"""Training seen while it runs: a live line on a terminal, one line at the end elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ml.kinds import Tick


@contextmanager
def progress(title: str, rows: int, console: Console | None = None) -> Iterator[Tick]:
    """A function to call after each epoch or round; `console` writes to stderr."""
    console = console or Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    last = "nothing was learned"
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as live:
        task = live.add_task(f"{title}: {rows:,} rows", total=None)

        def tick(step: int, train: float, validation: float | None) -> None:
            nonlocal last
            watched = "" if validation is None else f", validation {validation:.4f}"
            last = f"step {step}, loss {train:.4f}{watched}"
            live.update(task, description=f"{title}: {rows:,} rows, {last}")

        yield tick
    console.print(f"{title}: {rows:,} rows, {last}", highlight=False, soft_wrap=True)
