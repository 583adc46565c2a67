"""The door to git's past: what a file was at many commits, and who changed it when, in few calls."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ci.adapters import git, shell
from ci.core.errors import ConfigurationError
from ci.core.forge import NOTES
from ci.core.history import ManifestChange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MANIFESTS = "k8s/models/*/*/release.yaml"
PLACE = re.compile(r"k8s/models/(?P<model>[^/]+)/(?P<environment>[^/]+)/release\.yaml")
MAIN_LINE = ("--first-parent", "--diff-merges=first-parent")
FIELD, ENTRY = "\x1f", "\x1e"
FORMAT = ENTRY + FIELD.join(
    ("%H", "%cI", "%an", "%cn", "%s", "%(trailers:key=Reviewed-by,valueonly,separator=%x2C)", "%N", "")
)


def texts(root: Path, names: Sequence[str]) -> list[str | None]:
    """The text of each object named as `<commit>:<path>`, or None where there is none; one call for all of them."""
    if not names:
        return []
    told = shell.run(["git", "cat-file", "--batch"], cwd=root, feed="\n".join(names) + "\n").out
    if "\\x" in told:  # not UTF-8 somewhere, and told in more characters than git counted
        return [git.show(root, *name.split(":", 1)) for name in names]
    rest = told.encode()
    found: list[str | None] = []
    for _ in names:
        head, _, rest = rest.partition(b"\n")
        if b" blob " not in head:
            found.append(None)
            continue
        size = int(head.rpartition(b" ")[2])
        found.append(rest[:size].decode())
        rest = rest[size + 1 :]
    return found


def there(root: Path, names: Sequence[str]) -> set[str]:
    """Those of `names`, each `<commit>:<path>` of a file or a folder, that exist; one call for all of them."""
    if not names:
        return set()
    asked = ["git", "cat-file", "--batch-check=%(objecttype)"]
    told = shell.run(asked, cwd=root, feed="\n".join(names) + "\n").out.splitlines()
    return {name for name, kind in zip(names, told, strict=True) if kind in {"blob", "tree"}}


def of_path(root: Path, path: str) -> list[str]:
    """The commits of the main line up to HEAD that changed `path`, newest first."""
    return shell.run(["git", "log", "--first-parent", "--format=%H", "--", path], cwd=root).out.split()


def manifests(root: Path, pattern: str = MANIFESTS, *, upto: str = "HEAD") -> list[ManifestChange]:
    """Every change of a release.yaml on the main line up to a commit, oldest first, with its text after it."""
    require_whole(root)
    told_as = (f"--notes={NOTES}", f"--format={FORMAT}")
    told = shell.run(
        ["git", "log", *MAIN_LINE, "--reverse", "--no-renames", "--name-only", *told_as, upto, "--", pattern],
        cwd=root,
    ).out
    changes = [change for entry in told.split(ENTRY)[1:] for change in _changes(entry)]
    contents = texts(root, [f"{change.commit}:{change.path}" for change in changes])
    return [change.model_copy(update={"text": text}) for change, text in zip(changes, contents, strict=True)]


def described(root: Path, commits: Sequence[str]) -> dict[str, str]:
    """Day, author and subject of each commit that this clone has."""
    if not commits:
        return {}
    asked = ["git", "log", "--no-walk=unsorted", "--ignore-missing", f"--format=%H{FIELD}%cs %an: %s", *commits]
    lines = shell.run(asked, cwd=root).out.splitlines()
    return dict(line.split(FIELD, 1) for line in lines)


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
    done = shell.run(
        ["git", "log", "--format=%H", "--first-parent", "--diff-merges=first-parent", f"-S{text}", "--", path], cwd=root
    )
    return done.out.split()


def require_whole(root: Path) -> None:
    """Raise ConfigurationError in a shallow clone, whose past is cut off."""
    if git.is_shallow(root):
        raise ConfigurationError(
            "this clone is shallow, and what is asked for lies in the history it lacks; fetch all of it with "
            "`git fetch --unshallow` (`fetch-depth: 0` in a workflow)."
        )


def _changes(entry: str) -> list[ManifestChange]:
    commit, when, author, committer, subject, reviewed, note, names = entry.split(FIELD)
    return [
        ManifestChange(
            path=path,
            model=place["model"],
            environment=place["environment"],
            commit=commit,
            when=when,
            author=author,
            committer=committer,
            subject=subject,
            reviewed_by=tuple(name.strip() for name in reviewed.split(",") if name.strip()),
            note=note.strip() or None,
        )
        for path in names.split("\n")
        if (place := PLACE.fullmatch(path))
    ]
