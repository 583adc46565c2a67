"""Records kept at the forge, each in a commit without a past on a ref of its own, moved by compare-and-swap.

The refs are neither branches nor tags, so no workflow starts on them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from ci.adapters import git, trees

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ci.adapters.forge import Forge

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True)
class Held(Generic[R]):
    """What a ref holds, at `commit`; no record where there is none, or none that can be read."""

    commit: str | None = None
    record: R | None = None


def read(root: Path, forge: Forge, ref: str, file: str, kind: type[R], what: str) -> Held[R]:
    """The record in `file` on a ref of the forge; `what` names it in a sentence (`record of a rollout`)."""
    return parsed(root, ref, forge.remote.fetch(ref).get(ref), file, kind, what)


def parsed(root: Path, ref: str, commit: str | None, file: str, kind: type[R], what: str) -> Held[R]:
    """As `read`, of a commit that was fetched. What cannot be read is told on stderr."""
    if commit is None:
        return Held()
    try:
        return Held(commit, kind.model_validate_json(git.show(root, commit, file) or ""))
    except ValidationError as wrong:
        first = wrong.errors()[0]["msg"]
        print(f"trunkline: {ref} holds no {what} ({first}), which begins anew.", file=sys.stderr)
        return Held(commit)


def put(root: Path, forge: Forge, ref: str, files: Mapping[str, str], words: str, before: str | None) -> str | None:
    """Move a ref from the commit `before` to one with these files; the commit, or None where others moved the ref."""
    made = trees.commit(root, trees.changed(root, None, files), message=words)
    return made if forge.remote.push(made, ref, before) else None


def write(root: Path, forge: Forge, ref: str, file: str, record: R, before: Held[R], words: str) -> Held[R] | None:
    """Put a record in the place of `before`; None where others moved it meanwhile. The same again is not written."""
    if before.commit is not None and before.record == record:
        return before
    made = put(root, forge, ref, {file: record.model_dump_json(indent=2) + "\n"}, words, before.commit)
    return None if made is None else Held(made, record)
