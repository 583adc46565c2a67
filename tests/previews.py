"""`trunkline preview` as a process of its own, for as long as a test needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from ci.core.preview.shown import Shown, ShownPod
from tests.project import BIN, IDENTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.project import Project

PATIENCE = 90.0  # seconds until a test gives up
FILE = ".trunkline/preview/preview.json"


def quick(seconds: int) -> str:
    """What an overlay says to be scraped every second, and to wait for so many before a pod ends."""
    return f"""\
patches:
  - target: {{kind: ServiceMonitor}}
    patch: |
      - {{op: replace, path: /spec/endpoints/0/interval, value: 1s}}
  - target: {{kind: Deployment}}
    patch: |
      - {{op: replace, path: /spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds, value: {seconds}}}
"""


@dataclass(frozen=True)
class Preview:
    """A preview that runs: its process, its checkout and what it has said."""

    process: subprocess.Popen[bytes]
    root: Path
    log: Path

    @property
    def shown(self) -> Shown:
        """What it runs now."""
        return Shown.model_validate_json((self.root / FILE).read_bytes())

    @property
    def said(self) -> str:
        """All that it has printed."""
        return self.log.read_text()

    def pods(self, track: str) -> list[ShownPod]:
        """The pods of a track."""
        return [pod for pod in self.shown.pods if pod.track == track]

    def until(self, holds: Callable[[Preview], bool]) -> None:
        """Wait until something holds; fails with what the preview has said."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert self.process.poll() is None, self.said
            if (self.root / FILE).exists() and holds(self):
                return
            time.sleep(0.05)
        raise AssertionError(self.said)

    def said_so(self, words: str, times: int = 1) -> None:
        """Wait until it has said something that often."""
        self.until(lambda one: one.said.count(words) >= times)

    def requests(self) -> dict[str, float]:
        """Requests that Traefik has sent on, by service."""
        text = requests.get(f"http://{self.shown.traefik}/metrics", timeout=10).text
        found: dict[str, float] = {}
        for line in text.splitlines():
            if line.startswith("traefik_service_requests_total{"):
                service = line.partition('service="')[2].partition("@")[0]
                found[service] = found.get(service, 0.0) + float(line.rpartition(" ")[2])
        return found


@contextmanager
def preview(project: Project, *args: str, outside: Mapping[str, str]) -> Iterator[Preview]:
    """Start one and wait for its table; `outside` names docker. It ends in order, whatever the test does."""
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    env |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200", **IDENTITY, **outside}
    log = project.root.parent / f"{project.root.name}-preview.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["trunkline", "preview", *args],
            cwd=project.root,
            env=env,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            executable=str(BIN / "trunkline"),
        )
    made = Preview(process, project.root, log)
    try:
        made.said_so("models answer at")
        yield made
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
    assert code in {0, -signal.SIGKILL}, made.said
    assert "Traceback" not in made.said, made.said
