"""PromQL selectors: of the server's own counters, and those that people write for business metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

TRACK = "$track"
_STRING = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
_MATCHER = rf"\s*[a-zA-Z_]\w*\s*(?:=~|!~|!=|=)\s*{_STRING}\s*"
SELECTOR = re.compile(rf"\s*[a-zA-Z_:][\w:]*\s*\{{(?:{_MATCHER}(?:,{_MATCHER})*,?\s*)?\}}\s*")


def of_server(names: Collection[str], **labels: str) -> str:
    """The selector of some of a server's metrics with these labels."""
    matchers = [f'__name__=~"{"|".join(sorted(names))}"' if len(names) > 1 else f'__name__="{next(iter(names))}"']
    return f"{{{','.join([*matchers, *(f'{name}={quoted(value)}' for name, value in labels.items())])}}}"


def wrong(selector: str) -> str | None:
    """What is wrong with a business metric's selector, in a clause, or None.

    It is one counter with its labels, and no expression: what is read are the counter's raw samples.
    """
    if TRACK not in selector:
        return f'it does not say which track it is of; write track="{TRACK}" in it'
    if not SELECTOR.fullmatch(selector):
        return f'it is not one counter with its labels; write it like orders_total{{track="{TRACK}"}}'
    return None


def of_track(selector: str, track: str) -> str:
    """A business metric's selector for one track."""
    return selector.replace(TRACK, track)


def quoted(value: str) -> str:
    """A text as PromQL has it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
