"""The docker daemon there is, else one of the tests' own."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests import shared
from tests.docker.programs import PATIENCE, find, missing, start

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
def daemon(place: Path) -> Iterator[str]:
    """What DOCKER_HOST has to be: as it is where a daemon answers, else of one that all workers of this run share.

    The first of them starts it, the last one ends it: each holds a lock in `place` that the kernel frees if it dies.
    """
    if answers(None):
        yield os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        return
    told = place / "docker.home"
    with (place / "docker.users").open("a") as users:
        with shared.alone(place / "docker.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not told.exists():
                told.write_text(str(_started()))
            home = Path(told.read_text())
        try:
            yield f"unix://{home}/sock"
        finally:
            with shared.alone(place / "docker.lock"), suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                told.unlink()
                _end(home)


def _started() -> Path:
    """The folder of a daemon that was started; its socket and its number are there."""
    program = find("dockerd", package=PACKAGES)
    if os.geteuid() != 0:
        missing("dockerd needs root; start a daemon and name it with DOCKER_HOST")
    # Not pytest's own folder: the path of a socket may have 107 characters.
    home = Path(tempfile.mkdtemp(prefix="trunkline-docker-"))
    args = [program, "--data-root", f"{home}/data", "--exec-root", f"{home}/exec", "--pidfile", f"{home}/pid"]
    try:
        start([*args, "--host", f"unix://{home}/sock"], home / "log", lambda: answers(f"unix://{home}/sock"))
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    return home


def _end(home: Path) -> None:
    """End the daemon of a folder, which takes its number away as the last thing it does.

    Its images are tens of thousands of files; nobody waits for them to be gone.
    """
    number = home / "pid"
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(number.read_text()), signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while number.exists() and time.monotonic() < until:
        time.sleep(0.1)
    subprocess.Popen(["rm", "-rf", home], start_new_session=True)
