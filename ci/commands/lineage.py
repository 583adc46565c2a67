"""The lineage of what is pinned here: of a commit by its history, of a working tree by the lock that lies in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.adapters import dvc, git, history
from ci.core.errors import ConfigurationError
from ci.core.lineage import Lineage, entries_of, lock_hash, of_lock

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "dvc.lock"


def of_head(root: Path, model: str) -> Lineage | None:
    """The lineage of the fully trained model that HEAD's dvc.lock pins; None where it pins none.

    Its commit is the one on the main line that brought these entries: every later commit with the same entries gives
    the same answer. Raises ConfigurationError where a shallow clone hides it.
    """
    head = git.head(root)
    lock = dvc.lock(git.show(root, head, LOCK)) if head else {}
    if not (entries := entries_of(lock, model)):
        return None
    commits, brought = history.of_path(root, LOCK), head or ""
    start, many = 0, 1
    while start < len(commits):
        part = commits[start : start + many]
        for commit, text in zip(part, history.texts(root, [f"{one}:{LOCK}" for one in part]), strict=True):
            if _entries(text, model) != entries:
                return of_lock(lock, model, brought)
            brought = commit
        start, many = start + many, min(2 * many, 64)
    if git.is_shallow(root):
        raise ConfigurationError(
            f"which commit brought {model}'s trained version is not known: this clone is shallow; fetch all of history "
            "with `git fetch --unshallow` (`fetch-depth: 0` in a workflow)."
        )
    return of_lock(lock, model, brought)


def of_key(root: Path, model: str, key: str, model_hash: str) -> Lineage | None:
    """The lineage with lock hash `key` that a dvc.lock pins, HEAD's or else the oldest that does; None where none does.

    One without `model_hash` in its text is not read.
    """
    head = of_head(root, model)
    if head is not None and head.lock_hash == key:
        return head
    commits = history.of_path(root, LOCK)[::-1]
    for commit, text in zip(commits, history.texts(root, [f"{one}:{LOCK}" for one in commits]), strict=True):
        if text is not None and model_hash in text and lock_hash(_entries(text, model)) == key:
            return of_lock(dvc.lock(text), model, commit)
    return None


def of_worktree(root: Path, model: str) -> Lineage | None:
    """The lineage of what the dvc.lock that lies here pins, committed or not, under the commit that is checked out."""
    head = git.head(root)
    return of_lock(dvc.lock_of(root), model, head) if head else None


def _entries(text: str | None, model: str) -> dict[str, Any]:
    """The entries of an older dvc.lock; one that cannot be read, say for a conflict, has none."""
    try:
        return entries_of(dvc.lock(text), model)
    except ConfigurationError:
        return {}
