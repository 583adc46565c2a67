"""What a worktree shares with the checkout it is of: DVC's cache, and the remotes as they are set today."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ci.adapters import dvc, git
from ci.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from pathlib import Path


def run(root: Path, *args: str) -> str:
    who = ("-c", "user.name=Dana", "-c", "user.email=dana@example.com")
    words = ["git", *who, *args[1:]] if args[0] == "git" else [sys.executable, "-m", *args]
    return subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    run(root, "git", "init", "-q")
    run(root, "dvc", "init", "-q")
    run(root, "dvc", "remote", "add", "-q", "--default", "near", str(root / "remote"))
    (root / "dvc.yaml").write_text("stages:\n  one:\n    cmd: echo 1 > one.txt\n    outs: [one.txt]\n")
    assert dvc.repro(root, ["one"])
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "-qm", "one")
    return root


def test_a_worktree_reaches_cache_and_remotes_with_what_only_this_machine_knows(root: Path) -> None:
    run(root, "dvc", "remote", "add", "-q", "--default", "far", "s3://bucket/path")
    run(root, "dvc", "remote", "modify", "-q", "--local", "far", "secret_access_key", "a,b#c")
    tree = root / ".trunkline" / "tree"
    git.add_worktree(root, tree, "HEAD")
    dvc.share_cache(root, tree)
    told = run(tree, "dvc", "config", "--list").splitlines()
    for line in (
        f"remote.near.url={root / 'remote'}",
        "remote.far.url=s3://bucket/path",
        "remote.far.secret_access_key=a,b#c",
        "core.remote=far",
        f"cache.dir={root / '.dvc' / 'cache'}",
    ):
        assert line in told
    assert (tree / ".dvc" / "config.local").stat().st_mode & 0o077 == 0


def test_what_was_pushed_here_is_pulled_there(root: Path) -> None:
    dvc.push(root, ["one"])
    tree = root / ".trunkline" / "tree"
    git.add_worktree(root, tree, "HEAD")
    dvc.share_cache(root, tree)
    subprocess.run(["rm", "-rf", root / ".dvc" / "cache"], check=True)
    dvc.pull_outs(tree, ["one"])
    assert (tree / "one.txt").read_text() == "1\n"


def test_a_push_is_tried_again_and_then_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("ci.adapters.dvc.time.sleep", slept.append)
    (root / "remote").write_text("a file where a folder should be")
    with pytest.raises(EnvironmentFault, match="DVC's remote did not take what was made"):
        dvc.push(root, ["one"])
    assert slept == list(dvc.PAUSES)
    (root / "remote").unlink()
    dvc.push(root, ["one"])
    assert "trying again in 1 s" in capsys.readouterr().err


def test_without_a_remote_it_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ci.adapters.dvc.time.sleep", lambda seconds: None)
    run(root, "dvc", "remote", "remove", "-q", "near")
    with pytest.raises(EnvironmentFault, match="no remote"):
        dvc.push(root, ["one"])
