"""A copy of this repository for tests to work in: its own git history, the shared environment, no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Project:
    """A checkout and the commands a developer types in it."""

    root: Path

    def run(self, *args: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one command; `code` is the exit code it has to end with (None: any)."""
        surroundings = {
            name: value
            for name, value in os.environ.items()
            if name != "CI" and not name.startswith(("GITHUB_", "TRUNKLINE_", "MAKE", "MFLAGS"))
        }
        surroundings |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200", **IDENTITY, **env}
        done = subprocess.run(
            args, cwd=self.root, env=surroundings, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if code is not None:
            assert done.returncode == code, f"{args} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def trunkline(self, *args: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `trunkline`, without a traceback whatever happens."""
        done = self.run("trunkline", *args, code=code, **env)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def git(self, *args: str) -> str:
        """Run git and return what it printed."""
        return self.run("git", *args).stdout.strip()

    def commit(self, message: str) -> str:
        """Commit everything in the working tree and return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def commit_empty(self, message: str) -> None:
        """A commit that changes nothing."""
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace text that must be there."""
        path = self.root / name
        text = path.read_text()
        assert before in text, f"{before!r} is not in {name}"
        path.write_text(text.replace(before, after, 1))

    def copy(self, where: Path) -> Project:
        """The same, elsewhere: history, data, artifacts and cache included."""
        shutil.copytree(self.root, where, symlinks=True)
        return Project(where)

    def remember(self, other: Project) -> None:
        """Let DVC's cache hold what another's does, so that a stage that ran there is fetched and not run."""
        cache = self.root / ".dvc/cache"
        shutil.copytree(other.root / ".dvc/cache", cache, dirs_exist_ok=True, copy_function=_put)


def _put(source: str, target: str) -> None:
    """Copy a file of DVC's cache, which is as its name says wherever it is there."""
    if not Path(target).exists():
        shutil.copy2(source, target)


LATENCY = ("{metric: latency_p99_ms, max: 5}", "{metric: latency_p99_ms, max: 500}")
"""Tests share their processors, where a model is slow by chance: that ours are quick, CI's own check of them shows."""

IDENTITY = {
    "GIT_AUTHOR_NAME": "Dana Developer",
    "GIT_AUTHOR_EMAIL": "dana@example.com",
    "GIT_COMMITTER_NAME": "Dana Developer",
    "GIT_COMMITTER_EMAIL": "dana@example.com",
}


def files() -> list[str]:
    """The files of this repository as git would commit them now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def fresh(where: Path) -> Project:
    """A clone of this repository as it stands, but for LATENCY, committed on `main`, with nothing made in it yet."""
    for name in files():
        target = where / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    project = Project(where)
    for params in (where / "ml/models").glob("*/params.yaml"):
        project.edit(str(params.relative_to(where)), *LATENCY)
    project.git("init", "--quiet", "--initial-branch", "main")
    project.commit("the repository as it stands")
    return project
