"""What changed and since when, asked of real git."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from ci.adapters import git
from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def run(root: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path, name: str, text: str) -> str:
    (root / name).write_text(text)
    run(root, "add", name)
    run(root, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", f"{name} {text}")
    return run(root, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TRUNKLINE_BASE", raising=False)
    root = tmp_path / "repository"
    root.mkdir()
    run(root, "init", "-q", "-b", "main")
    return root


def test_a_folder_without_git_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not in a git repository; run `git init`"):
        git.require_repository(tmp_path)


def test_before_the_first_commit_there_is_nothing_to_compare_with(repository: Path) -> None:
    assert git.head(repository) is None
    assert git.merge_base(repository) is None


def test_the_first_commit_has_no_base(repository: Path) -> None:
    commit(repository, "a", "1")
    assert git.merge_base(repository) is None


def test_on_main_a_clean_tree_is_compared_with_the_commit_before(repository: Path) -> None:
    first = commit(repository, "a", "1")
    second = commit(repository, "a", "2")
    assert git.merge_base(repository) == first
    (repository / "new").write_text("untracked")
    assert git.merge_base(repository) == second
    assert git.changed_paths(repository, second) == ["new"]


def test_a_branch_is_compared_with_where_it_left_main(repository: Path) -> None:
    fork = commit(repository, "a", "1")
    run(repository, "switch", "-qc", "work")
    commit(repository, "b", "1")
    run(repository, "switch", "-q", "main")
    commit(repository, "c", "1")
    run(repository, "switch", "-q", "work")
    assert git.merge_base(repository) == fork
    assert git.changed_paths(repository, fork) == ["b"]


def test_the_environment_names_the_base_in_ci(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = commit(repository, "a", "1")
    commit(repository, "a", "2")
    commit(repository, "a", "3")
    monkeypatch.setenv("TRUNKLINE_BASE", first)
    assert git.merge_base(repository) == first
    monkeypatch.setenv("TRUNKLINE_BASE", "0" * 40)
    assert git.merge_base(repository) is None


def test_a_base_that_does_not_exist_is_named(repository: Path) -> None:
    commit(repository, "a", "1")
    with pytest.raises(ConfigurationError, match="'release' is not a commit of this repository"):
        git.merge_base(repository, "release")


def test_a_commit_that_a_forced_push_took_away_is_no_base(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(repository, "a", "1")
    commit(repository, "a", "2")
    monkeypatch.setenv("TRUNKLINE_BASE", "d" * 40)
    assert git.merge_base(repository) is None
    assert f"{'d' * 40} is not in this clone" in capsys.readouterr().err


def test_an_empty_base_is_as_none_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = commit(repository, "a", "1")
    commit(repository, "a", "2")
    monkeypatch.setenv("TRUNKLINE_BASE", "")
    assert git.merge_base(repository) == first


def test_a_tag_does_not_pass_for_the_default_branch(repository: Path, tmp_path: Path) -> None:
    fork = commit(repository, "a", "1")
    run(tmp_path, "clone", "-q", str(repository), "clone")
    clone = tmp_path / "clone"
    run(clone, "switch", "-qc", "work")
    commit(clone, "b", "1")
    changed = commit(clone, "b", "2")
    for name in ("origin/HEAD", "origin/main", "main"):
        run(clone, "tag", name, changed)
    assert git.merge_base(clone) == fork


def test_a_file_name_that_is_not_utf_8_is_told_all_the_same(repository: Path) -> None:
    first = commit(repository, "a", "1")
    (repository / os.fsdecode(b"\xff.txt")).write_text("x")
    assert git.changed_paths(repository, first) == ["\\xff.txt"]


@pytest.mark.parametrize(
    "path", ["artifacts/plan.json", "artifacts", ".dvc/cache/files/a", ".dvc/tmp/x", ".dvc", ".trunkline/check.lock"]
)
def test_a_committed_file_where_commands_write_is_refused(repository: Path, path: str) -> None:
    commit(repository, "a", "1")
    git.require_untracked(repository)
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_text("{}")
    git.require_untracked(repository)
    run(repository, "add", "--force", path)
    with pytest.raises(ConfigurationError) as caught:
        git.require_untracked(repository)
    assert caught.value.message.startswith(f"{path} is tracked by git")
    assert f"git rm --cached {path}" in caught.value.message


def test_what_dvc_itself_keeps_in_git_is_fine(repository: Path) -> None:
    (repository / ".dvc").mkdir()
    for path in (".dvc/config", ".dvc/.gitignore", "artifacts.md", "artifacts2"):
        commit(repository, path, "x")
    git.require_untracked(repository)


def test_a_shallow_clone_has_no_base(repository: Path, tmp_path: Path) -> None:
    commit(repository, "a", "1")
    commit(repository, "a", "2")
    run(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    assert git.is_shallow(tmp_path / "shallow")
    assert git.merge_base(tmp_path / "shallow") is None


def test_a_worktree_left_by_a_killed_run_is_replaced(repository: Path, tmp_path: Path) -> None:
    first = commit(repository, "a", "1")
    second = commit(repository, "a", "2")
    where = tmp_path / "tree"
    git.add_worktree(repository, where, second)
    (where / "a").write_text("half written")
    git.add_worktree(repository, where, first)
    assert (where / "a").read_text() == "1"
    git.remove_worktree(repository, where)
    assert not where.exists()


def test_a_folder_in_the_way_of_a_worktree_is_replaced(repository: Path, tmp_path: Path) -> None:
    first = commit(repository, "a", "1")
    where = tmp_path / "tree"
    where.mkdir()
    (where / "junk").write_text("left by a kill between mkdir and checkout")
    git.add_worktree(repository, where, first)
    assert (where / "a").read_text() == "1"
    assert not (where / "junk").exists()


def test_text_at_a_commit(repository: Path) -> None:
    first = commit(repository, "a", "1")
    commit(repository, "a", "2")
    assert git.show(repository, first, "a") == "1"
    assert git.show(repository, first, "nowhere") is None


def test_an_inert_worktree_runs_no_hook_and_no_filter(repository: Path, tmp_path: Path) -> None:
    commit(repository, ".gitattributes", "a filter=theirs\nb filter=process\n")
    commit(repository, "b", "1")
    made = commit(repository, "a", "1")
    ran = tmp_path / "ran"
    for name, value in (("theirs.smudge", f"touch {ran}; cat"), ("theirs.required", "true"), ("process.process", "no")):
        run(repository, "config", f"filter.{name}", value)
    run(repository, "config", "filter.process.required", "true")
    hook = repository / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    git.add_worktree(repository, tmp_path / "tree", made, inert=True)
    assert (tmp_path / "tree/a").read_text() == (tmp_path / "tree/b").read_text() == "1"
    assert not ran.exists()
