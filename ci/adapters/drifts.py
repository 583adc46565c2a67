"""What past windows of a model showed; see `kept` for where it is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ci.adapters import history, kept, trees
from ci.core.drift.records import Drift

if TYPE_CHECKING:
    from pathlib import Path

    from ci.adapters.forge import Forge

MOST = 60
"""Windows that are kept: two months of daily looks."""
FOLDER = "windows"


@dataclass(frozen=True)
class Kept:
    """The records that a ref holds at `commit`, by their windows' ends, the newest last."""

    commit: str | None = None
    windows: tuple[Drift, ...] = ()

    def before(self, start: str, end: str) -> tuple[Drift, ...]:
        """Those of windows that ended before `end`, or end there and are not the one from `start`."""
        return tuple(one for one in self.windows if _key(one) < (end, start))


def ref_of(model: str) -> str:
    """Where the records of a model are."""
    return f"refs/trunkline/drift/{model}"


def read(root: Path, forge: Forge, model: str) -> Kept:
    """The records at the forge. One that cannot be read is told on stderr, and is as if it were not there."""
    ref = ref_of(model)
    commit = forge.remote.fetch(ref).get(ref)
    if commit is None:
        return Kept()
    names = trees.names(root, commit, FOLDER)
    texts = history.texts(root, [f"{commit}:{name}" for name in names])
    found = [_parsed(ref, name, text) for name, text in zip(names, texts, strict=True)]
    return Kept(commit, tuple(sorted((one for one in found if one is not None), key=_key)))


def write(root: Path, forge: Forge, drift: Drift, before: Kept) -> Kept | None:
    """Put a record beside those of other windows, in the place of one of the same window.

    None where the ref was moved meanwhile. The same again is not written.
    """
    if drift in before.windows:
        return before
    others = [one for one in before.windows if _key(one) != _key(drift)]
    windows = tuple(sorted([*others, drift], key=_key)[-MOST:])
    files = {_path(one): one.model_dump_json(indent=1) + "\n" for one in windows}
    words = f"Drift of {drift.model} from {drift.window.start} to {drift.window.end}: {drift.outcome}"
    made = kept.put(root, forge, ref_of(drift.model), files, words, before.commit)
    return Kept(made, windows) if made else None


def _key(drift: Drift) -> tuple[str, str]:
    return drift.window.end, drift.window.start


def _path(drift: Drift) -> str:
    end, start = (text.replace(":", "") for text in _key(drift))
    return f"{FOLDER}/{end}_{start}.json"


def _parsed(ref: str, name: str, text: str | None) -> Drift | None:
    try:
        return Drift.model_validate_json(text or "")
    except ValidationError as wrong:
        first = wrong.errors()[0]["msg"]
        print(f"trunkline: {name} on {ref} is no record of a window ({first}) and is passed over.", file=sys.stderr)
        return None
