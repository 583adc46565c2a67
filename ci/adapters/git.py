"""The door to git: what changed, against which commit, and a worktree of another commit."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from ci.adapters import shell
from ci.core.errors import ConfigurationError
from ci.core.loglines import quiet


def require_repository(root: Path) -> None:
    """Raise ConfigurationError unless `root` is the top of a git work tree."""
    done = shell.run(["git", "rev-parse", "--show-toplevel"], cwd=root, check=False)
    if done.code != 0:
        raise ConfigurationError(f"{root} is not in a git repository; run `git init` and commit, or clone it with git.")
    top = Path(done.out.removesuffix("\n"))
    if top.resolve() != root.resolve():
        raise ConfigurationError(f"{root} is inside the repository {top}; run this command there.")


MADE = ("artifacts", ".dvc/cache", ".dvc/tmp", ".trunkline")
"""What commands write and later ones trust, so no commit may bring it."""


def require_untracked(root: Path) -> None:
    """Raise ConfigurationError where git tracks a file in a folder of MADE, or one of those folders as a link."""
    folders = sorted({name.partition("/")[0] for name in MADE})
    tracked = shell.run(["git", "ls-files", "-z", "--", *folders], cwd=root).out.split("\0")
    for path in tracked:
        if path in {*folders, *MADE} or path.startswith(tuple(f"{name}/" for name in MADE)):
            shown = quiet(path)
            raise ConfigurationError(
                f"{shown} is tracked by git, but what lies there is made by trunkline and never committed; "
                f"take it out with `git rm --cached {shlex.quote(shown)}` and commit.",
                file=shown,
            )


def commit_of(root: Path, name: str) -> str | None:
    """The commit that `name` stands for, or None where there is none."""
    done = shell.run(["git", "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"], cwd=root, check=False)
    return done.out.strip() or None


def head(root: Path) -> str | None:
    """The commit checked out, or None before the first one."""
    return commit_of(root, "HEAD")


def parent(root: Path) -> str | None:
    """The commit before the one checked out, or None at the first."""
    return commit_of(root, "HEAD^")


def committed_at(root: Path, commit: str) -> str:
    """When a commit was made, as RFC 3339 in UTC. Raises CommandFailed where there is no such commit."""
    seconds = shell.run(["git", "show", "--no-patch", "--format=%ct", commit], cwd=root).out.split()[-1]
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_shallow(root: Path) -> bool:
    """Whether history was cut off when this clone was made."""
    return shell.run(["git", "rev-parse", "--is-shallow-repository"], cwd=root).out.strip() == "true"


def common_ancestor(root: Path, one: str, other: str) -> str | None:
    """The commit that two have last in common, or None."""
    return shell.run(["git", "merge-base", one, other], cwd=root, check=False).out.strip() or None


def merge_base(root: Path, ref: str | None = None) -> str | None:
    """The commit this change started from; None when there is none (first commit, shallow clone).

    Without `ref`: TRUNKLINE_BASE unless it is empty, else the remote's default branch, else the local `main` or
    `master`. When HEAD itself is that commit and nothing is uncommitted, the change under test is HEAD's own, so its
    parent is the base. A whole hash that is not here (what was there before a forced push) is no base, which stderr
    says; any other `ref` that does not exist in a full clone raises ConfigurationError.
    """
    target = ref or os.environ.get("TRUNKLINE_BASE") or _default_branch(root)
    if target is None:
        return None
    if commit_of(root, target) is None:
        if is_shallow(root) or set(target) == {"0"}:
            return None
        if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", target):
            print(
                f"trunkline: {target} is not in this clone (a forced push?): nothing to compare with.", file=sys.stderr
            )
            return None
        raise ConfigurationError(
            f"'{target}' is not a commit of this repository; fetch it, or name another with --base."
        )
    base = common_ancestor(root, "HEAD", target)
    if base is not None and base == head(root) and not changed_paths(root, base):
        return parent(root)
    return base


def _default_branch(root: Path) -> str | None:
    """The full name of what changes are merged into; None before the first commit."""
    if head(root) is None:
        return None
    told = shell.run(["git", "config", "init.defaultBranch"], cwd=root, check=False).out.strip()
    remote = [f"refs/remotes/origin/{name}" for name in ("HEAD", "main", "master")]
    local = [f"refs/heads/{name}" for name in ("main", "master", *([told] if told else []))]
    for name in (*remote, *local):
        if commit_of(root, name) is not None:
            return name
    if is_shallow(root):
        return None
    raise ConfigurationError(
        "what this change will be merged into is not known: there is neither origin nor a branch main or master; "
        "name it with --base or TRUNKLINE_BASE."
    )


def changed_paths(root: Path, base: str) -> list[str]:
    """Paths that differ between `base` and the working tree, untracked ones included, sorted."""
    tracked = shell.run(["git", "diff", "--name-only", "--no-renames", "-z", base], cwd=root).out
    untracked = shell.run(["git", "ls-files", "--others", "--exclude-standard", "-z"], cwd=root).out
    return sorted({path for path in (tracked + untracked).split("\0") if path})


def show(root: Path, commit: str, path: str) -> str | None:
    """The text of `path` at `commit`, or None where it did not exist."""
    done = shell.run(["git", "show", f"{commit}:{path}"], cwd=root, check=False)
    return done.out if done.code == 0 else None


def trailer(root: Path, commit: str, name: str) -> str:
    """What the last lines of a commit's message say under a name (`Requested-by`), or nothing."""
    asked = ["git", "log", "-1", f"--format=%(trailers:key={name},valueonly)", commit]
    return shell.run(asked, cwd=root).out.strip()


def add_worktree(root: Path, where: Path, commit: str, *, inert: bool = False) -> None:
    """Check `commit` out at `where`, detached; what an earlier, killed run left there is replaced.

    With `inert` git runs nothing on what the commit has: no hook, no filter, no LFS.
    """
    remove_worktree(root, where)
    settings = _inert(root) if inert else []
    env = {"GIT_LFS_SKIP_SMUDGE": "1"} if inert else None
    shell.run(["git", *settings, "worktree", "add", "--force", "--detach", str(where), commit], cwd=root, env=env)


def _inert(root: Path) -> list[str]:
    asked = ["git", "config", "--name-only", "--get-regexp", r"^filter\..*\.(clean|smudge|process|required)$"]
    filters = sorted(set(shell.run(asked, cwd=root, check=False).out.splitlines()))
    settings = ("core.hooksPath=/dev/null", "submodule.recurse=false", *(f"{name}=" for name in filters))
    return [word for setting in settings for word in ("-c", setting)]


def remove_worktree(root: Path, where: Path) -> None:
    """Remove the worktree at `where`, whole or half made, if there is one."""
    shutil.rmtree(where, ignore_errors=True)
    shell.run(["git", "worktree", "prune"], cwd=root)
