"""Pods as processes, where docker is missing: the server and model of an image, run by this machine's Python."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import unpacked
from ci.adapters.programs import Program, end_leftovers
from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    import signal

    from ci.adapters.unpacked import Unpacked
    from ci.core.preview.pods import Wanted

PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")
"""Of the surroundings, as a container has them of its own."""


class Processes:
    """Runs pods as processes, with files under `place`; `home` is the registry's host that params.yaml names."""

    words = "processes, without docker's isolation"

    def __init__(self, place: Path, home: str) -> None:
        self._place = place
        self._home = home
        self._fetching = threading.Lock()

    def start(self, name: str, wanted: Wanted, port: int) -> _Process:
        """See Runner."""
        with self._fetching:
            image = unpacked.fetch(wanted.image, self._place / "images", home=self._home)
        return _Process(name, wanted, port, image, self._place / "pods")

    def end_leftovers(self) -> int:
        """See Runner."""
        left = len(end_leftovers(self._place / "pods"))
        shutil.rmtree(self._place / "pods", ignore_errors=True)
        return left


class _Process:
    """See Pod."""

    def __init__(self, name: str, wanted: Wanted, port: int, image: Unpacked, place: Path) -> None:
        self._name = name
        self._place = place
        self._image = image
        self._args = _command(wanted, image)
        self._home = place / name
        self._home.mkdir(parents=True, exist_ok=True)
        own = {"HOME": str(self._home), "TMPDIR": str(self._home), "HOST": "127.0.0.1", "PORT": str(port)}
        passed = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        self._env = {**image.env, **passed, **wanted.env, **own}
        self.again()

    @property
    def id(self) -> str:
        """See Pod."""
        return str(self._program.pid)

    def ended(self) -> int | None:
        """See Pod."""
        return self._program.ended()

    def again(self) -> None:
        """See Pod."""
        self._program = Program(self._name, self._args, self._place, env=self._env, cwd=self._image.workdir)

    def signal(self, number: signal.Signals) -> None:
        """See Pod."""
        self._program.signal(number)

    def last_words(self) -> str:
        """See Pod."""
        return self._program.last_words()

    def remove(self) -> None:
        """See Pod."""
        self._program.end(0)
        (self._place / f"{self._name}.pid").unlink(missing_ok=True)
        shutil.rmtree(self._home, ignore_errors=True)


def _command(wanted: Wanted, image: Unpacked) -> list[str]:
    """What the container would run, by this Python; of its own packages it sees none, only the image's."""
    first, *rest = (*(wanted.command or image.entrypoint), *(wanted.args or (() if wanted.command else image.cmd)))
    if not Path(first).name.startswith("python"):
        raise ConfigurationError(
            f"{wanted.owner}: its container runs {first}, and a preview without docker runs Python alone."
        )
    return [sys.executable, "-S", *rest]
