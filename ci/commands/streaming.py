"""What a docker daemon does, shown on stderr while it does it: a bar on a terminal, a line a step in a log."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ci.core.image.events import Moved, Said, Step
from ci.core.loglines import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

    from ci.adapters.docker import Tell
    from ci.core.image.events import Event

WIDTH = 100


@contextmanager
def shown(doing: str) -> Iterator[Tell]:
    """A function that shows each event until the block ends."""
    if not sys.stderr.isatty():
        print(doing, file=sys.stderr, flush=True)
        yield _line
        return
    from rich.console import Console  # noqa: PLC0415 - only where something is shown
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as above

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bars(progress, escape(doing)).tell


def _line(event: Event) -> None:
    match event:
        case Step(number, of, words):
            print(f"  {number}/{of} {quiet(words)[:WIDTH]}", file=sys.stderr, flush=True)
        case Moved(layer, words, _, total) if not total:
            print(f"  {quiet(layer)}: {quiet(words)}", file=sys.stderr, flush=True)


class _Bars:
    """One bar for the whole, and one for each layer that is on its way."""

    def __init__(self, progress: Progress, doing: str) -> None:
        self._progress = progress
        self._doing = doing
        self._whole = progress.add_task(doing, total=None)
        self._layers: dict[str, TaskID] = {}

    def tell(self, event: Event) -> None:
        """Move the bars."""
        from rich.markup import escape  # noqa: PLC0415 - as in shown

        match event:
            case Step(number, of, words):
                text = f"{self._doing}: {escape(words[:WIDTH])}"
                self._progress.update(self._whole, description=text, completed=number - 1, total=of)
            case Said(words):
                self._progress.update(self._whole, description=f"{self._doing}: {escape(words[:WIDTH])}")
            case Moved(layer, words, done, total):
                if layer not in self._layers:
                    self._layers[layer] = self._progress.add_task(layer, total=None)
                text = f"  {escape(layer)}: {escape(words)}"
                self._progress.update(self._layers[layer], description=text, completed=done, total=total or None)
