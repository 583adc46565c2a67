"""One model's retraining: look, keep what was decided, and make its one pull request say and hold that.

What counts is what the forge has: a run that is killed anywhere, or two at once, come to one record, one pull request
and one issue. Data is in DVC's remote before a branch names it.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from time import time as now
from typing import TYPE_CHECKING

from ci.adapters import bot, dvc, files, git, kept, locks, rows, templates, trees
from ci.commands import data, declared, merged, spending
from ci.commands.lineage import LOCK, of_head
from ci.core import handover
from ci.core.bot import Proposal
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.lineage import all_entries_of, of_lock
from ci.core.loglines import quiet
from ci.core.records import Outcome, Verdict
from ci.core.reporting.markdown import escape
from ci.core.retraining import deciding, pins, telling
from ci.core.retraining.deciding import LABELS, Standing
from ci.core.retraining.records import Retraining as Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ci.adapters.forge import Forge
    from ci.adapters.kept import Held
    from ci.adapters.rows import Fresh
    from ci.commands.declared import Declared
    from ci.commands.merged import Base
    from ci.core.bot import Commit, Read
    from ci.core.drift.records import Drift
    from ci.core.retraining.deciding import Decision
    from ci.core.retraining.records import Pin, Proposed

ROUNDS = 5  # looks that others may overtake before it is said
FILE = "retraining.json"
WHAT = "record of a retraining"
OPEN = frozenset({"propose", "update", "keep", "helpless"})
"""What leaves a pull request open."""


def ref_of(model: str) -> str:
    """Where the record of a model's retraining is."""
    return f"refs/trunkline/retraining/{model}"


class _Moved(Exception):
    """The base has other data of the model by now than was looked at."""


