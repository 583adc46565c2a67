"""The repository behind the stand-in: a bare one, whose branches its pull requests are of."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.github.state import State

WHO = {
    "GIT_AUTHOR_NAME": "GitHub",
    "GIT_AUTHOR_EMAIL": "noreply@github.com",
    "GIT_COMMITTER_NAME": "GitHub",
    "GIT_COMMITTER_EMAIL": "noreply@github.com",
}


def publish(root: Path, folder: Path, repo: str = "octo/line") -> Path:
    """Make `folder`/`repo`.git, bare, with the branches of `root`."""
    bare = folder / f"{repo}.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", root, bare], check=True)
    return bare


def environment(url: str, folder: Path, state: State) -> dict[str, str]:
    """What a job on GitHub has, where `url` is the stand-in and repositories are under `folder`."""
    settings = folder / "gitconfig"
    settings.write_text(
        f'[url "file://{folder}/"]\n\tinsteadOf = https://github.com/\n[user]\n\tname = t\n\temail = t@t\n'
    )
    return {
        "GITHUB_API_URL": url,
        "GITHUB_REPOSITORY": state.repo,
        "GITHUB_TOKEN": state.token,
        "GIT_CONFIG_GLOBAL": str(settings),
    }


def at(state: State, branch: str) -> str | None:
    """The commit a branch is at."""
    return git(state, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")


def contains(state: State, newer: str, older: str) -> bool:
    """Whether `older` is in the history of `newer`."""
    return git(state, "merge-base", "--is-ancestor", older, newer) is not None


def merge(state: State, base: str, head: str, message: str) -> str | None:
    """Merge a commit into a branch as GitHub does; None where they conflict."""
    there = at(state, base)
    assert there is not None
    tree = git(state, "merge-tree", "--write-tree", there, head)
    if tree is None:
        return None
    made = git(state, "commit-tree", tree, "-p", there, "-p", head, "-m", message)
    assert made is not None
    assert git(state, "update-ref", f"refs/heads/{base}", made, there) is not None
    return made


def git(state: State, *args: str) -> str | None:
    """What git prints in the bare repository, or None where it fails."""
    done = subprocess.run(
        ["git", *args], cwd=state.origin, env={**os.environ, **WHO}, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None
