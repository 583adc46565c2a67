"""What is made once for all workers of a run: the first that asks makes it, the others wait."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest


def folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder that all workers of this run have in common."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """What one worker does at a time; the kernel frees the lock of one that dies."""
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A path at which `make` was called once in this run, and came to its end. Not to be changed: others read it."""
    path = folder(factory) / "shared" / name
    path.parent.mkdir(exist_ok=True)
    done = path.with_name(f"{name}.made")
    with alone(path.with_name(f"{name}.lock")):
        if not done.exists():
            shutil.rmtree(path, ignore_errors=True)  # what a worker that failed left
            make(path)
            done.touch()
    return path
