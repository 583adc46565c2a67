"""The door to git: what changed, against which commit, and a worktree of another commit."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from ci.adapters import shell
from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def require_repository(root: Path) -> None:
    """Raise ConfigurationError unless `root` is the top of a git work tree."""
    done = shell.run(["git", "rev-parse", "--show-toplevel"], cwd=root, check=False)
    if done.code != 0:
        raise ConfigurationError(f"{root} is not in a git repository; run `git init` and commit, or clone it with git.")


def head(root: Path) -> str | None:
    """The commit checked out, or None before the first one."""
    done = shell.run(["git", "rev-parse", "--verify", "--quiet", "HEAD"], cwd=root, check=False)
    return done.out.strip() or None


def is_shallow(root: Path) -> bool:
    """Whether history was cut off when this clone was made."""
    return shell.run(["git", "rev-parse", "--is-shallow-repository"], cwd=root).out.strip() == "true"


def merge_base(root: Path, ref: str | None = None) -> str | None:
    """The commit this change started from; None when there is none (first commit, shallow clone).

    Without `ref`: TRUNKLINE_BASE, else the remote's default branch, else the local `main`, else HEAD. When HEAD
    itself is that commit and nothing is uncommitted, the change under test is HEAD's own, so its parent is the base.
    Raises ConfigurationError for a `ref` that does not exist in a full clone.
    """
    target = ref or os.environ.get("TRUNKLINE_BASE") or _default_branch(root)
    if target is None:
        return None
    if shell.run(["git", "rev-parse", "--verify", "--quiet", f"{target}^{{commit}}"], cwd=root, check=False).code != 0:
        if is_shallow(root) or set(target) == {"0"}:
            return None
        raise ConfigurationError(
            f"'{target}' is not a commit of this repository; fetch it, or name another with --base."
        )
    base = shell.run(["git", "merge-base", "HEAD", target], cwd=root, check=False).out.strip() or None
    if base is not None and base == head(root) and not changed_paths(root, base):
        parent = shell.run(["git", "rev-parse", "--verify", "--quiet", "HEAD^"], cwd=root, check=False)
        return parent.out.strip() or None
    return base


def _default_branch(root: Path) -> str | None:
    for name in ("origin/HEAD", "origin/main", "main", "HEAD"):
        if shell.run(["git", "rev-parse", "--verify", "--quiet", name], cwd=root, check=False).code == 0:
            return name
    return None


def changed_paths(root: Path, base: str) -> list[str]:
    """Paths that differ between `base` and the working tree, untracked ones included, sorted."""
    tracked = shell.run(["git", "diff", "--name-only", "--no-renames", "-z", base], cwd=root).out
    untracked = shell.run(["git", "ls-files", "--others", "--exclude-standard", "-z"], cwd=root).out
    return sorted({path for path in (tracked + untracked).split("\0") if path})


def show(root: Path, commit: str, path: str) -> str | None:
    """The text of `path` at `commit`, or None where it did not exist."""
    done = shell.run(["git", "show", f"{commit}:{path}"], cwd=root, check=False)
    return done.out if done.code == 0 else None


def add_worktree(root: Path, where: Path, commit: str) -> None:
    """Check `commit` out at `where`, detached; what an earlier, killed run left there is replaced."""
    remove_worktree(root, where)
    shell.run(["git", "worktree", "add", "--force", "--detach", str(where), commit], cwd=root)


def remove_worktree(root: Path, where: Path) -> None:
    """Remove the worktree at `where`, whole or half made, if there is one."""
    shutil.rmtree(where, ignore_errors=True)
    shell.run(["git", "worktree", "prune"], cwd=root)
