"""The loop of every change by the bot: fetch, compute on the newest base, nothing changed? stop, push, open or update.

Safe to run twice, to run again after a kill anywhere, and for two at once: what counts is what the forge has.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ci.adapters import git, locks, shell, trees
from ci.adapters.remote import require_whole
from ci.core.bot import require_ours, step
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.forge import NOTES, Proposed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ci.adapters.forge import Forge
    from ci.core.bot import Compute, Proposal

ROUNDS = 5  # races that may be lost before it is said


def propose(root: Path, forge: Forge, proposal: Proposal, *, dry_run: bool = False) -> Proposed:
    """Make the proposal's branch and pull request what it says, and nothing where the base has it all already.

    A pull request that a person closed is not opened again until there is something else to propose; a branch that a
    person pushed to is refused (ConfigurationError). A dry run stops before the push.
    """
    require_whole(root)
    forge.sync()
    base, branch = forge.base(), _ref(proposal.branch)
    for _ in range(ROUNDS):
        seen = forge.remote.fetch(_ref(base), branch)
        newest, head = _require(seen.get(_ref(base)), base, forge), seen.get(branch)
        wanted = trees.changed(root, newest, proposal.compute(trees.reader(root, newest)))
        merged = trees.merged(root, newest, head) if head else None
        to_do = step(base=trees.tree_of(root, newest), wanted=wanted, merged=merged)
        above = trees.commits(root, newest, head) if head else []
        if to_do == "nothing":
            if not dry_run and head and all(commit.ours for commit in above):
                _withdraw(forge, proposal, head)
            return Proposed(action="nothing")
        require_ours(proposal.branch, above)
        if to_do == "push" or head is None:
            made = trees.commit(root, wanted, newest, message=proposal.message)
            if dry_run:
                found = forge.find(proposal.branch)
                return Proposed(action="updated" if found else "opened", pull=found, commit=made)
            if not forge.remote.push(made, branch, head):
                continue
            return _settle(forge, proposal, base, made, pushed=True)
        if dry_run:
            found = forge.find(proposal.branch)
            return Proposed(action="unchanged" if found else "opened", pull=found, commit=head)
        return _settle(forge, proposal, base, head, pushed=False)
    raise _overtaken(proposal.branch)


def append(
    root: Path, forge: Forge, branch: str, compute: Compute, message: str, expect: Callable[[str], None]
) -> str | None:
    """Add one commit to a branch that is there, and give it; None where the branch has it all already.

    `expect` is called with the branch's newest commit, whose history is here, and raises if that is not acceptable.
    Nothing is ever written over: when somebody pushed first, all is asked and made again on top of that.
    """
    require_whole(root)
    forge.sync()
    ref = _ref(branch)
    for _ in range(ROUNDS):
        head = _require(forge.remote.fetch(ref).get(ref), branch, forge)
        expect(head)
        wanted = trees.changed(root, head, compute(trees.reader(root, head)))
        if wanted == trees.tree_of(root, head):
            return None
        made = trees.commit(root, wanted, head, message=message)
        if forge.remote.push(made, ref, head):
            return made
    raise _overtaken(branch)


def note(root: Path, forge: Forge, commit: str, text: str) -> None:
    """Make `text` the git note of a commit, here and at the forge; `root`'s own copy of the notes follows the forge."""
    with _alone_with_notes(root):
        for _ in range(ROUNDS):
            there = _follow_notes(root, forge)
            kept = shell.run(["git", "notes", "--ref", NOTES, "show", commit], cwd=root, check=False)
            if kept.code != 0 or kept.out.strip() != text.strip():
                words = ["git", "notes", "--ref", NOTES, "add", "--force", "--message", text, commit]
                shell.run(words, cwd=root, env=trees.BOT)
            if (mine := git.commit_of(root, NOTES)) == there or forge.remote.push(mine, NOTES, there):
                return
    raise _overtaken(NOTES)


def take_notes(root: Path, forge: Forge) -> None:
    """Bring the notes at hand up to those of the forge."""
    with _alone_with_notes(root):
        _follow_notes(root, forge)


def give_notes(root: Path, forge: Forge) -> None:
    """Push the notes that a killed run made here and left here."""
    with _alone_with_notes(root):
        for _ in range(ROUNDS):
            there = _follow_notes(root, forge)
            if (mine := git.commit_of(root, NOTES)) == there or forge.remote.push(mine, NOTES, there):
                return
    raise _overtaken(NOTES)


def _follow_notes(root: Path, forge: Forge) -> str | None:
    """Where the forge's notes are at. Notes made here on top of those are kept: a killed run did not push them yet."""
    there = forge.remote.fetch(NOTES).get(NOTES)
    if there is not None and not trees.is_ancestor(root, there, NOTES):
        shell.run(["git", "update-ref", NOTES, there], cwd=root)
    return there


def _alone_with_notes(root: Path) -> AbstractContextManager[None]:
    return locks.exclusive(root / ".trunkline" / "notes.lock", "another note")


def _settle(forge: Forge, proposal: Proposal, base: str, head: str, *, pushed: bool) -> Proposed:
    """The pull request of a branch that is as it should be."""
    pull = forge.find(proposal.branch)
    opened = pull is None
    if pull is None:
        if not (pushed or proposal.anew) and (closed := forge.turned_down(proposal.branch, head)) is not None:
            print(
                f"#{closed.number} proposed exactly this and was closed without a merge; reopen it, or delete the "
                f"branch {proposal.branch} to have it proposed again.",
                file=sys.stderr,
            )
            return Proposed(action="nothing", pull=closed, commit=head)
        pull = forge.open(proposal.branch, base, proposal.title, proposal.body)
    changed = (pull.title.strip(), pull.body.strip()) != (proposal.title.strip(), proposal.body.strip())
    if changed:
        pull = forge.update(pull, proposal.title, proposal.body)
    if proposal.labels:
        forge.label(pull, proposal.labels)
    if proposal.reviewers:
        forge.request_review(pull, proposal.reviewers)
    pull = pull.model_copy(update={"head_commit": head})  # what was verified here, not what the branch may have by now
    if proposal.auto_merge:
        forge.auto_merge(pull)
    return Proposed(
        action="opened" if opened else "updated" if pushed or changed else "unchanged", pull=pull, commit=head
    )


def _withdraw(forge: Forge, proposal: Proposal, head: str) -> None:
    """Close what is no longer needed. The branch goes first: with it here, a person would seem to have said no."""
    pull = forge.find(proposal.branch)
    if pull is not None and forge.remote.push(None, _ref(proposal.branch), head):
        general = f"{pull.base} has all of this already, or no longer needs it."
        forge.close(pull, f"Closed by Trunkline: {proposal.withdrawal or general}")


def _ref(branch: str) -> str:
    return f"refs/heads/{branch}"


def _require(commit: str | None, branch: str, forge: Forge) -> str:
    if commit is None:
        raise ConfigurationError(f"{forge.name} has no branch {branch}; push it, or name another.")
    return commit


def _overtaken(what: str) -> EnvironmentFault:
    return EnvironmentFault(f"{what} was pushed to by others {ROUNDS} times while this ran; run it again.")
