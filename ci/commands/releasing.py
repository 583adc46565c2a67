"""One model on its way: exactly the merged bytes are verified, packed, registered, and proposed to an environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import bot, cards, dvc, files, git, locks, registry, templates
from ci.adapters.mlflow import Models
from ci.commands import full, gate, image, merged, registering, report, settling
from ci.commands.lineage import of_head
from ci.core import releasing
from ci.core.bot import Proposal
from ci.core.cards import words
from ci.core.errors import EnvironmentFault
from ci.core.image import reference
from ci.core.image.labels import of_lineage
from ci.core.manifests.overlays import overlay
from ci.core.records import Evaluation, Validation
from ci.core.release import Version, path_of
from ci.core.releasing import Refused, Undecided
from ci.core.scope import trains_alike
from ci.core.tracing import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.adapters.forge import Forge
    from ci.commands.merged import Base
    from ci.core.bot import Read
    from ci.core.lineage import Lineage
    from ci.core.params import Releasing
    from ci.core.records import Verdict
    from ci.core.releasing import Due


@dataclass
class Line:
    """One model between the default branch and the environments."""

    root: Path
    forge: Forge
    model: str
    rules: Releasing

    def go(self) -> None:
        """Propose what was merged where it is due, and on to the next environment while one takes it at once.

        Raises Superseded, Refused and Undecided.
        """
        base = self._settled()
        self._require_trained(base, dry_run=False)
        due, before = self._due(base), None
        while due.environment and due.environment != before:
            self._require_pass(base)
            self._propose(base, due.environment, due.source)
            base, before = self._settled(), due.environment
            due = self._due(base)
        if due.environment is None:
            print(f"{self.model}: {due.words}")
        self._withdraw_all_but(due.environment)

    def rehearse(self) -> None:
        """As `go`, up to where something would be written."""
        base = merged.newest(self.root, self.forge)
        self._require_trained(base, dry_run=True)
        due = self._due(base)
        if due.environment:
            base.require_champion(self.model)
            releasing.require_pass(self.verdict)
            print(f"{self.model}: would be proposed to {due.environment}; {self.verdict.summary}")
        else:
            print(f"{self.model}: {due.words}")

    @cached_property
    def lineage(self) -> Lineage:
        """What was merged."""
        found = of_head(self.root, self.model)
        if found is None:
            raise Refused(f"{self.model} is not released: dvc.lock does not hold its full training.")
        return found

    @cached_property
    def verdict(self) -> Verdict:
        """That of exactly the bytes that the merged dvc.lock pins, against what production runs."""
        full.pull(self.root, self.model)
        return full.judge(self.root, self.model)

    def _settled(self) -> Base:
        """The base, with what was merged taken in."""
        base = merged.newest(self.root, self.forge)
        settling.settle(base, self.forge, self.model, self.rules)
        return base

    def _due(self, base: Base) -> Due:
        """Where the version comes next. Raises ConfigurationError where it would bring an image from another place."""
        environments = tuple(self.rules.environments)
        found = base.due(self.lineage, self.rules.environments)
        if found.environment and found.source:
            before = environments[environments.index(found.environment) - 1]
            file = path_of(self.model, before)
            reference.require_ours(found.source.image, self.rules.registry, self.model, file=file)
        return found

    def _require_pass(self, base: Base) -> None:
        """Raise what keeps these bytes from being released, and withdraw what proposed them before that was so."""
        base.require_champion(self.model)
        try:
            releasing.require_pass(self.verdict)
        except (Refused, Undecided):
            for environment in self.rules.environments:
                ref = f"refs/heads/{releasing.branch(self.model, environment)}"
                commit = self.forge.remote.fetch(ref).get(ref)
                text = git.show(self.root, commit, path_of(self.model, environment)) if commit else None
                if text is not None and self.lineage.lock_hash in text:
                    self._withdraw(environment)
            raise

    def _require_trained(self, base: Base, *, dry_run: bool) -> None:
        """Raise Superseded for an older commit, and Refused for one without its full training, which is started."""
        base.require_current(self.model)
        with locks.check(self.root):
            reasons = full.behind(self.root, self.model)
        if not reasons:
            return
        begun = "" if dry_run else f"; {self._training(base)}"
        raise Refused(
            f"{self.model} is not released: it was merged without its full training ({reasons[0]}){begun}.",
            file="dvc.lock",
        )

    def _training(self, base: Base) -> str:
        """Have it trained, unless that is under way or done: every push to the default branch comes by here."""
        models = gate.configured(self.root, ())

        def alike(commit: str) -> bool:
            if git.commit_of(self.root, commit) is None:
                return False
            return trains_alike(git.changed_paths(self.root, commit), self.model, models)

        if (pull := self.forge.find(f"train/{self.model}")) is not None:
            ref = f"refs/heads/{pull.branch}"
            came = self.forge.remote.fetch(ref).get(ref)
            since = git.common_ancestor(self.root, came, base.commit) if came else None
            if since is not None and alike(since):
                return f"#{pull.number} brings it: {pull.url}"
        return self.forge.dispatch("train.yml", base.name, {"model": self.model}, alike)

    def _propose(self, base: Base, environment: str, source: Version | None) -> None:
        """Make the one pull request of an environment bring it this version."""
        version = self._packed(base) if source is None else self._as_labelled(source)
        rules, current = self.rules.environments[environment], base.release(self.model, environment)
        card = self._card(version)
        title = releasing.title(version, environment, rules, first=current is None)
        body = releasing.body(version, environment, rules, current, self.verdict.summary, card)
        proposal = Proposal(
            branch=releasing.branch(self.model, environment),
            title=title,
            body=templates.render_release(body, self.verdict),
            message=releasing.message(version, title),
            compute=lambda at: self._files(at, base, version, environment, card),
            labels=tuple(rules.labels),
            reviewers=tuple(rules.reviewers),
            auto_merge=rules.auto_merge,
        )
        done = bot.propose(self.root, self.forge, proposal)
        where = f"#{done.pull.number} {done.pull.url}" if done.pull else "no pull request"
        print(f"{self.model}: {environment}: {where}, {done.action}; {version.image}")

    def _files(self, read: Read, base: Base, version: Version, environment: str, card: str) -> Mapping[str, str]:
        """What the pull request changes, decided anew on the newest base; nothing where it is no longer due."""
        releasing.require_current(dvc.lock(read("dvc.lock")), dvc.lock_of(self.root), self.model, base.name)
        environments = self.rules.environments
        back = base.taken_back(self.lineage, tuple(environments))
        due = releasing.due(releasing.places(read, self.model, environments, back), self.lineage.lock_hash)
        if due.environment != environment:
            return {}
        rules = self.rules.environments[environment]
        return releasing.changes(read, version, environment, rules, card, overlay(self.model, environment))

    def _withdraw_all_but(self, environment: str | None) -> None:
        """Close the pull requests to environments that this version is not due in: what they bring is superseded."""
        for other in self.rules.environments:
            if other != environment:
                self._withdraw(other)

    def _withdraw(self, environment: str) -> None:
        branch = releasing.branch(self.model, environment)
        bot.propose(self.root, self.forge, Proposal(branch, title="", body="", message="", compute=lambda _: {}))

    def _packed(self, base: Base) -> Version:
        """The version in the registry of models, and as an image made of the bytes that were judged.

        The image that an earlier release of it named is taken again while the registry has it: a version has one.
        """
        if (known := self._released_before(base)) is not None:
            return self._as_labelled(known)
        registry.require_reachable(self.rules.registry)  # before minutes go into what could not be pushed
        number = self._registered()
        pushed = image.push(self.root, image.build(self.root, self.model, self.lineage))
        hand_over(pushed)
        return self._known_as(number, Version(image=pushed, version=number, lineage=self.lineage))

    def _released_before(self, base: Base) -> Version | None:
        lock, home = self.lineage.lock_hash, self.rules.registry.partition("/")[0]
        changes = [change for change in base.changes(self.model) if change.text and lock in change.text]
        for made in filter(None, map(read, reversed(changes))):
            for version in made.versions:
                ours = version.image.startswith(f"{self.rules.registry}/{self.model}@")
                if version.lineage.lock_hash == lock and ours and registry.find(version.image, home=home):
                    return version
        return None

    def _as_labelled(self, source: Version) -> Version:
        """A version that a release.yaml names, if the registry's image still says what it was made of."""
        number = self._registered()
        labels = registry.labels_of(source.image, home=self.rules.registry.partition("/")[0])
        for name, value in of_lineage(source.lineage).items():
            if labels.get(name) != value:
                raise EnvironmentFault(
                    f"{source.image} says {name}={labels.get(name)}, but release.yaml says {value}: it is not the "
                    "image that was released; see who else writes to the registry."
                )
        return self._known_as(number, source)

    def _registered(self) -> str:
        """The number of the version in the registry of models."""
        written = report.write_full(self.root, self.verdict)
        return registering.register(self.root, self.model, self.verdict, self.lineage, written)

    def _known_as(self, number: str, version: Version) -> Version:
        """The same under its number in the registry of models, which is told its image."""
        Models(self.root).tag(self.model, number, {"image": version.image})
        return version.model_copy(update={"version": number})

    def _card(self, version: Version) -> str:
        here = self.root / "artifacts" / self.model
        path = Path("ml") / "models" / self.model / "params.yaml"
        return cards.card(
            self.lineage,
            self.verdict,
            files.read_record(here / "validation.json", Validation),
            files.read_record(here / "full" / "evaluation.json", Evaluation),
            words(*files.read_yaml(self.root / path), file=str(path)),
            version.version,
            version.image,
        )


def hand_over(image: str) -> None:
    """Give GitHub Actions the step outputs `repository` and `digest`, which provenance is attested for."""
    if path := os.environ.get("GITHUB_OUTPUT"):
        repository, _, digest = image.partition("@")
        with Path(path).open("a", encoding="utf-8") as out:
            out.write(f"repository={repository}\ndigest={digest}\n")
