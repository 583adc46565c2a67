"""Programs that run beside a command until it ends them; what a killed command left is found by the next one.

Each holds a lock for as long as it lives, on the file that names its process. So a file whose lock is held names a
process that is still the one that was started, and a number that another process got since is never mistaken for it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ci.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMED = 'echo $$ > "$0"; exec "$@"'
"""Writes its own number, then becomes the program: a command that is killed between the two is no gap."""
PATIENCE = 10.0  # seconds between SIGTERM and SIGKILL for what is left over
TAIL = 4096  # bytes of a log that are read for its last words


class Program:
    """A program that runs, in a session of its own: Ctrl-C reaches the command alone."""

    def __init__(self, name: str, args: Sequence[str], place: Path, *, env: Mapping[str, str], cwd: Path) -> None:
        """Start it; its files are `place`/<name>.pid and .log. Raises EnvironmentFault where it cannot be started."""
        self.name = name
        self.log = place / f"{name}.log"
        place.mkdir(parents=True, exist_ok=True)
        with (place / f"{name}.pid").open("w") as held, self.log.open("ab") as log:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", NAMED, held.name, *args],
                    cwd=cwd,
                    env=dict(env),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(held.fileno(),),
                    start_new_session=True,
                )
            except OSError as fault:
                raise EnvironmentFault(f"{name} could not be started: {fault.strerror}.") from fault

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ended(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended does not mind."""
        self._process.send_signal(number)

    def last_words(self) -> str:
        """The last line that it wrote."""
        return last_line(self.log)

    def end(self, patience: float = PATIENCE) -> None:
        """SIGTERM, and SIGKILL for it and what it started when `patience` seconds are over."""
        self._process.terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            _kill(self.pid, signal.SIGKILL)
            self._process.wait()


def end_leftovers(place: Path) -> list[str]:
    """End what an earlier, killed command started with files in `place`; gives the names."""
    with ExitStack() as stack:
        held = {path: stack.enter_context(path.open()) for path in sorted(place.glob("*.pid"))}
        found = [path for path, handle in held.items() if not _free(handle.fileno(), 0)]
        for _ in range(2):  # the second tells a server that nobody sends to it any more
            for path in found:
                _kill(_number(path), signal.SIGTERM)
        for path in found:
            if not _free(held[path].fileno(), PATIENCE):
                _kill(_number(path), signal.SIGKILL)
                _free(held[path].fileno(), PATIENCE)
        for path in held:
            path.unlink(missing_ok=True)
    return [path.stem for path in found]


def free_port(wanted: int | None = None) -> int:
    """A port of this machine that nobody listens on, `wanted` where that is free and not None."""
    for port in (wanted, 0) if wanted else (0,):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found: int = probe.getsockname()[1]
            return found
    raise EnvironmentFault("this machine has no free port.")


def last_line(log: Path) -> str:
    """The last line of a file that says anything."""
    with suppress(OSError), log.open("rb") as content:
        content.seek(max(0, log.stat().st_size - TAIL))
        lines = [line.strip() for line in content.read().decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")
    return ""


def _free(descriptor: int, seconds: float) -> bool:
    """Whether nobody holds the lock, now or within `seconds`."""
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        else:
            return True


def _number(path: Path) -> int:
    """The process that a file names. It writes that first of all, so a moment later it is there."""
    for _ in range(20):
        if text := path.read_text().strip():
            return int(text)
        time.sleep(0.05)
    raise EnvironmentFault(f"{path} names no process, but one holds it; `fuser {path}` tells which: end it.", file=path)


def _kill(pid: int, number: signal.Signals) -> None:
    """To the program and all in its session's group."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
