"""Files parted over processes, or over a Ray cluster: the same result with any number of them."""

from __future__ import annotations

import multiprocessing
import socket
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ml.errors import ENVIRONMENT, StageError
from ml.stages.processes import end_with_launcher
from ml.windows import log
from ml.windows.part import Part, together
from ml.windows.store import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ml.windows.labels import Labels
    from ml.windows.task import Task

PATIENCE = 10.0  # seconds for a connection to a Ray cluster
MOST = 32  # files at a time, so that no process is left with all of the work


def read(task: Task, url: str, labels: Labels | None, *, workers: int = 1, ray: str | None = None) -> Part:
    """The part of all files of the log that the window looks at. Raises StageError as `log.files` does."""
    paths = log.files(url, task)
    if ray is not None:
        return together(_on_ray(task, url, _chunks(paths, workers), labels, ray), task.empty())
    if workers > 1 and len(paths) > 1:
        return together(_in_processes(task, url, _chunks(paths, workers), labels, workers), task.empty())
    return log.read(task, url, paths, labels)


def _chunks(paths: Sequence[str], workers: int) -> list[Sequence[str]]:
    size = max(1, min(MOST, len(paths) // (4 * workers)))
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def _in_processes(
    task: Task, url: str, chunks: Sequence[Sequence[str]], labels: Labels | None, workers: int
) -> Iterator[Part]:
    with tempfile.TemporaryDirectory() as folder:
        shared = None if labels is None else labels.keep(Path(folder))
        context = multiprocessing.get_context("spawn")  # polars' threads do not survive a fork
        # A worker whose pool was killed would wait for work for ever.
        pool = ProcessPoolExecutor(min(workers, len(chunks)), mp_context=context, initializer=end_with_launcher)
        with pool:
            yield from pool.map(partial(_of, task, url, shared), chunks)


def _of(task: Task, url: str, labels: Labels | Path | None, paths: Sequence[str]) -> Part:
    return log.read(task, url, paths, labels)


def _on_ray(
    task: Task, url: str, chunks: Sequence[Sequence[str]], labels: Labels | None, address: str
) -> Iterator[Part]:
    """On a cluster whose machines have this code and reach the log; `local` starts one here."""
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        words = "Ray is not installed; install the extra: pip install 'trunkline[cluster]', or leave --ray out"
        raise StageError(words, exit_code=ENVIRONMENT) from error
    cluster: Any = ray
    try:
        _require_answer(address)
        cluster.init(address=address, log_to_driver=False, include_dashboard=False if address == "local" else None)
    except Exception as error:
        words = f"no Ray cluster answers at {address}: {line(error)}; start one, or correct its address"
        raise StageError(words, exit_code=ENVIRONMENT) from error
    try:
        work, shared = cluster.remote(_of), cluster.put(labels)
        for running in [work.remote(task, url, shared, chunk) for chunk in chunks]:
            yield cluster.get(running)
    finally:
        cluster.shutdown()


def _require_answer(address: str) -> None:
    """Raise OSError or ValueError where nobody listens at HOST:PORT, whom Ray would go on asking for many minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE).close()
