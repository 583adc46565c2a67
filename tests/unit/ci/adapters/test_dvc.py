"""What a worktree shares with the checkout it is of: DVC's cache, and the remotes as they are set today."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ci.adapters import dvc, git
from ci.core.errors import EnvironmentFault


def run(root: Path, *args: str) -> str:
    who = ("-c", "user.name=Dana", "-c", "user.email=dana@example.com")
    words = ["git", *who, *args[1:]] if args[0] == "git" else [sys.executable, "-m", *args]
    return subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one stage that has run, and a remote. Not to be changed."""
    root = tmp_path_factory.mktemp("made") / "work"
    root.mkdir()
    run(root, "git", "init", "-q")
    run(root, "dvc", "init", "-q")
    run(root, "dvc", "remote", "add", "-q", "--default", "near", "remote")
    (root / "dvc.yaml").write_text("stages:\n  one:\n    cmd: echo 1 > one.txt\n    outs: [one.txt]\n")
    assert dvc.repro(root, ["one"])
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "-qm", "one")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "work", symlinks=True))


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


def test_a_cache_that_lies_elsewhere_is_shared_too(root: Path) -> None:
    run(root, "dvc", "cache", "dir", "--local", "../elsewhere")
    tree = root / ".trunkline" / "tree"
    git.add_worktree(root, tree, "HEAD")
    dvc.share_cache(root, tree)
    assert f"cache.dir={root.parent / 'elsewhere'}" in run(tree, "dvc", "config", "--list").splitlines()


def test_what_was_pushed_here_is_pulled_there(root: Path) -> None:
    dvc.push(root, ["one"])
    tree = root / ".trunkline" / "tree"
    git.add_worktree(root, tree, "HEAD")
    dvc.share_cache(root, tree)
    subprocess.run(["rm", "-rf", root / ".dvc" / "cache"], check=True)
    dvc.pull_outs(tree, ["one"])
    assert (tree / "one.txt").read_text() == "1\n"


def test_dvc_takes_no_module_from_where_it_runs_and_is_told_no_token(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "dvc").mkdir()
    for name in ("dvc/__init__.py", "dvc/__main__.py", "yaml.py"):
        (root / name).write_text(f"open({str(root / 'ran')!r}, 'w')\n")
    for name in ("GITHUB_TOKEN", "TRUNKLINE_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ANOTHER"):
        monkeypatch.setenv(name, "told")
    (root / "stage.py").write_text("")
    (root / "dvc.yaml").write_text("stages:\n  one:\n    cmd: python -m stage && env > one.txt\n    outs: [one.txt]\n")
    assert dvc.repro(root, ["one"]), "a stage finds the project's code"
    assert not (root / "ran").exists()
    told = {line.partition("=")[0] for line in (root / "one.txt").read_text().splitlines()}
    assert "ANOTHER" in told
    assert told.isdisjoint({"GITHUB_TOKEN", "TRUNKLINE_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"})


def test_an_isolated_worktree_has_the_settings_of_here_and_pins_alone(root: Path) -> None:
    tree = root / ".trunkline" / "tree"
    git.add_worktree(root, tree, "HEAD")
    (tree / ".dvc/config.local").write_text("[core]\n    remote = theirs\n")
    (tree / ".dvc/config").unlink()
    (tree / ".dvc/config").symlink_to(root / "one.txt")
    (tree / "data.dvc").write_text(
        "deps:\n- path: s3://b/x\n  fs_config: {configpath: theirs}\n"
        "outs:\n- {path: x, md5: 0123456789abcdef0123456789abcdef, fs_config: {configpath: theirs}}\n"
    )
    (tree / "sub").mkdir()
    (tree / "sub/link.dvc").symlink_to(tree / "data.dvc")
    dvc.isolate(root, tree)
    assert [path.name for path in (tree / ".dvc").iterdir()] == ["config"]
    assert (tree / ".dvc/config").read_bytes() == (root / ".dvc/config").read_bytes()
    assert "theirs" not in (tree / "data.dvc").read_text()
    assert dvc.pinned(tree) == {"x": "0123456789abcdef0123456789abcdef"}
    assert not (tree / "sub/link.dvc").exists()
    assert (root / "one.txt").read_text() == "1\n"
    assert "data.dvc" in dvc.stale(tree)


def test_a_folder_of_settings_that_is_a_link_is_replaced_and_not_followed(root: Path) -> None:
    tree = root / ".trunkline" / "tree"
    git.add_worktree(root, tree, "HEAD")
    (tree / ".dvc").rename(tree / "theirs")
    (tree / ".dvc").symlink_to("theirs")
    dvc.isolate(root, tree)
    assert not (tree / ".dvc").is_symlink()
    assert (tree / "theirs/config").is_file()


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
