"""What a docker daemon tells while it builds, pulls and pushes, one message at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

STEP = re.compile(r"Step (\d+)/(\d+) : (.+)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Step:
    """Step `number` of `of` of a Dockerfile begins."""

    number: int
    of: int
    words: str


@dataclass(frozen=True)
class Moved:
    """A layer is on its way: `done` of `total` bytes where that is known (0 otherwise)."""

    layer: str
    words: str
    done: int
    total: int


@dataclass(frozen=True)
class Said:
    """A line of output."""

    words: str


@dataclass(frozen=True)
class Failed:
    """The daemon gave up."""

    words: str


@dataclass(frozen=True)
class Made:
    """What came out: the id of an image that was built, or the digest of one that was pushed."""

    name: str


Event = Step | Moved | Said | Failed | Made


def events(message: Mapping[str, Any]) -> list[Event]:
    """What one message of the daemon's stream says; most say one thing, some nothing."""
    if error := message.get("error"):
        return [Failed(_plain(str(error)))]
    aux = message.get("aux") or {}
    if name := aux.get("ID") or aux.get("Digest"):
        return [Made(str(name))]
    if "stream" in message:
        lines = [_plain(line) for line in str(message["stream"]).splitlines()]
        return [_line(line) for line in lines if line]
    if "status" in message and "id" in message:
        detail = message.get("progressDetail") or {}
        done, total = int(detail.get("current") or 0), int(detail.get("total") or 0)
        return [Moved(str(message["id"]), str(message["status"]), done, total)]
    return [Said(_plain(str(message["status"])))] if "status" in message else []


def _line(line: str) -> Event:
    step = STEP.fullmatch(line)
    return Step(int(step[1]), int(step[2]), step[3]) if step else Said(line)


def _plain(text: str) -> str:
    return COLOUR.sub("", text).strip()
