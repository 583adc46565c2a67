"""One run at a time where two would tread on each other; a killed run leaves nothing locked."""

from __future__ import annotations

import fcntl
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from ci.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


def check(root: Path) -> AbstractContextManager[None]:
    """What every command that runs DVC or writes under artifacts/ holds."""
    return exclusive(root / ".trunkline" / "check.lock", "another `trunkline` command")


@contextmanager
def alone(path: Path, who: str) -> Iterator[None]:
    """Hold the lock at `path`. Raises EnvironmentFault where `who` holds it, since that may take for ever."""
    with _opened(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentFault(f"{who} runs in this repository; end it first.") from None
        yield


@contextmanager
def exclusive(path: Path, who: str) -> Iterator[None]:
    """Hold the lock at `path`, waiting with words while `who` holds it. The kernel frees it when a holder dies."""
    with _opened(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for {who} in this repository to end", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _opened(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w")
    except OSError as fault:
        raise EnvironmentFault(
            f"{path} could not be written: {fault.strerror}; the repository must be writable.", file=path
        ) from fault
