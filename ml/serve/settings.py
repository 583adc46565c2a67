"""What the environment says of the server: where its model is, where it listens and how much it takes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml.serve.errors import CannotStart, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_CHARACTERS = 32


@dataclass(frozen=True)
class Settings:
    """Variables of the environment, checked."""

    folder: Path
    host: str
    port: int
    threads: int
    queue: int
    grace_seconds: int
    log: LogSettings | None

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
            log=LogSettings.of(environment),
        )


@dataclass(frozen=True)
class LogSettings:
    """How requests and scores are logged. `most_bytes` are held in memory at most, by either of two processes."""

    url: str
    share: float
    seconds: int
    most_bytes: int
    track: str
    has_key: bool

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> LogSettings | None:
        """Read from variables; None where no log is wanted. Raises CannotStart on a value that is out of range."""
        url = environment.get("SERVE_LOG")
        if not url:
            return None
        key = environment.get("SERVE_LOG_KEY") or ""
        if 0 < len(key) < KEY_CHARACTERS:
            raise CannotStart(f"SERVE_LOG_KEY is shorter than {KEY_CHARACTERS} characters; set it to a longer secret")
        return cls(
            url=url,
            share=_share(environment, "SERVE_LOG_SHARE"),
            seconds=_number(environment, "SERVE_LOG_SECONDS", 60, 1, 3600),
            most_bytes=_number(environment, "SERVE_LOG_MIB", 32, 1, 4096) * 2**20,
            track=environment.get("SERVE_TRACK") or "",
            has_key=bool(key),
        )


def _share(environment: Mapping[str, str], name: str) -> float:
    text = environment.get(name) or "1"
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise CannotStart(f"{name} is {shown(text)}; expected a number from 0 to 1; set it or leave it out")
    return share


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
