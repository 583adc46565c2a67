"""Programs that a test starts and ends, and what to do where one is missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 60.0  # seconds a program may take until it answers


def missing(words: str) -> NoReturn:
    """End the test: skipped with how to get what it needs, or failed in CI, where nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)


def find(*names: str, package: str) -> str:
    """The first of these programs that there is."""
    places = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    for name in names:
        if path := shutil.which(name, path=places):
            return path
    missing(f"{names[0]} is not installed; get it with `apt-get install {package}`")


def free_port() -> int:
    """A port on localhost that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(args: list[str], log: Path, answers: Callable[[], bool]) -> Iterator[None]:
    """A program that runs until the block ends, once it answers."""
    program = start(args, log, answers)
    try:
        yield
    finally:
        end(program)


def start(args: list[str], log: Path, answers: Callable[[], bool]) -> subprocess.Popen[bytes]:
    """Start a program, and wait until it answers."""
    with log.open("w") as out:
        program = subprocess.Popen(args, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE
        while not answers():
            told = log.read_text()[-2000:]
            assert program.poll() is None, f"{args[0]} ended:\n{told}"
            assert time.monotonic() < until, f"{args[0]} does not answer:\n{told}"
            time.sleep(0.1)
    except BaseException:
        end(program)
        raise
    return program


def end(program: subprocess.Popen[bytes]) -> None:
    """End a program, and wait for it."""
    program.terminate()
    try:
        program.wait(30)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()
