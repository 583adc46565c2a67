"""`python -m ml.serve.log_writer`: rows from the server on stdin, files of Parquet to a folder or any fsspec URL.

The first line is a header, each other one a piece of a request. What it stored it says on stdout. While the store does
not answer it keeps what it has, tries again and, when its memory is full, reads no more: then the server drops.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

import orjson

from ml.serve import log_files
from ml.serve.log_files import Header
from ml.serve.log_store import Store, masked

if TYPE_CHECKING:
    from collections.abc import Sequence

READ = 2**18  # bytes
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # before the store is tried again
LAST_SECONDS = 20  # after the server is gone
log = logging.getLogger("ml.serve.log")


class Keeper:
    """Lines that wait for their file, and files that wait for their store."""

    def __init__(self, store: Store, header: Header, *, seconds: float, most_bytes: int, key: bytes) -> None:
        self._store, self._header, self._key = store, header, key
        self._seconds, self._most = seconds, most_bytes
        self._lines: list[bytes] = []
        self._files: deque[tuple[str, bytes, int]] = deque()
        self._held = 0
        self._due = self._again = float("inf")
        self._failed = 0
        self._name = f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
        self._number = 0

    @property
    def has_room(self) -> bool:
        """Whether it can hold more lines."""
        return self._held < self._most

    def wait(self) -> float | None:
        """Seconds until something is due; None where nothing is."""
        next_ = min(self._due, self._again)
        return None if next_ == float("inf") else max(0.0, next_ - time.monotonic())

    def take(self, lines: Sequence[bytes]) -> None:
        """Hold lines until they are due."""
        if lines and not self._lines:
            self._due = time.monotonic() + self._seconds
        self._lines += lines
        self._held += sum(map(len, lines))

    def work(self) -> None:
        """Store what is due, or is half of what may be held."""
        now = time.monotonic()
        if self._lines and (now >= self._due or self._held >= self._most / 2):
            self._pack()
        if self._files and (now >= self._again or not self._failed):
            self._put()

    def finish(self) -> None:
        """Store everything, or give up after the store failed twice."""
        self._pack()
        self._put()
        if self._files:
            time.sleep(PAUSES[0])
            self._put()
        if self._files:
            log.error("%d rows of the inference log are lost", sum(rows for _, _, rows in self._files))

    def _pack(self) -> None:
        self._held -= sum(map(len, self._lines))
        for hour, lines in sorted(log_files.by_hour(self._lines).items()):
            content = log_files.parquet(self._header, lines, self._key)
            self._number += 1
            path = log_files.path(self._header, hour, f"{self._name}-{self._number:06d}")
            self._files.append((path, content, sum(len(orjson.loads(line)[4]) for line in lines)))
            self._held += len(content)
        self._lines, self._due = [], float("inf")

    def _put(self) -> None:
        while self._files:
            path, content, rows = self._files[0]
            try:
                self._store.put(path, content)
            except Exception as error:  # noqa: BLE001 - each store has exceptions of its own
                self._again = time.monotonic() + PAUSES[min(self._failed, len(PAUSES) - 1)]
                if not self._failed:
                    said = masked(" ".join(str(error).split()))[:200]
                    words = "the inference log cannot be written to %s (%s: %s); it is tried again, requests go on"
                    log.warning(words, self._store.shown, type(error).__name__, said)
                self._failed += 1
                return
            self._files.popleft()
            self._held -= len(content)
            if self._failed:
                log.warning("the inference log is written to %s again", self._store.shown)
            self._failed, self._again = 0, float("inf")
            _say(f"stored {rows}")


class Lines:
    """Whole lines from a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def fileno(self) -> int:
        """For `select`."""
        return self._descriptor

    def read(self) -> list[bytes] | None:
        """What has come, once something has; None at the end, whatever was begun."""
        new = os.read(self._descriptor, READ)
        if not new:
            return None
        *whole, self._rest = (self._rest + new).split(b"\n")
        return whole


def main() -> int:
    """Store until stdin ends; 1 where nothing can be stored."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server says when it is time
    os.nice(5)  # requests come first
    lines = Lines(sys.stdin.fileno())
    first: list[bytes] = []
    while not first:
        if (read := lines.read()) is None:
            return 1
        first = read
    told: dict[str, Any] = orjson.loads(first[0])
    url, seconds, most = told.pop("url"), told.pop("seconds"), told.pop("most_bytes")
    threading.Thread(target=leave_after, args=(told.pop("server"), LAST_SECONDS), daemon=True).start()
    try:
        store = Store(url)
    except (ValueError, ImportError) as error:
        said = masked(" ".join(str(error).split())).rstrip(".")
        hint = "name a folder, or add what fsspec needs for it to ml/serve/requirements.in"
        _say(f"cannot SERVE_LOG is {masked(url)}, which nothing installed here can write to ({said}); {hint}")
        return 1
    key = os.environ.get("SERVE_LOG_KEY", "").encode()
    keeper = Keeper(store, Header(**told), seconds=seconds, most_bytes=most, key=key)
    _say("ready")
    keeper.take(first[1:])
    run(keeper, lines)
    return 0


def run(keeper: Keeper, lines: Lines) -> None:
    """Keep what comes, until nothing more does."""
    while True:
        sources = [lines] if keeper.has_room else []
        ready, _, _ = select.select(sources, [], [], keeper.wait())
        if ready:
            if (read := lines.read()) is None:
                break
            keeper.take(read)
        keeper.work()
    keeper.finish()


def leave_after(server: int, seconds: float) -> None:
    """End this process some time after its parent: nobody is left who would, where a store never answers."""
    while os.getppid() == server:
        time.sleep(1)
    time.sleep(seconds)
    os._exit(1)


def _say(words: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # the server is gone; what it logged is stored all the same
        print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
