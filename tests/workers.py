"""Which tests one worker has to itself, where several run beside each other.

A file is one piece of work, since its tests share what it makes for them. All files that need docker are one piece: two
daemons on a machine would give their containers the same addresses.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from xdist.scheduler import LoadFileScheduling

from tests.project import ROOT

DOCKER = re.compile(r"\b(docker_host|docker_env|base_image|image_registry|(merged|released|production|newer)_line)\b")
"""The fixtures that lead to the daemon."""


@cache
def piece(file: str) -> str:
    """The name of the piece that a file belongs to; xdist asks for every test, again and again."""
    return "docker" if DOCKER.search((ROOT / file).read_text(encoding="utf-8")) else file


class Pieces(LoadFileScheduling):  # type: ignore[misc] # xdist ships no types
    """Hands out files in the order in which they were collected: the long ones come first, unit tests fill the end."""

    def __init__(self, config: Any, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return piece(nodeid.partition("::")[0])
