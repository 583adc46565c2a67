"""The process that stores the inference log, as the server knows it: fed on its stdin, heard on its stdout."""

from __future__ import annotations

import subprocess
import sys
import threading


class Writer:
    """The process that stores, and the rows that it was sent and has not stored."""

    def __init__(self, header: bytes) -> None:
        """Start it. Raises OSError where that cannot be."""
        command = [sys.executable, "-m", "ml.serve.log_writer"]
        # In a session of its own: what a terminal or a supervisor tells the server's group, the server passes on.
        # Unbuffered, since a buffer's lock would keep others waiting on whoever waits for a full pipe.
        self._process = subprocess.Popen(
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdin is not None  # noqa: S101 - mypy cannot know
        assert self._process.stdout is not None  # noqa: S101 - as above
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._lock = threading.Lock()
        self._sent = self._stored = self._told = 0
        self._ready = threading.Event()
        self._words = ""
        self._ears = threading.Thread(target=self._listen, name="inference log's answers", daemon=True)
        self._ears.start()
        self._write(header)

    def refusal(self) -> str:
        """Why it cannot store anything, once it knows; empty where it can."""
        self._ready.wait()
        return self._words

    def send(self, lines: bytes, rows: int) -> None:
        """Hand rows on; waits while it is busy. Raises OSError when it is gone."""
        self._sent += rows
        self._write(lines)

    def stored(self) -> int:
        """How many rows it stored since this was last asked."""
        with self._lock:
            new, self._told = self._stored - self._told, self._stored
        return new

    def end(self, seconds: float) -> int:
        """Let it store what it has, and end it after so many seconds.

        How many rows it was sent and did not store, told once.
        """
        self._stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._ears.join()
        lost, self._sent = self._sent - self._stored, self._stored
        return lost

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def _write(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[self._stdin.write(rest) :]

    def _listen(self) -> None:
        for line in self._stdout:
            word, _, rest = line.decode().strip().partition(" ")
            if word == "stored":
                with self._lock:
                    self._stored += int(rest)
            elif word == "cannot":
                self._words = rest
            self._ready.set()
        if not self._ready.is_set():
            self._words = "the inference log's writer ended at its start; its last lines above say why"
        self._ready.set()
