"""The docker daemon there is, else one of the tests' own."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docker.programs import find, missing, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

PACKAGES = "docker.io iptables"


def answers(host: str | None) -> bool:
    """Whether a daemon answers at `host`, by default where the surroundings say."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.DockerClient(base_url=host) if host else docker.from_env()
        _ping(client)
    except (DockerException, OSError):
        return False
    return True


def _ping(client: DockerClient) -> None:
    """Ping and close."""
    try:
        client.ping()
    finally:
        client.close()


@contextmanager
def daemon() -> Iterator[str]:
    """What DOCKER_HOST has to be: as it is where a daemon answers, else of one that runs until the block ends."""
    if answers(None):
        yield os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        return
    program = find("dockerd", package=PACKAGES)
    if os.geteuid() != 0:
        missing("dockerd needs root; start a daemon and name it with DOCKER_HOST")
    # Not pytest's own folder: the path of a socket may have 107 characters.
    home = Path(tempfile.mkdtemp(prefix="trunkline-docker-"))
    host = f"unix://{home}/sock"
    args = [program, "--data-root", f"{home}/data", "--exec-root", f"{home}/exec", "--pidfile", f"{home}/pid"]
    try:
        with running([*args, "--host", host], home / "log", lambda: answers(host)):
            yield host
    finally:
        shutil.rmtree(home, ignore_errors=True)
