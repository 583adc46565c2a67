"""The door to git's past: what a file was at many commits, and who changed it when, in few calls."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ci.adapters import git, shell
from ci.core.errors import ConfigurationError
from ci.core.forge import NOTES
from ci.core.history import ManifestChange
from ci.core.release import PLACE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MANIFESTS = "k8s/models/*/*/release.yaml"
MAIN_LINE = ("--first-parent", "--diff-merges=first-parent")
HEAD = re.compile(rb"[0-9a-f]{40,64} blob (\d+)")
# The subject comes last: whatever it holds, it moves nothing else.
FACTS = "%H%n%cI%n%an%n%cn%n%(trailers:key=Reviewed-by,valueonly,unfold,separator=%x2C)%n%s%x00"
UNKNOWN = ("", "", "", "", "")


def texts(root: Path, names: Sequence[str]) -> list[str | None]:
    """The text of each object, named as `<commit>:<path>` or by its hash, or None where there is none; in one call."""
    if not names:
        return []
    told = shell.run(["git", "cat-file", "--batch"], cwd=root, feed="\n".join(names) + "\n").out
    found = _cut(told.encode(), len(names))
    return [_text(root, name) for name in names] if found is None else found


def _cut(rest: bytes, many: int) -> list[str | None] | None:
    """The texts in an answer of `cat-file --batch`; None where one is not UTF-8 or has other line ends.

    Such a text does not arrive as long as git counted it, so what comes after it cannot be told from it.
    """
    found: list[str | None] = []
    for _ in range(many):
        head, _, rest = rest.partition(b"\n")
        if head.endswith(b" missing"):
            found.append(None)
            continue
        counted = HEAD.fullmatch(head)
        size = int(counted[1]) if counted else len(rest)
        if rest[size : size + 1] != b"\n" or b"\\x" in rest[:size]:
            return None
        found.append(rest[:size].decode())
        rest = rest[size + 1 :]
    return None if rest else found


def _text(root: Path, name: str) -> str | None:
    done = shell.run(["git", "cat-file", "blob", name], cwd=root, check=False)
    return done.out if done.code == 0 else None


def there(root: Path, names: Sequence[str]) -> set[str]:
    """Those of `names`, each `<commit>:<path>` of a file or a folder, that exist; one call for all of them."""
    if not names:
        return set()
    asked = ["git", "cat-file", "--batch-check=%(objecttype)"]
    told = shell.run(asked, cwd=root, feed="\n".join(names) + "\n").out.split("\n")
    return {name for name, kind in zip(names, told, strict=False) if kind in {"blob", "tree"}}


def of_path(root: Path, path: str) -> list[str]:
    """The commits of the main line up to HEAD that changed `path`, newest first."""
    return shell.run(["git", "log", "--first-parent", "--format=%H", "--", path], cwd=root).out.split()


def manifests(root: Path, pattern: str = MANIFESTS, *, upto: str = "HEAD") -> list[ManifestChange]:
    """Every change of a release.yaml on the main line up to a commit, oldest first, with its text after it."""
    require_whole(root)
    asked = [
        "git",
        "log",
        *MAIN_LINE,
        "--reverse",
        "--no-renames",
        "--name-only",
        "--format=%x00%H",
        upto,
        "--",
        pattern,
    ]
    entries = [entry.split("\n") for entry in shell.run(asked, cwd=root).out.split("\0")[1:]]
    places = [(entry[0], place) for entry in entries for path in entry[1:] if (place := PLACE.fullmatch(path))]
    commits = list(dict.fromkeys(commit for commit, _ in places))
    facts, kept = _facts(root, commits), _notes(root, set(commits))
    contents = texts(root, [f"{commit}:{place[0]}" for commit, place in places])
    return [
        _change(commit, place, facts.get(commit, UNKNOWN), kept.get(commit), text)
        for (commit, place), text in zip(places, contents, strict=True)
    ]


def described(root: Path, commits: Sequence[str]) -> dict[str, str]:
    """Day, author and subject of each commit that this clone has."""
    if not commits:
        return {}
    asked = ["git", "log", "--no-walk=unsorted", "--ignore-missing", "--format=%H %cs %an: %s%x00", *commits]
    entries = shell.run(asked, cwd=root).out.split("\0")
    return dict(entry.strip("\n").split(" ", 1) for entry in entries if entry.strip("\n"))


def containing(root: Path, commit: str, *, upto: str = "HEAD") -> set[str]:
    """`commit` and those up to another that have it in their past."""
    return {commit, *shell.run(["git", "rev-list", "--ancestry-path", f"{commit}..{upto}"], cwd=root).out.split()}


def touched(root: Path, commit: str) -> list[str]:
    """The paths that a commit changed, against its first parent."""
    asked = ["git", "show", *MAIN_LINE[1:], "--name-only", "--no-renames", "--format=", "-z", commit]
    return [path for path in shell.run(asked, cwd=root).out.split("\0") if path]


def folder(root: Path, commit: str, path: str) -> list[str]:
    """The files in a folder at a commit, by their whole path."""
    asked = ["git", "ls-tree", "--name-only", "-z", commit, f"{path}/"]
    return [name for name in shell.run(asked, cwd=root, check=False).out.split("\0") if name]


def pickaxe(root: Path, text: str, path: str) -> list[str]:
    """The commits up to HEAD that brought or removed `text` in `path`, newest first."""
    # --no-patch, since -S prints the patch of each.
    asked = ["git", "log", "--format=%H", *MAIN_LINE, "--no-patch", f"-S{text}", "--", path]
    return shell.run(asked, cwd=root).out.split()


def require_whole(root: Path) -> None:
    """Raise ConfigurationError in a shallow clone, whose past is cut off."""
    if git.is_shallow(root):
        raise ConfigurationError(
            "this clone is shallow, and what is asked for lies in the history it lacks; fetch all of it with "
            "`git fetch --unshallow` (`fetch-depth: 0` in a workflow)."
        )


def _facts(root: Path, commits: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """When, author, committer, trailers and subject of each commit."""
    if not commits:
        return {}
    asked = ["git", "log", "--no-walk=unsorted", "--stdin", f"--format={FACTS}"]
    entries = shell.run(asked, cwd=root, feed="\n".join(commits) + "\n").out.split("\0")
    fields = [entry.lstrip("\n").split("\n", 5) for entry in entries]
    return {first: (*rest, *UNKNOWN)[:5] for first, *rest in fields}


def _notes(root: Path, commits: set[str]) -> dict[str, str | None]:
    """The note of each of these commits that has one."""
    told = shell.run(["git", "notes", "--ref", NOTES, "list"], cwd=root, check=False).out.split("\n")
    pairs = [line.split(" ") for line in told if " " in line]
    mine = {commit: note for note, commit in pairs if commit in commits}
    return dict(zip(mine, texts(root, list(mine.values())), strict=True))


def _change(
    commit: str, place: re.Match[str], facts: Sequence[str], note: str | None, text: str | None
) -> ManifestChange:
    when, author, committer, reviewed, subject = facts
    return ManifestChange(
        path=place[0],
        model=place["model"],
        environment=place["environment"],
        commit=commit,
        when=when,
        author=author,
        committer=committer,
        subject=subject,
        reviewed_by=tuple(name.strip() for name in reviewed.split(",") if name.strip()),
        note=note.strip() or None if note else None,
        text=text,
    )
