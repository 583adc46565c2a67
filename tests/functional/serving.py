"""A server of a model as a process of its own, as it runs in a container."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 60  # seconds until a test gives up; no test passes or fails by how long something took


class Served:
    """A running server and a client of it."""

    def __init__(self, folder: Path, port: int, **env: str) -> None:
        self.port = port
        self.log = folder / "log.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command(), env=environment(folder, port, **env), stderr=log, stdout=log)
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE)

    def wait(self) -> Served:
        """Until it is ready."""
        for _ in patiently():
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.http.get("/v2/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                continue
        return self

    def infer(self, name: str = "toy", **columns: tuple[str, list[Any]]) -> httpx.Response:
        """The answer to a request with these columns."""
        return self.http.post(f"/v2/models/{name}/infer", json=asking(**columns))

    def metric(self, name: str) -> float:
        """The value of a metric that has no labels beside model and version."""
        lines = self.http.get("/metrics").text.splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"trunkline_serve_{name}{{"))

    def process_metric(self, name: str) -> float:
        """The value of one of the process' own metrics."""
        lines = self.http.get("/metrics").text.splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"process_{name} "))

    def terminate(self) -> None:
        """SIGTERM, as Kubernetes and docker send it."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(PATIENCE)


@contextmanager
def served(folder: Path, **env: str) -> Iterator[Served]:
    """A server of the model in a folder; whatever the test does, it ends with it."""
    server = Served(folder, free_port(), **env)
    try:
        yield server.wait()
    finally:
        server.http.close()
        server.process.kill()
        server.process.wait()


def asking(**columns: tuple[str, list[Any]]) -> dict[str, Any]:
    """A request: datatype and data by column."""
    return {
        "inputs": [
            {"name": name, "shape": [len(data)], "datatype": datatype, "data": data}
            for name, (datatype, data) in columns.items()
        ]
    }


def command() -> list[str]:
    """What the image runs."""
    return [sys.executable, "-m", "ml.serve"]


def environment(folder: Path, port: int, **env: str) -> dict[str, str]:
    """The variables of a server."""
    return os.environ | {"MODEL_DIR": str(folder), "HOST": "127.0.0.1", "PORT": str(port), **env}


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def patiently() -> Iterator[None]:
    """Again and again, with a pause between, until patience ends."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        yield
        time.sleep(0.02)
    raise AssertionError(f"it did not come about in {PATIENCE} seconds")
