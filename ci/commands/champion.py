"""What a fully trained candidate is compared with: the version that production's release.yaml names as stable.

Its files come from DVC's cache or remote and are held to the hashes that release.yaml names; nothing is trained again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ci.adapters import dvc, git
from ci.commands import gate
from ci.commands.baseline import Against
from ci.core.errors import ConfigurationError
from ci.core.lineage import of_lock, stages_of
from ci.core.release import parse, path_of

if TYPE_CHECKING:
    from pathlib import Path

    from ci.core.lineage import Lineage
    from ci.core.records import OldRows


def lineage_of(root: Path, model: str) -> Lineage | None:
    """What the champion of a model was made of, by the release.yaml at hand; None while nothing is in production.

    Raises ConfigurationError for a release.yaml that Trunkline did not write.
    """
    path = path_at_hand(root, model)
    text = root / path
    return parse(text.read_text(), path).spec.stable.lineage if path and text.is_file() else None


def path_at_hand(root: Path, model: str) -> str:
    """Where production's release.yaml is: production is the last environment of params.yaml, if there is any."""
    release = gate.root_params(root).release
    return path_of(model, list(release.environments)[-1]) if release else ""


@dataclass
class Champion(Against):
    """The champion of one model."""

    lineage: Lineage | None = None

    kind = "champion"
    name = "the champion"

    @classmethod
    def at_hand(cls, root: Path, model: str) -> Self:
        """The champion of `model` by the release.yaml at hand.

        Raises ConfigurationError where history does not bear that out.
        """
        lineage = lineage_of(root, model)
        found = cls(root, "full", lineage.commit if lineage else None, lineage)
        if lineage is not None and of_lock(found.lock_before, model, lineage.commit) != lineage:
            found._refuse(model, lineage)
        return found

    def _refuse(self, model: str, lineage: Lineage) -> None:
        said = f"{path_at_hand(self.root, model)} says that {model}'s champion was made at commit {lineage.commit[:12]}"
        if git.commit_of(self.root, lineage.commit) is None:
            more = "which is not in this clone; fetch all of history (`git fetch --unshallow`, `fetch-depth: 0`)"
        else:
            more = f"but dvc.lock pins another version there; look at who changed it (`trunkline audit {model}`)"
        raise ConfigurationError(f"{said}, {more}.", file=path_at_hand(self.root, model))

    def old_rows(self, model: str) -> OldRows | None:
        """What the candidate makes of the test rows that the champion was judged on, where a gate asks for that."""
        from ci.commands import oldrows  # noqa: PLC0415 - polars and numpy stay out of what judges nothing

        _, gates = gate.gates_of(self.root, model, gate.root_params(self.root))
        if self.lineage is None or not any(one.rows == "old" for one in gates):
            return None
        return oldrows.made(self, model, self.lineage)

    def _why_none(self) -> str:
        return "nothing is in production yet"

    def _bring_up(self, tree: Path, model: str) -> None:
        dvc.pull_outs(tree, stages_of(model, self.mode))
