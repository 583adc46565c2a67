"""Trees and commits made of git's own parts, without a worktree: what is checked out is never touched."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import git, shell
from ci.core.bot import EMAIL, NAME, Commit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.core.bot import Read

BOT = {
    "GIT_AUTHOR_NAME": NAME,
    "GIT_AUTHOR_EMAIL": EMAIL,
    "GIT_COMMITTER_NAME": NAME,
    "GIT_COMMITTER_EMAIL": EMAIL,
}
FIELDS = "%H%x00%an%x00%cn%x00%ae%x00%ce%x00%P"


def reader(root: Path, commit: str) -> Read:
    """Reads files as they are at a commit."""
    return lambda path: git.show(root, commit, path)


def tree_of(root: Path, commit: str) -> str:
    """The tree of a commit."""
    return _out(root, "rev-parse", f"{commit}^{{tree}}")


def names(root: Path, commit: str, folder: str) -> list[str]:
    """The paths of the files that a commit has in `folder`, in order; none where it has no such folder."""
    return [path for path in _out(root, "ls-tree", "-z", "-r", "--name-only", commit, f"{folder}/").split("\0") if path]


def changed(root: Path, commit: str | None, files: Mapping[str, str | None]) -> str:
    """The tree of `commit` (None: an empty one) with these files written, or, where there is no text, taken away."""
    with tempfile.TemporaryDirectory(prefix="trunkline-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        content = Path(folder) / "content"
        _out(root, "read-tree", commit or "--empty", env=index)
        for path, text in files.items():
            if text is None:
                _out(root, "update-index", "--force-remove", "--", path, env=index)
                continue
            content.write_bytes(text.encode())
            blob = _out(root, "hash-object", "-w", "--no-filters", "--", str(content))
            _out(root, "update-index", "--add", "--replace", "--cacheinfo", f"100644,{blob},{path}", env=index)
        return _out(root, "write-tree", env=index)


def export(root: Path, commit: str, folder: str, where: Path) -> None:
    """Write what a commit has in `folder` to `where`/`folder`, in the place of what was there."""
    shutil.rmtree(where / folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="trunkline-") as made:
        index = {"GIT_INDEX_FILE": str(Path(made) / "index")}
        _out(root, "read-tree", f"--prefix={folder}/", f"{commit}:{folder}", env=index)
        _out(root, "checkout-index", "--all", "--force", f"--prefix={where.resolve()}/", env=index)


def commit(root: Path, tree: str, *parents: str, message: str, env: Mapping[str, str] | None = None) -> str:
    """A commit that no branch has yet, by the bot unless `env` names another."""
    above = [word for parent in parents for word in ("-p", parent)]
    return _out(root, "commit-tree", tree, *above, "-m", message, env=BOT if env is None else env)


def merged(root: Path, ours: str, theirs: str) -> str | None:
    """The tree that merging two commits gives, or None where they conflict."""
    done = shell.run(["git", "merge-tree", "--write-tree", ours, theirs], cwd=root, check=False)
    return done.out.split("\n", 1)[0] if done.code == 0 else None


def is_ancestor(root: Path, older: str, newer: str) -> bool:
    """Whether `newer` has `older` in its history, or is it."""
    return shell.run(["git", "merge-base", "--is-ancestor", older, newer], cwd=root, check=False).code == 0


def commits(root: Path, base: str, head: str) -> list[Commit]:
    """What `head` has and `base` has not, newest first."""
    listed = _out(root, "log", "-z", "--no-show-signature", f"--format={FIELDS}", f"{base}..{head}")
    found = []
    for sha, author, committer, author_email, committer_email, parents in _entries(listed):
        plain = _is_plain(root, sha, parents.split())
        found.append(Commit(sha, author, committer, author_email, committer_email, plain))
    return found


def _entries(listed: str) -> list[list[str]]:
    fields = listed.split("\0")
    return [fields[at : at + 6] for at in range(0, len(fields) - 5, 6)]


def _is_plain(root: Path, sha: str, parents: list[str]) -> bool:
    return len(parents) == 2 and merged(root, *parents) == tree_of(root, sha)


def _out(root: Path, *args: str, env: Mapping[str, str] | None = None) -> str:
    return shell.run(["git", *args], cwd=root, env=env).out.strip()
