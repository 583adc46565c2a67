"""The inference log: what was asked and answered, on its way to a process that keeps it. No request waits for it.

A request leaves references in a bounded queue. A thread hands them on, as lines of JSON, to `ml.serve.log_writer`: it
makes Parquet and stores it, which here would hold Python's one lock for milliseconds at a time, felt by requests.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

import orjson

from ml.serve.errors import CannotStart, shown
from ml.serve.log_process import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ml.serve.model import Column, Columns, Record
    from ml.serve.settings import LogSettings

    Scores = list[float] | NDArray[np.float64]

SHARES = 2**64
OBJECT = 64  # bytes of an empty text, beside its characters, and of a queued request, beside its values
NUMBER = 8  # bytes
WIDEST = 4  # bytes of a character that a request may have sent in one
PIECE = 256  # rows that are written out at a time, with Python's lock held
AT_ONCE = 8  # requests likewise
IDLE = 0.05  # seconds
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)  # before a writer that died is started again
log = logging.getLogger("ml.serve")


class Asked(Protocol):
    """A request, as the log takes it."""

    @property
    def id(self) -> str:
        """What it is known by."""
        ...

    @property
    def columns(self) -> Columns:
        """Its features, [n] each; asked for where it is among the sample."""
        ...


class _Kept(NamedTuple):
    request_id: str
    received: float
    columns: Columns
    scores: Scores
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
        self._row = sum(OBJECT if column.datatype == "BYTES" else NUMBER for column in columns.values())
        self._written = self._lost = 0  # rows; only the thread adds to them, and `close` once that has ended
        self._refused = 0  # likewise, only `offer`
        self._queue: deque[_Kept] = deque()
        self._taken_in = 0  # bytes, ever; only `offer` writes it
        self._handed_on = 0  # likewise, only the thread
        self._failed = 0  # writers, since one stored something
        self._end = threading.Event()
        header = {
            "server": os.getpid(),
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
        self._writer = Writer(self._header)
        self._thread = threading.Thread(target=self._run, name="inference log", daemon=True)

    def start(self) -> None:
        """Begin to take requests. Raises CannotStart where nothing here can write to such a place."""
        if words := self._writer.refusal():
            raise CannotStart(words)
        self._thread.start()

    def offer(self, asked: Asked, scores: Scores, received: float, size: int) -> None:
        """Take a request of `size` bytes, unless it is none of the sample. From one thread only.

        Nobody writes to its columns or to its scores [n] any more; `received` is in seconds since 1970. Beyond the
        memory granted, its rows are counted as dropped.
        """
        if not is_sampled(asked.id, self._share):
            return
        rows = len(scores)
        size = OBJECT + WIDEST * size + self._row * rows
        if self._taken_in - self._handed_on + size > self._most:
            self._refused += rows
            return
        self._taken_in += size
        self._queue.append(_Kept(asked.id, received, asked.columns, scores, size))

    def counts(self) -> tuple[int, int]:
        """How many rows were stored, and how many never will be."""
        return self._written, self._refused + self._lost

    def close(self, seconds: float) -> None:
        """Hand on what is queued and let it be stored, for that long at most; what is not is counted as dropped."""
        until = time.monotonic() + seconds
        self._end.set()
        self._thread.join(seconds)
        if self._thread.is_alive():  # it waits for a writer that waits for its store
            self._writer.kill()
            self._thread.join()
        self._ended(max(0.1, until - time.monotonic()))
        while self._queue:
            self._lost += len(self._queue.popleft().scores)

    def _run(self) -> None:
        while self._queue or not self._end.is_set():
            some = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
            if some:
                lines = b"".join(map(_lines, some))
                try:
                    self._writer.send(lines, sum(len(asked.scores) for asked in some))
                except OSError:
                    self._ended(0.1)
                    if not self._restarted():
                        return
                self._handed_on += sum(asked.size for asked in some)
            else:
                self._end.wait(IDLE)
            self._hear()

    def _hear(self) -> None:
        if stored := self._writer.stored():
            self._written += stored
            self._failed = 0

    def _ended(self, seconds: float) -> None:
        """End the writer, and count what it did and did not store."""
        lost = self._writer.end(seconds)
        self._hear()
        self._lost += lost

    def _restarted(self) -> bool:
        """Start another writer, sooner or later; False where the server ends before that."""
        log.error("the inference log's writer ended; requests are served on, and it is started again")
        while not self._end.wait(PAUSES[min(self._failed, len(PAUSES) - 1)]):
            self._failed += 1
            try:
                self._writer = Writer(self._header)
            except OSError:
                continue
            return True
        return False


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


def _lines(kept: _Kept) -> bytes:
    """One line of JSON for each piece of a request: id, first row, time, columns as the model has them, scores."""
    lines = []
    for first in range(0, len(kept.scores), PIECE):
        columns = kept.columns.lists(first, first + PIECE)
        piece = [kept.request_id, first, kept.received, columns, kept.scores[first : first + PIECE]]
        lines.append(orjson.dumps(piece, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
    return b"".join(lines)
