"""Real registries on localhost, with or without a login."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
import yaml

from tests.docker.programs import find, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = ("docker-registry", "registry")


@dataclass(frozen=True)
class Registry:
    """A registry that runs: its address, the folder it keeps things in and its log."""

    host: str
    folder: Path
    log: Path

    def blob(self, digest: str) -> Path:
        """The file in which it keeps what has this digest."""
        kind, _, name = digest.partition(":")
        return self.folder / "docker" / "registry" / "v2" / "blobs" / kind / name[:2] / name / "data"

    def asked(self, method: str, part: str) -> int:
        """How many requests with this method and this text in their path it has answered."""
        lines = self.log.read_text().splitlines()
        return sum(f'"{method} /v2/' in line and part in line for line in lines)


@contextmanager
def registry(place: Path, auth: dict[str, Any] | None = None) -> Iterator[Registry]:
    """A registry that runs until the block ends, with its things under `place`; `auth` as in its configuration."""
    program = find(*PROGRAMS, package="docker-registry")
    place.mkdir(parents=True, exist_ok=True)
    host, folder, log = f"127.0.0.1:{free_port()}", place / "data", place / "log"
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder)}},
        "http": {"addr": host},
    }
    if auth:
        settings["auth"] = auth
    (place / "config.yml").write_text(yaml.safe_dump(settings))
    with running([program, "serve", str(place / "config.yml")], log, lambda: _answers(host)):
        yield Registry(host, folder, log)


def _answers(host: str) -> bool:
    try:
        return requests.get(f"http://{host}/v2/", timeout=5).status_code in {200, 401}
    except requests.RequestException:
        return False
