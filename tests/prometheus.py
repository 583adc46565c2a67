"""A Prometheus of a test's own: with samples that are put into its store, or that it scrapes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ci.core.canary.counts import Series

NOTHING = "scrape_configs: []\n"


@contextmanager
def running(folder: Path, config: str = NOTHING, *, port: int | None = None) -> Iterator[str]:
    """Its address, while it runs on the store in `folder`."""
    require("prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(config)
    port = port or free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'store'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    url = f"http://127.0.0.1:{port}"
    with _served(command, url, folder / "log"):
        yield url


@contextmanager
def gateway(folder: Path) -> Iterator[str]:
    """The address of a Pushgateway, while it runs."""
    require("prometheus-pushgateway")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}"]
    with _served(command, url, folder / "pushgateway.log"):
        yield url


def store(folder: Path, series: Iterable[Series]) -> None:
    """Put samples of any time into the store in `folder`, before it is run."""
    require("promtool")
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for each in series:
        labels = ",".join(f'{name}="{value}"' for name, value in each.labels.items() if name != "__name__")
        head = f"{each.labels['__name__']}{{{labels}}}"
        lines += [f"{head} {value:.17g} {at:.3f}" for at, value in each.samples]
    (folder / "samples.txt").write_text("\n".join([*lines, "# EOF", ""]))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "samples.txt", "store"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def require(program: str) -> None:
    if shutil.which(program) is None:
        reason = f"{program} is not on the machine: apt-get install prometheus prometheus-pushgateway"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


@contextmanager
def _served(command: list[str], url: str, told: Path) -> Iterator[None]:
    """While it runs, from when it is ready."""
    with told.open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(url, process, told)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            if requests.get(f"{url}/-/ready", timeout=1).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    pytest.fail(f"Prometheus is not ready: {log.read_text()}")
