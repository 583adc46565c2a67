"""The records of rollouts, one for each model and environment; see `kept` for where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.adapters import git, kept
from ci.core.canary.records import Rollout

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ci.adapters.forge import Forge

Place = tuple[str, str]
"""Model and environment."""
RECORD, ENDED = "rollout.json", "ended"


@dataclass(frozen=True)
class Kept:
    """What a ref holds, at `commit`; `ended`: its canary is in no release.yaml any more, and all of that was told."""

    commit: str | None = None
    rollout: Rollout | None = None
    ended: bool = False

    @property
    def open(self) -> Rollout | None:
        """The record, unless it is over."""
        return None if self.ended else self.rollout


def ref_of(model: str, environment: str) -> str:
    """Where the record of a rollout is."""
    return f"refs/trunkline/rollouts/{model}/{environment}"


def read(root: Path, forge: Forge, places: Iterable[Place]) -> dict[Place, Kept]:
    """The records at the forge. One that cannot be read is told on stderr, and is as if it were not there."""
    refs = {ref_of(*place): place for place in places}
    seen = forge.remote.fetch(*refs) if refs else {}
    return {place: _kept(root, ref, seen.get(ref)) for ref, place in refs.items()}


def write(root: Path, forge: Forge, rollout: Rollout, before: Kept, *, ended: bool = False) -> Kept | None:
    """Put a record in the place of `before`; None where that was moved meanwhile. The same again is not written."""
    if before.commit is not None and (before.rollout, before.ended) == (rollout, ended):
        return before
    files = {RECORD: rollout.model_dump_json(indent=2) + "\n", **({ENDED: ""} if ended else {})}
    words = f"Rollout of {rollout.model} in {rollout.environment}: {rollout.decision.action}"
    made = kept.put(root, forge, ref_of(rollout.model, rollout.environment), files, words, before.commit)
    return Kept(made, rollout, ended) if made else None


def _kept(root: Path, ref: str, commit: str | None) -> Kept:
    held = kept.parsed(root, ref, commit, RECORD, Rollout, "record of a rollout")
    ended = held.record is not None and git.show(root, str(commit), ENDED) is not None
    return Kept(held.commit, held.record, ended)
