"""A forge in a folder: a bare repository, with a JSON record for each pull request. For a machine without a token.

What a person merges with git into the default branch at hand is merged here too, as soon as anything is asked: a pull
request whose newest commit is in the default branch counts as merged.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ci.adapters import files, git, locks, shell, trees
from ci.adapters.remote import Remote
from ci.core.errors import ConfigurationError
from ci.core.forge import NOTES, Approval, Ended, Pull
from ci.core.records import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

FOLDER = ".trunkline/forge.git"
CLOSED = "closed"


class Record(Pull):
    """What is kept of a pull request. `merge_commit` is where it came to the default branch, if it was merged here."""

    state: Literal["open", "closed", "merged"] = "open"
    merge_commit: str | None = None
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    auto_merge: bool = False
    comments: dict[str, str] = Field(default_factory=dict)

    def pull(self) -> Pull:
        """The part that all forges know."""
        return Pull.model_validate(self.model_dump(include=set(Pull.model_fields)))


class Issue(Part):
    """What is kept of an issue. Whoever has resolved it makes its state `closed`."""

    number: int
    marker: str
    title: str
    body: str
    labels: tuple[str, ...]
    state: Literal["open", "closed"] = "open"
    now: str | None = None
    """How what it tells of goes on."""


class Local:
    """The pull requests of the repository at `root`, under `.trunkline/forge.git`, which is made on first use."""

    name = "the local forge"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._bare = root / FOLDER
        self.remote = Remote(root, str(self._bare))

    def sync(self) -> None:
        """Bring the default branch at hand here, where it is ahead. Raises ConfigurationError where they went apart."""
        ref = f"refs/heads/{self._made()}"
        mine, there = git.commit_of(self._root, ref), git.commit_of(self._bare, ref)
        if mine is not None and mine != there and not (there is not None and self._has(there, mine)):
            self._advance(ref, there, mine)
        self._records()  # what that merged is written down before its branch is used again

    def _advance(self, ref: str, there: str | None, mine: str) -> None:
        if there is not None:
            base = self.base()
            self.remote.fetch(ref)
            if not trees.is_ancestor(self._root, there, mine):
                raise ConfigurationError(
                    f"your {base} and that of the local forge went apart; bring them together with "
                    f"`git pull {FOLDER} {base}` and run this again."
                )
        self.remote.push(mine, ref, there)

    def base(self) -> str:
        """The branch that was the default one when the forge was made."""
        return self._made()

    def find(self, branch: str) -> Pull | None:
        """See Forge."""
        found = [one for one in self._records() if one.branch == branch and one.state == "open"]
        return found[0].pull() if found else None

    def turned_down(self, branch: str, commit: str) -> Pull | None:
        """See Forge."""
        for one in self._records():
            if one.branch == branch and one.state == "closed" and one.head_commit == commit:
                return one.pull()
        return None

    def ended(self, branch: str) -> Ended | None:
        """See Forge. What a person says is a comment under another key than ours."""
        found = [one for one in self._records() if one.branch == branch and one.state != "open"]
        if not found:
            return None
        people = [who for who in found[-1].comments if who != CLOSED and not who.startswith("<!--")]
        last = f"{people[-1]}: {found[-1].comments[people[-1]]}" if people else None
        return Ended(pull=found[-1].pull(), merged=found[-1].state == "merged", labels=found[-1].labels, comment=last)

    def conclusion(self, commit: str, check: str) -> str | None:  # noqa: ARG002 - a protocol's
        """Nothing runs checks here."""
        return None

    def open(self, branch: str, base: str, title: str, body: str) -> Pull:
        """See Forge."""
        with self._alone():
            if (found := self.find(branch)) is not None:
                return found
            head = git.commit_of(self._bare, f"refs/heads/{branch}")
            if head is None:
                raise ConfigurationError(f"{self.name} has no branch {branch}; push it to {FOLDER}.")
            number = max((one.number for one in self._records()), default=0) + 1
            url = f"{FOLDER}/{_path(number)}"
            made = Record(number=number, branch=branch, base=base, title=title, body=body, url=url, head_commit=head)
            self._write(made)
            return made.pull()

    def update(self, pull: Pull, title: str, body: str) -> Pull:
        """See Forge."""
        return self._change(pull, title=title, body=body).pull()

    def label(self, pull: Pull, labels: Sequence[str]) -> None:
        """See Forge."""
        self._change(pull, labels=_union(self._record(pull).labels, labels))

    def request_review(self, pull: Pull, reviewers: Sequence[str]) -> None:
        """See Forge."""
        self._change(pull, reviewers=_union(self._record(pull).reviewers, reviewers))

    def auto_merge(self, pull: Pull) -> None:
        """Merge it at once: there are no checks here to wait for."""
        self._change(pull, auto_merge=True)
        self._merge(pull, trees.BOT)

    def comment(self, pull: Pull, marker: str, body: str) -> None:
        """See Forge."""
        self._change(pull, comments={**self._record(pull).comments, marker: body})

    def close(self, pull: Pull, words: str) -> None:
        """See Forge."""
        self.comment(pull, CLOSED, words)
        self._change(pull, state="closed")

    def merge(self, pull: Pull) -> str:
        """Merge it in the name of who works here."""
        return self._merge(pull, {})

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str], alike: Callable[[str], bool]) -> str:  # noqa: ARG002 - a protocol's
        """Nothing runs workflows here."""
        given = " ".join(inputs.values())
        return (
            f"no runner is here to start {workflow} on {ref}; run `trunkline {workflow.removesuffix('.yml')} {given}`"
        )

    def issue(self, marker: str, title: str, body: str, labels: Sequence[str]) -> str:
        """See Forge."""
        with self._alone():
            paths = sorted((self._bare / "issues").glob("*.json"))
            for path in paths:
                if files.read_record(path, Issue).marker == marker:
                    return f"{FOLDER}/issues/{path.name}"
            number = len(paths) + 1
            name = f"issues/{number:06d}.json"
            made = Issue(number=number, marker=marker, title=title, body=body, labels=tuple(labels))
            files.write_record(self._bare / name, made)
            return f"{FOLDER}/{name}"

    def follow(self, marker: str, labels: Sequence[str], words: str, *, over: bool) -> None:  # noqa: ARG002 - a protocol's
        """See Forge."""
        with self._alone():
            for path in sorted((self._bare / "issues").glob("*.json")):
                found = files.read_record(path, Issue)
                if found.marker == marker and found.state == "open":
                    state = "closed" if over else "open"
                    files.write_record(path, found.model_copy(update={"now": words, "state": state}))

    def approval(self, commit: str) -> Approval | None:
        """Who merged it, which is all that git knows."""
        for one in self._records():
            if one.state == "merged" and commit in {one.merge_commit, one.head_commit}:
                return Approval(pull=one.number, url=one.url, merged_by=self._merger(one))
        return None

    def _merger(self, record: Record) -> str | None:
        """Who made the merge; a fast-forward does not tell."""
        if record.merge_commit is None or record.merge_commit == record.head_commit:
            return None
        return shell.run(["git", "log", "-1", "--format=%an", record.merge_commit], cwd=self._bare).out.strip()

    def _merge(self, pull: Pull, identity: Mapping[str, str]) -> str:
        with self._alone():
            record = self._record(pull)
            if record.state == "merged":
                return record.merge_commit or record.head_commit
            if record.state == "closed" or record.head_commit != pull.head_commit:
                raise ConfigurationError(
                    f"#{pull.number} was closed or pushed to since it was read; look at it, and run this again."
                )
            ref = f"refs/heads/{pull.base}"
            there = self.remote.fetch(ref, f"refs/heads/{pull.branch}")[ref]
            tree = trees.merged(self._root, there, pull.head_commit)
            if tree is None:
                raise ConfigurationError(f"#{pull.number} conflicts with {pull.base}; make it anew on top of that.")
            words = f"{pull.title}\n\nMerge of {pull.branch} (#{pull.number})."
            made = trees.commit(self._root, tree, there, pull.head_commit, message=words, env=identity)
            if not self.remote.push(made, ref, there):
                raise ConfigurationError(f"{pull.base} was pushed to while #{pull.number} was merged; run this again.")
            self._write(record.model_copy(update={"state": "merged", "merge_commit": made}))
            return made

    def _records(self) -> list[Record]:
        """All, oldest first, with what became of them since they were written."""
        self._made()
        found = [files.read_record(path, Record) for path in sorted((self._bare / "pulls").glob("*.json"))]
        return [self._current(one) for one in found]

    def _current(self, record: Record) -> Record:
        """As it is now: its branch may have been pushed to, deleted, or merged."""
        if record.state != "open":
            return record
        head = git.commit_of(self._bare, f"refs/heads/{record.branch}")
        last = head or record.head_commit
        base = f"refs/heads/{record.base}"
        if trees.is_ancestor(self._bare, last, base):
            above = ["git", "rev-list", "--first-parent", "--ancestry-path", f"{last}..{base}"]
            arrived = shell.run(above, cwd=self._bare).out.split()
            changes = {"state": "merged", "merge_commit": arrived[-1] if arrived else last}
        else:
            changes = {"state": "open" if head else "closed"}
        now = record.model_copy(update={**changes, "head_commit": last})
        if now.state != "open":
            self._write(now)
        return now

    def _record(self, pull: Pull) -> Record:
        return next(one for one in self._records() if one.number == pull.number)

    def _change(self, pull: Pull, **changes: object) -> Record:
        with self._alone():
            before = self._record(pull)
            after = before.model_copy(update=changes)
            self._write(after)
            return after

    def _write(self, record: Record) -> None:
        files.write_record(self._bare / _path(record.number), record)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with locks.exclusive(self._bare / "pulls.lock", "another change of the local forge"):
            yield

    def _has(self, there: str, mine: str) -> bool:
        return git.commit_of(self._bare, mine) is not None and trees.is_ancestor(self._bare, mine, there)

    def _made(self) -> str:
        """Make the repository, unless it is there, and give its default branch."""
        told = self._told()
        if told is not None:
            return told
        with locks.exclusive(self._root / ".trunkline" / "forge.lock", "another first use of the local forge"):
            if (told := self._told()) is None:
                told = _default(self._root)
                shell.run(["git", "init", "--quiet", "--bare", str(self._bare)], cwd=self._root)
                for ref in (f"refs/heads/{told}", NOTES):
                    if git.commit_of(self._root, ref) is not None:
                        shell.run(
                            ["git", "push", "--quiet", "--no-verify", str(self._bare), f"{ref}:{ref}"], cwd=self._root
                        )
                # Last, since whoever finds this finds all of it.
                shell.run(["git", "config", "trunkline.base", told], cwd=self._bare)
                shell.run(["git", "symbolic-ref", "HEAD", f"refs/heads/{told}"], cwd=self._bare)
        return told

    def _told(self) -> str | None:
        if not (self._bare / "HEAD").exists():
            return None
        done = shell.run(["git", "config", "--local", "trunkline.base"], cwd=self._bare, check=False)
        return done.out.strip() or None


def _default(root: Path) -> str:
    """What this repository calls the branch that changes are merged into."""
    told = shell.run(["git", "config", "init.defaultBranch"], cwd=root, check=False).out.strip()
    current = shell.run(["git", "symbolic-ref", "--quiet", "--short", "HEAD"], cwd=root, check=False).out.strip()
    for name in ("main", "master", told, current):
        if name and git.commit_of(root, f"refs/heads/{name}") is not None:
            return name
    raise ConfigurationError(
        "the local forge needs a branch to merge into, and there is neither main nor master; commit to `main` first."
    )


def _union(have: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*have, *more]))


def _path(number: int) -> str:
    return f"pulls/{number:06d}.json"
