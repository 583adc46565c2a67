"""The inference log: what was asked and answered, on its way to a process that keeps it. No request waits for it.

A request leaves references in a bounded queue. A thread hands them on, as lines of JSON, to `ml.serve.log_writer`: it
makes Parquet and stores it, which here would hold Python's one lock for milliseconds at a time, felt by requests.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from ml.serve.errors import CannotStart, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ml.serve.model import Column, Record
    from ml.serve.settings import LogSettings

SHARES = 2**64
OBJECT = 64  # bytes of an empty text, beside its characters, and of a queued request, beside its values
NUMBER = 8  # bytes
WIDEST = 4  # bytes of a character that a request may have sent in one
PIECE = 256  # rows that are written out at a time, with Python's lock held
AT_ONCE = 8  # requests likewise
IDLE = 0.05  # seconds
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)  # before a writer that died is started again
log = logging.getLogger("ml.serve")


class _Asked(NamedTuple):
    request_id: str
    received: float
    columns: Mapping[str, NDArray[Any]]
    scores: NDArray[Any]
    size: int


def is_sampled(request_id: str, share: float) -> bool:
    """Whether a request is among a share of all: the same wherever and whenever it is asked.

    It is where the first 8 bytes of BLAKE2b over its id, as a number, are below that share of 2^64.
    """
    if share >= 1:
        return True
    digest = hashlib.blake2b(request_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * SHARES


class Inferences:
    """The log of one server."""

    def __init__(self, settings: LogSettings, record: Record, columns: Mapping[str, Column]) -> None:
        require_loggable(record, columns, settings)
        self._share, self._most = settings.share, settings.most_bytes
        self._names = list(columns)
        self._row = sum(OBJECT if column.datatype == "BYTES" else NUMBER for column in columns.values())
        self._written = self._lost = 0  # rows; only the thread adds to them, and `close` once that has ended
        self._refused = 0  # likewise, only `offer`
        self._queue: deque[_Asked] = deque()
        self._taken_in = 0  # bytes, ever; only `offer` writes it
        self._handed_on = 0  # likewise, only the thread
        self._closing = False
        header = {
            "url": settings.url,
            "seconds": settings.seconds,
            "most_bytes": settings.most_bytes,
            "model": record.model,
            "model_hash": record.model_hash,
            "version": record.version,
            "track": settings.track,
            "columns": {name: column.datatype for name, column in columns.items()},
            "sensitive": dict(record.sensitive),
        }
        self._header = orjson.dumps(header) + b"\n"
        self._writer = _Writer(self._header)
        self._thread = threading.Thread(target=self._run, name="inference log", daemon=True)

    def start(self) -> None:
        """Begin to take requests. Raises CannotStart where nothing here can write to such a place."""
        if words := self._writer.refusal():
            raise CannotStart(words)
        self._thread.start()

    def offer(
        self, request_id: str, columns: Mapping[str, NDArray[Any]], scores: NDArray[Any], received: float, size: int
    ) -> None:
        """Take a request of `size` bytes, unless it is none of the sample. From one thread only.

        Columns and scores are arrays [n] that nobody writes to any more; `received` is in seconds since 1970. Beyond
        the memory granted, its rows are counted as dropped.
        """
        if not is_sampled(request_id, self._share):
            return
        rows = len(scores)
        size = OBJECT + WIDEST * size + self._row * rows
        if self._taken_in - self._handed_on + size > self._most:
            self._refused += rows
            return
        self._taken_in += size
        self._queue.append(_Asked(request_id, received, columns, scores, size))

    def counts(self) -> tuple[int, int]:
        """How many rows were stored, and how many never will be."""
        return self._written, self._refused + self._lost

    def close(self, seconds: float) -> None:
        """Hand on what is queued and let it be stored, for that long at most; what is not is counted as dropped."""
        until = time.monotonic() + seconds
        self._closing = True
        self._thread.join(seconds)
        if self._thread.is_alive():  # it waits for a writer that waits for its store
            self._writer.kill()
            self._thread.join()
        self._forget(self._writer.end(max(0.1, until - time.monotonic())))
        while self._queue:
            self._lost += len(self._queue.popleft().scores)

    def _run(self) -> None:
        failed = 0
        while True:
            some = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
            if not some and self._closing:
                return
            if some:
                try:
                    lines = b"".join(_lines(asked, self._names) for asked in some)
                    self._writer.send(lines, sum(len(asked.scores) for asked in some))
                    failed = 0
                except OSError:
                    if self._closing:
                        return
                    self._restart(failed)
                    failed += 1
                self._handed_on += sum(asked.size for asked in some)
            else:
                time.sleep(IDLE)
            self._hear()

    def _hear(self) -> None:
        self._written += self._writer.stored()

    def _restart(self, failed: int) -> None:
        self._forget(self._writer.end(0.1))
        log.error("the inference log's writer ended; requests are served on, and it is started again")
        time.sleep(PAUSES[min(failed, len(PAUSES) - 1)])
        self._writer = _Writer(self._header)

    def _forget(self, outstanding: int) -> None:
        self._hear()
        self._lost += outstanding


class _Writer:
    """The process that stores, and the rows that it was sent and has not stored."""

    def __init__(self, header: bytes) -> None:
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
        """Let it store what it has, and end it after so many seconds. How many rows it was sent and did not store."""
        self._stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._ears.join()
        return self._sent - self._stored

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


def require_loggable(record: Record, columns: Mapping[str, Column], settings: LogSettings) -> None:
    """Raise CannotStart where a sensitive column is none of the model's, or is to be hashed without a key."""
    for name, how in record.sensitive.items():
        if name not in columns:
            raise CannotStart(
                f"serving.json marks {shown(name)} as sensitive, which is no feature of the model: a feature of "
                f"another name would be logged as it is; correct `serving.sensitive` in the model's params.yaml"
            )
        if how == "hash" and not settings.has_key:
            raise CannotStart(
                f"SERVE_LOG is set and '{name}' is to be hashed, but SERVE_LOG_KEY is not there; set it to a secret "
                "of at least 32 characters, or mark the column to be dropped"
            )


def _lines(asked: _Asked, names: Sequence[str]) -> bytes:
    """One line of JSON for each piece of a request: id, first row, time, columns in the order of names, scores."""
    lines = []
    arrays = [asked.columns[name] for name in names]
    for first in range(0, len(asked.scores), PIECE):
        columns = [_plain(array[first : first + PIECE]) for array in arrays]
        piece = [asked.request_id, first, asked.received, columns, _plain(asked.scores[first : first + PIECE])]
        lines.append(orjson.dumps(piece, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
    return b"".join(lines)


def _plain(array: NDArray[Any]) -> Any:
    return array if array.flags.c_contiguous and array.dtype != object else array.tolist()
