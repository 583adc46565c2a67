"""The door to the program `prometheus`: started on one machine, with a preview's pods as its targets."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import yaml

from ci.adapters import files
from ci.adapters.programs import Program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HINT = "`prometheus` is not installed, so nothing is scraped; `apt-get install prometheus` or its releases have it"
KEPT = "2d"


def program() -> str | None:
    """The Prometheus on PATH."""
    return shutil.which("prometheus")


class Scraper:
    """A Prometheus at 127.0.0.1:`port` with its files under `place`; what it scraped is kept for the next start."""

    def __init__(self, found: str, place: Path, port: int) -> None:
        self._found = found
        self._place = place
        self._port = port
        self._said: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def targets(self) -> Path:
        """The folder of its targets."""
        return self._place / "targets"

    @property
    def alerts(self) -> Path:
        """The file of its alerts."""
        return self._place / "alerts.yml"

    def start(self) -> Program:
        """Start it by the files that were written."""
        args = [
            self._found,
            f"--config.file={self._place / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._place / 'data'}",
            f"--storage.tsdb.retention.time={KEPT}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
        ]
        return Program("prometheus", args, self._place, env=os.environ, cwd=self._place)

    def write(self, configuration: Mapping[str, Any], alerts: Mapping[str, Any], running: Program | None) -> None:
        """Give it other jobs and alerts; it reads those again when it is told to."""
        if not self._said:
            shutil.rmtree(self.targets, ignore_errors=True)  # of an earlier preview
            self.targets.mkdir(parents=True)  # a folder that is not there is never watched
        told = [
            self._changed("prometheus.yml", yaml.safe_dump(configuration, sort_keys=False)),
            self._changed("alerts.yml", yaml.safe_dump(alerts, sort_keys=False)),
        ]
        if any(told) and running is not None:
            running.signal(signal.SIGHUP)

    def aim(self, targets: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Give each job its targets, which it sees by itself."""
        for job, groups in targets.items():
            self._changed(f"targets/{job}.json", json.dumps(groups, indent=1))

    def _changed(self, name: str, text: str) -> bool:
        if self._said.get(name) == text:
            return False
        files.write_text(self._place / name, text)
        self._said[name] = text
        return True
