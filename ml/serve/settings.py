"""What the environment says of the server: where its model is, where it listens and how much it takes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml.serve.errors import CannotStart, shown

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """Variables of the environment, checked."""

    folder: Path
    host: str
    port: int
    threads: int
    queue: int
    grace_seconds: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Read from variables. Raises CannotStart on a number that is none or out of range."""
        return cls(
            folder=Path(environment.get("MODEL_DIR") or "/app/model"),
            host=environment.get("HOST") or "0.0.0.0",  # noqa: S104  a container's port is published by who runs it
            port=_number(environment, "PORT", 8080, 1, 65535),
            threads=_number(environment, "SERVE_THREADS", 2, 1, 64),
            queue=_number(environment, "SERVE_QUEUE", 64, 0, 4096),
            grace_seconds=_number(environment, "SERVE_GRACE_SECONDS", 5, 0, 600),
        )


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise CannotStart(
            f"{name} is {shown(text)}; expected a whole number from {least} to {most}; set it or leave it out"
        )
    return number
