"""What the default branch has: its releases, who agreed to them, and where a merged version is due next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.adapters import bot, dvc, files, git, history, trees
from ci.commands import champion
from ci.commands.lineage import LOCK, of_head
from ci.core import releasing
from ci.core.canary import rules
from ci.core.errors import ConfigurationError
from ci.core.params import parse_root
from ci.core.release import parse, path_of
from ci.core.releasing import Superseded
from ci.core.strict import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ci.adapters.forge import Forge
    from ci.core.canary.rules import Rules
    from ci.core.history import ManifestChange
    from ci.core.lineage import Lineage
    from ci.core.params import Environment, Root
    from ci.core.release import Release
    from ci.core.releasing import Due

PARAMS = "params.yaml"


@dataclass(frozen=True)
class Base:
    """The default branch at its newest commit, which is in the object store of `root` and need not be checked out."""

    root: Path
    name: str
    commit: str

    def read(self, path: str) -> str | None:
        """The text of a file there."""
        return git.show(self.root, self.commit, path)

    def release(self, model: str, environment: str) -> Release | None:
        """What an environment runs of a model. Raises ConfigurationError where its file was edited by hand."""
        path = path_of(model, environment)
        text = self.read(path)
        return None if text is None else parse(text, path)

    def params(self) -> Root:
        """The root params.yaml there. Raises ConfigurationError."""
        text = self.read(PARAMS)
        if text is None:
            raise ConfigurationError(f"{self.name} has no {PARAMS}; merge one.", file=PARAMS)
        return parse_root(*files.parse_yaml(text, PARAMS))

    def judged_by(self, model: str) -> Rules:
        """How a rollout of the model is judged: its own `rollout` over the defaults. Raises ConfigurationError."""
        path = f"ml/models/{model}/{PARAMS}"
        data, line_of = files.parse_yaml(self.read(path) or "", path)
        own = data.get(rules.KEY) if isinstance(data, dict) else None
        return rules.parse_rules(self.params().defaults.rollout, own, Place(path, line_of).at(rules.KEY))

    def changes(self, model: str, environment: str = "*") -> list[ManifestChange]:
        """Every change of the model's release.yaml files, or of one environment's, oldest first, with the notes."""
        return history.manifests(self.root, path_of(model, environment), upto=self.commit)

    def require_current(self, model: str) -> None:
        """Raise Superseded unless the commit that is checked out has the very version that is there."""
        releasing.require_current(dvc.lock(self.read(LOCK)), dvc.lock_of(self.root), model, self.name)

    def require_champion(self, model: str) -> None:
        """Raise Superseded unless the release.yaml that a verdict takes the champion from is as it is checked out."""
        path = champion.path_at_hand(self.root, model)
        here = self.root / path
        if self.read(path) != (here.read_text(encoding="utf-8") if here.is_file() else None):
            raise Superseded(
                f"{model}: {self.name} has another {path} by now than the commit that is checked out, so it would be "
                "judged against the wrong champion; that is the work of the newer commit's own run."
            )

    def taken_back(self, lineage: Lineage, environments: Sequence[str]) -> dict[str, str]:
        """Which environments took the version back since it was merged, with the commit."""
        changes = self.changes(lineage.model)
        since = history.containing(self.root, lineage.commit, upto=self.commit) if changes else set()
        found = {
            environment: releasing.taken_back(
                [change for change in changes if change.environment == environment], since, lineage.lock_hash
            )
            for environment in environments
        }
        return {environment: commit for environment, commit in found.items() if commit}

    def due(self, lineage: Lineage, environments: Mapping[str, Environment]) -> Due:
        """Where the version comes next."""
        back = self.taken_back(lineage, tuple(environments))
        return releasing.due(releasing.places(self.read, lineage.model, environments, back), lineage.lock_hash)

    def to_do(self, model: str, environments: Mapping[str, Environment], behind: Sequence[str]) -> str:
        """What a release of the model would have to do, or nothing; `behind` is why it lacks its full training."""
        if any(change.note is None for change in self.changes(model)):
            return "git does not say yet who agreed to its last release"
        try:
            self.require_current(model)
        except Superseded:
            return ""
        lineage = of_head(self.root, model)
        if behind or lineage is None:
            return next(iter(behind), "dvc.lock does not hold its full training")
        found = self.due(lineage, environments)
        return found.words if found.environment else ""


def at_forge(root: Path, forge: Forge) -> Base:
    """The default branch as the forge has it, whatever is checked out."""
    forge.sync()
    bot.take_notes(root, forge)
    name = forge.base()
    ref = f"refs/heads/{name}"
    commit = forge.remote.fetch(ref).get(ref)
    if commit is None:
        raise ConfigurationError(f"{forge.name} has no branch {name}; push it, and run this again.")
    return Base(root, name, commit)


def newest(root: Path, forge: Forge) -> Base:
    """The default branch as the forge has it. Raises ConfigurationError where HEAD is not merged into it."""
    base, head = at_forge(root, forge), git.head(root)
    if head is None or not trees.is_ancestor(root, head, base.commit):
        raise ConfigurationError(
            f"the commit that is checked out is not on {base.name} of {forge.name}, and only what is merged is "
            f"released; merge it, or check {base.name} out, and run this again."
        )
    return base