@dataclass(frozen=True)
class Retraining:
    """A model, what its newest window has shown, and where the verdict on its candidate would be."""

    root: Path
    forge: Forge
    model: str
    drift: Drift
    verdict: Path

    def go(self, *, dry_run: bool = False) -> None:
        """Look, and do what that comes to. Raises EnvironmentFault where it was overtaken again and again."""
        for _ in range(ROUNDS):
            base = merged.at_forge(self.root, self.forge)
            with suppress(_Moved):
                if self._look(base, declared.of(base, self.model), dry_run=dry_run):
                    return
        raise EnvironmentFault(
            f"the retraining of {self.model} was looked at by others {ROUNDS} times while this ran; run it again."
        )

    @cached_property
    def _path(self) -> str:
        return f"data/{self.model}"

    @cached_property
    def _branch(self) -> str:
        return telling.branch(self.model)

    def _look(self, base: Base, said: Declared, *, dry_run: bool) -> bool:
        """One look; False where others wrote first, and it is to be looked at again."""
        held = kept.read(self.root, self.forge, ref_of(self.model), FILE, Record, WHAT)
        file, pin = self._pinned(base)
        standing = self._standing(base, file, pin)
        rules, record = said.rules.retrain, deciding.settled(self.model, held.record, standing, now())
        age = self._age() if rules.age_days else 0.0
        decision = deciding.first(self.drift, rules, record, standing, now=now(), age=age)
        if decision.action == "look" and said.rules.rows is None:
            decision = deciding.second(decision, rules, record, standing, None)
        elif decision.action == "look":
            with self._tree(base) as tree:
                fresh = self._fresh(tree, said, str(said.rules.rows))
                decision = deciding.second(decision, rules, record, standing, fresh.told)
                if decision.action in {"propose", "update"} and not dry_run:
                    made = self._made(tree, said, file, fresh)
                    record = deciding.proposing(record, decision, standing, made, fresh.told, now())
        self._say(f"{decision.action}: {decision.words}")
        if dry_run:
            return True
        if decision.action == "withdraw":
            record = deciding.withdrawn(record, now(), decision.words)
        # The record comes first, since it says what a run that is killed was about to do.
        written = self._write(record, held, decision)
        if written is not None and decision.action == "withdraw":
            self._withdraw(decision)
        elif written is not None and record.proposed is not None and decision.action in OPEN:
            self._propose(said, file, written, record.proposed, decision)
        return written is not None

    def _pinned(self, base: Base) -> tuple[str, Pin]:
        """The `.dvc` file that pins the model's data on the base, and what it pins. Raises ConfigurationError."""
        for file in (f"data/{self.model}.dvc", "data.dvc"):
            text = base.read(file)
            if text is not None and (pin := pins.pin_of(text, file, self._path)) is not None:
                return file, pin
        raise ConfigurationError(f"no .dvc file of {base.name} pins {self._path}; pin it with `dvc add {self._path}`.")

    def _standing(self, base: Base, file: str, pin: Pin) -> Standing:
        """What the forge has."""
        ref = f"refs/heads/{self._branch}"
        pull = self.forge.find(self._branch)
        head = self.forge.remote.fetch(ref).get(ref)
        above = trees.commits(self.root, base.commit, head) if head else []
        text = git.show(self.root, head, file) if head else None
        person = next((one for one in above if not one.ours), None)
        return Standing(
            base_pin=pin.md5,
            pull=pull,
            ended=self.forge.ended(self._branch) if pull is None else None,
            branch_pin=pins.pin_of(text, file, self._path) if text else None,
            theirs=f"the commit {person.sha[:12]} by {person.who}" if person else None,
            refused=self._refused(head, above) if pull is not None and head else None,
        )

    def _refused(self, head: str, above: list[Commit]) -> str | None:
        """Why the candidate does not help: by its verdict where that lies here, else by the check that is red."""
        if self.verdict.is_file():
            verdict = files.read_record(self.verdict, Verdict)
            if (verdict.model, verdict.mode) == (self.model, "full") and verdict.commit in {one.sha for one in above}:
                return None if verdict.verdict is Outcome.PASS else telling.refused(verdict)
        check = f"train ({self.model})"
        red = self.forge.conclusion(head, check) == "failure"
        return f"the check “{check}” of {head[:12]} is red; its report says why" if red else None

    def _age(self) -> float:
        """Days since what is trained was; 0 where nothing is."""
        lineage = of_head(self.root, self.model)
        if lineage is None:
            return 0.0
        return (now() - datetime.fromisoformat(git.committed_at(self.root, lineage.commit)).timestamp()) / deciding.DAY

    @contextmanager
    def _tree(self, base: Base) -> Iterator[Path]:
        """The base with the model's data in place, in a worktree that shares DVC's cache."""
        tree = self.root / ".trunkline" / "retrain"
        with locks.check(self.root):
            git.add_worktree(self.root, tree, base.commit)
            try:
                dvc.share_cache(self.root, tree)
                data.ensure(tree, (self.model,))
                yield tree
            finally:
                git.remove_worktree(self.root, tree)

    def _fresh(self, tree: Path, said: Declared, url: str) -> Fresh:
        """The rows whose labels are final: of whole days, where they have a time."""
        known = datetime.fromtimestamp(now(), UTC) - timedelta(days=said.delay_days)
        until = known.replace(hour=0, minute=0, second=0, microsecond=0)
        return rows.fresh(url, tree / self._path / said.file, said.columns, until, said.later)

    def _made(self, tree: Path, said: Declared, file: str, fresh: Fresh) -> Pin:
        """The data with those rows, in DVC's cache and remote: the same for the same rows."""
        rows.append(tree / self._path / said.file, fresh)
        dvc.commit(tree, self._path)
        pin = pins.pin_of((tree / file).read_text(), file, self._path)
        if pin is None:
            raise ConfigurationError(f"{file} does not pin {self._path} any more; look at it, and run this again.")
        dvc.push(tree, [self._path])
        return pin

    def _write(self, record: Record, held: Held[Record], decision: Decision) -> Held[Record] | None:
        if (held.record or Record(model=self.model)) == record:
            return held
        words = f"Retraining of {self.model}: {decision.action}"
        return kept.write(self.root, self.forge, ref_of(self.model), FILE, record, held, words)

    def _withdraw(self, decision: Decision) -> None:
        words = f"{decision.words[0].upper()}{decision.words[1:]}."
        gone = Proposal(self._branch, title="", body="", message="", compute=lambda _: {}, withdrawal=words)
        bot.propose(self.root, self.forge, gone)

    def _propose(self, said: Declared, file: str, held: Held[Record], proposed: Proposed, decision: Decision) -> None:
        """The pull request as it should be. Its number is kept last: a label that a person took off stays off."""
        view = telling.view(
            self.drift, decision.words, proposed, spending.cost(self.root, self.forge, self.model), said.split
        )
        proposal = Proposal(
            branch=self._branch,
            title=telling.title(self.model, proposed.rows),
            body=templates.render_retraining(view),
            message=telling.message(self.model, decision.words, proposed, self.drift),
            compute=lambda read: self._files(read, file, proposed),
            labels=LABELS if proposed.number is None else (),
            anew=True,  # what was closed is snoozed by the record
        )
        done = bot.propose(self.root, self.forge, proposal)
        if done.pull is None:
            self._say("no pull request: the default branch has this data already")
            return
        self._say(f"#{done.pull.number} {done.pull.url}, {done.action}")
        if proposed.helpless:
            self._raise(proposed, done.pull.url)
        if held.record is not None and proposed.number != done.pull.number:
            known = proposed.model_copy(update={"number": done.pull.number})
            # Whoever overtakes this finds the number out.
            self._write(held.record.model_copy(update={"proposed": known}), held, decision)

    def _raise(self, proposed: Proposed, url: str) -> None:
        """The one issue about a retraining that does not help."""
        words = str(escape(telling.issue(self.model, proposed, url)))
        marker, title = telling.issue_marker(self.model, proposed), telling.issue_title(self.model)
        if address := self.forge.issue(marker, title, words, LABELS[:1]):
            self._say(f"issue {address}")

    def _files(self, read: Read, file: str, proposed: Proposed) -> Mapping[str, str | None]:
        """The pin on the newest base; with it what was trained of that very data and came to the branch."""
        text = read(file) or ""
        pin = pins.pin_of(text, file, self._path)
        if pin is not None and pin.md5 == proposed.pin.md5:
            return {}
        if pin is None or pin.md5 != proposed.base:
            raise _Moved
        ref = f"refs/heads/{self._branch}"
        head = self.forge.remote.fetch(ref).get(ref)
        trained = all_entries_of(dvc.lock(git.show(self.root, head, LOCK) if head else None), self.model)
        lineage = of_lock(trained, self.model, str(head))
        made: dict[str, str | None] = {file: pins.repinned(text, file, self._path, proposed.pin)}
        if lineage is not None and lineage.data_hash == proposed.pin.md5:
            made[LOCK] = handover.merged(dvc.lock(read(LOCK)), trained)
        return made

    def _say(self, words: str) -> None:
        print(f"{self.model}: {quiet(words)}")
