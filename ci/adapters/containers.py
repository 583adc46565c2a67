"""Pods as docker containers, as locked down as their manifests say."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ci.adapters import docker, registry
from ci.core.image import reference

if TYPE_CHECKING:
    import signal
    from pathlib import Path

    from docker import DockerClient

    from ci.core.preview.pods import Wanted

LABEL = "dev.trunkline.preview"
"""The checkout whose preview a container is of."""
FRESH = 0.25  # seconds for which the daemon's list of containers is good enough
UNKNOWN = -1  # the exit code of a container that somebody took away


class Containers:
    """Runs pods on a docker daemon; `home` is the registry's host that params.yaml names."""

    words = "docker containers"

    def __init__(self, client: DockerClient, root: Path, home: str) -> None:
        self._client = client
        self._mark = f"{LABEL}={root.resolve()}"
        self._home = home
        self._lock = threading.Lock()
        self._listed: dict[str, str] = {}
        self._until = 0.0

    def start(self, name: str, wanted: Wanted, port: int) -> _Container:
        """See Runner."""
        host = reference.parse(wanted.image).host
        docker.pull(self._client, wanted.image, registry.login(host, home=self._home), lambda _: None)
        key, _, value = self._mark.partition("=")
        with docker.told(f"start {name}"):
            made = self._client.containers.create(
                wanted.image,
                name=f"trunkline-preview-{name}",
                entrypoint=list(wanted.command) or None,
                command=list(wanted.args) or None,
                environment=dict(wanted.env),
                labels={**wanted.labels, key: value},
                ports={f"{wanted.port}/tcp": ("127.0.0.1", port)},
                user=wanted.user or "",
                read_only=wanted.read_only,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                tmpfs=dict.fromkeys(wanted.writable, "rw,noexec,mode=1777"),
                **({"mem_limit": wanted.memory} if wanted.memory else {}),
            )
            pod = _Container(made, self)
            try:
                pod.again()
            except BaseException:
                pod.remove()
                raise
        return pod

    def end_leftovers(self) -> int:
        """See Runner."""
        with docker.told("look for containers of an earlier preview"):
            left = self._client.containers.list(all=True, filters={"label": self._mark})
            for one in left:
                one.remove(force=True)
        return len(left)

    def state_of(self, container: str) -> str:
        """`running`, `exited`, ...; empty where the daemon does not have it. Asks at most every FRESH seconds."""
        with self._lock:
            if time.monotonic() >= self._until:
                with docker.told("look at the containers"):
                    found = self._client.api.containers(all=True, filters={"label": self._mark})
                self._listed = {str(one["Id"]): str(one["State"]) for one in found}
                self._until = time.monotonic() + FRESH
            return self._listed.get(container, "")

    def forget(self) -> None:
        """Ask again at the next question."""
        with self._lock:
            self._until = 0.0


class _Container:
    """See Pod."""

    def __init__(self, container: Any, among: Containers) -> None:
        self._container = container
        self._among = among

    @property
    def id(self) -> str:
        """See Pod."""
        return str(self._container.id)[:12]

    def ended(self) -> int | None:
        """See Pod."""
        state = self._among.state_of(str(self._container.id))
        if state in {"running", "created", "restarting"}:
            return None
        if not state:
            return UNKNOWN
        with docker.told("look at a container"):
            self._container.reload()
            return int(self._container.attrs["State"]["ExitCode"])

    def again(self) -> None:
        """See Pod."""
        with docker.told("start a container"):
            self._container.start()
        self._among.forget()

    def signal(self, number: signal.Signals) -> None:
        """See Pod."""
        from docker.errors import APIError  # noqa: PLC0415 - only where docker is

        with docker.told("signal a container"):
            try:
                self._container.kill(signal=int(number))
            except APIError as fault:
                if fault.status_code not in {404, 409}:  # gone, or not running
                    raise

    def last_words(self) -> str:
        """See Pod."""
        with docker.told("read a container's log"):
            lines = self._container.logs(tail=5).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def remove(self) -> None:
        """See Pod."""
        from docker.errors import NotFound  # noqa: PLC0415 - as above

        with docker.told("remove a container"), suppress(NotFound):
            self._container.remove(force=True)
