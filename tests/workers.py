"""Which tests one worker has to itself, where several run beside each other.

A file is one piece of work, since its tests share what it makes for them. Files that need docker are two pieces:
`releases` start from one line that was merged, `docker` are all others, among them those with pods, of whose names a
daemon has one each. As one piece they would be the whole work of a worker, and the last to end.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from xdist.scheduler import LoadFileScheduling

from tests.project import ROOT

if TYPE_CHECKING:
    import pytest

DOCKER = re.compile(
    r"\b(docker_host|docker_env|base_image|image_registry|(merged|packed|released|production|newer)_line)\b"
)
"""The fixtures that lead to the daemon."""
RELEASES = re.compile(r"\b(merged|packed|released|newer)_line\b")


@cache
def piece(file: str) -> str:
    """The name of the piece that a file belongs to; xdist asks for every test, again and again."""
    text = (ROOT / file).read_text(encoding="utf-8")
    if not DOCKER.search(text):
        return file
    return "releases" if RELEASES.search(text) else "docker"


def order(items: list[pytest.Item]) -> None:
    """The two longest pieces first, each of them to a worker; nothing else changes its place."""
    items.sort(key=lambda item: piece(_file(item.nodeid)) not in {"docker", "releases"})


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class Pieces(LoadFileScheduling):  # type: ignore[misc] # xdist ships no types
    """Hands out files in the order in which they were collected: the long ones come first, unit tests fill the end."""

    def __init__(self, config: Any, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return piece(_file(nodeid))
