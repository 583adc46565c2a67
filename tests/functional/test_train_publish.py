"""`trunkline publish`: what a training job left comes to its branch, or is refused, by the local forge."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.adapters import dvc
from ci.adapters.forge.local import FOLDER, Local
from ci.core.bot import EMAIL, NAME
from ci.core.lineage import all_entries_of
from tests.project import Project

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

LOCK = "dvc.lock"


@dataclass(frozen=True)
class Handed:
    """A checkout of main beside its forge, which has a branch `change`; and what training that left in `records`."""

    host: Project
    records: Path
    sha: str

    def publish(self, *args: str, branch: str = "change", code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it as train.yml does."""
        lock = self.records / "lock-churn" / LOCK
        words = ("--branch", branch, "--sha", self.sha, "--records", str(self.records), "--lock", str(lock))
        return self.host.trunkline("publish", "churn", *words, *args, code=code)

    def git(self, *args: str) -> str:
        """Git in the forge."""
        return self.host.git("--git-dir", FOLDER, *args)

    def entries(self, ref: str) -> dict[str, Any]:
        """What dvc.lock has of churn's full training on a branch of the forge."""
        return all_entries_of(dvc.lock(self.git("show", f"{ref}:{LOCK}")), "churn")

    def handed_over(self) -> dict[str, Any]:
        return all_entries_of(dvc.lock((self.records / "lock-churn" / LOCK).read_text()), "churn")

    def pushed(self, branch: str, file: str, before: str, after: str, where: Path) -> str:
        """Somebody edits a file on a branch; gives the commit."""
        self.host.run("git", "clone", "--quiet", "--branch", branch, FOLDER, str(where))
        clone = Project(where)
        clone.edit(file, before, after)
        commit = clone.commit("meanwhile")
        clone.git("push", "--quiet", "origin", branch)
        return commit


@pytest.fixture(scope="module")
def once(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Handed:
    """A branch that was trained on a runner of its own. Not to be changed."""
    here = tmp_path_factory.mktemp("handed")
    host, runner = trained.copy(here / "host"), trained.copy(here / "runner")
    Local(host.root).sync()
    runner.git("switch", "--quiet", "--create", "change")
    runner.edit("ml/models/churn/params.yaml", "learning_rate: 0.08", "learning_rate: 0.083")
    sha = runner.commit("another learning rate")
    runner.git("push", "--quiet", str(host.root / FOLDER), "change")
    runner.trunkline("train", "churn")
    skip = shutil.ignore_patterns("*.parquet", "*.onnx", "smoke", "baseline", "plots")
    shutil.copytree(runner.root / "artifacts/churn", here / "records/train-churn/churn", ignore=skip)
    (here / "records/lock-churn").mkdir()
    shutil.copyfile(runner.root / LOCK, here / "records/lock-churn" / LOCK)
    return Handed(host, here / "records", sha)


@pytest.fixture
def handed(once: Handed, tmp_path: Path) -> Handed:
    """The same, one's own."""
    shutil.copytree(once.records, tmp_path / "records")
    return Handed(once.host.copy(tmp_path / "host"), tmp_path / "records", once.sha)


def test_the_lock_is_committed_to_the_branch_once(handed: Handed) -> None:
    handed.publish()
    assert handed.git("rev-parse", "change^") == handed.sha
    assert handed.git("diff", "--name-only", "change^", "change") == LOCK
    assert handed.git("log", "-1", "--format=%an %ae %cn %ce", "change") == f"{NAME} {EMAIL} {NAME} {EMAIL}"
    assert "Full training of churn" in handed.git("log", "-1", "--format=%s", "change")
    assert handed.entries("change") == handed.handed_over() != handed.entries("change^")
    head = handed.git("rev-parse", "change")
    assert "change has it already" in handed.publish().stdout
    spent = json.loads(handed.git("show", "refs/trunkline/training/churn:spent.json"))
    assert (spent["model"], spent["rows"], spent["seconds"] > 0) == ("churn", 7000, True)
    assert handed.git("rev-parse", "change") == head
    assert handed.host.git("worktree", "list").count("\n") == 0
    assert handed.host.git("status", "--porcelain") == "", "what is checked out is not touched"


def test_what_it_commits_is_what_training_would_find_done(handed: Handed, tmp_path: Path) -> None:
    handed.publish()
    handed.host.run("git", "clone", "--quiet", "--branch", "change", FOLDER, str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    done = clone.trunkline("plan", "--mode", "full", "churn")
    assert "nothing to train: dvc.lock holds the full training of churn" in done.stdout


def test_it_comes_on_top_of_what_somebody_pushed_meanwhile(handed: Handed, tmp_path: Path) -> None:
    theirs = handed.pushed("change", "CHANGELOG.md", "# Changelog", "# The changelog", tmp_path / "clone")
    handed.publish()
    assert handed.git("rev-parse", "change^") == theirs
    assert handed.entries("change") == handed.handed_over()


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("ml/models/churn/params.yaml", "learning_rate: 0.083", "learning_rate: 0.084", "model modified"),
        ("ml/models/churn/features.py", '"""', '"""\n', "features.py modified"),
        ("data.dvc", "md5: 853ef2", "md5: 953ef2", "other data than is pinned as data/churn"),
    ],
)
def test_a_branch_that_is_something_else_by_now_is_left_alone(
    handed: Handed, tmp_path: Path, file: str, before: str, after: str, told: str
) -> None:
    theirs = handed.pushed("change", file, before, after, tmp_path / "clone")
    done = handed.publish(code=1)
    assert f"change has moved on since {handed.sha[:12]} was trained" in done.stderr
    assert told in done.stderr
    assert handed.git("rev-parse", "change") == theirs
    assert handed.host.git("worktree", "list").count("\n") == 0


def test_nothing_of_a_branch_is_run_nor_told_the_tokens(
    handed: Handed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    handed.host.run("git", "clone", "--quiet", "--branch", "change", FOLDER, str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    code = f"import os\nopen({str(ran)!r}, 'a').write(__file__)\n"
    for name in ("dvc/__init__.py", "dvc/__main__.py", "yaml.py", "sitecustomize.py"):
        (clone.root / name).parent.mkdir(exist_ok=True)
        (clone.root / name).write_text(code)
    (clone.root / ".gitattributes").write_text("*.md filter=theirs\n")
    (clone.root / ".dvc/config").write_text("[core]\n    site_cache_dir = ../theirs\n    remote = none\n")
    (clone.root / ".dvc/config.local").write_text("not even settings")
    clone.git("add", "--force", ".dvc/config.local")
    clone.commit("theirs")
    clone.git("push", "--quiet", "origin", "change")
    handed.host.git("config", "filter.theirs.smudge", f"touch {ran}; cat")
    handed.host.git("config", "filter.theirs.required", "true")
    hook = handed.host.root / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    monkeypatch.setenv("TRUNKLINE_TOKEN", "a-token")
    handed.publish()
    assert handed.entries("change") == handed.handed_over()
    assert not ran.exists()


def merge(handed: Handed) -> None:
    handed.git("update-ref", "refs/heads/main", handed.sha)


def test_of_the_default_branch_it_comes_as_a_pull_request_once(handed: Handed, tmp_path: Path) -> None:
    merge(handed)
    handed.publish(branch="main")
    (pull,) = Local(handed.host.root)._records()
    assert (pull.branch, pull.base, pull.title) == ("train/churn", "main", "Full training of churn")
    assert f"The full training of `churn` as main has it, made from {handed.sha}" in pull.body
    assert "average\\_precision" in pull.body
    assert handed.git("rev-parse", "train/churn^") == handed.sha == handed.git("rev-parse", "main")
    assert handed.entries("train/churn") == handed.handed_over()

    handed.pushed("main", "CHANGELOG.md", "# Changelog", "# The changelog", tmp_path / "clone")
    head = handed.git("rev-parse", "train/churn")
    assert "unchanged" in handed.publish(branch="main").stdout
    assert handed.git("rev-parse", "train/churn") == head

    Local(handed.host.root).merge(pull.pull())
    assert "main has it already" in handed.publish(branch="main").stdout
    assert handed.entries("main") == handed.handed_over()
    assert len(Local(handed.host.root)._records()) == 1


def test_a_default_branch_that_is_something_else_by_now_gets_none(handed: Handed, tmp_path: Path) -> None:
    merge(handed)
    handed.pushed("main", "ml/models/churn/params.yaml", "depth: 3", "depth: 4", tmp_path / "clone")
    assert "main has moved on since" in handed.publish(branch="main", code=1).stderr
    assert Local(handed.host.root)._records() == []


def test_a_verdict_that_refuses_is_not_published(handed: Handed) -> None:
    def refuse(record: dict[str, Any]) -> None:
        record["gates"][0].update(verdict="fail", blocks=True)
        record.update(verdict="fail", blocks=True)

    change_verdict(handed, refuse)
    assert "churn: not published: " in handed.publish(code=3).stdout
    assert handed.git("rev-parse", "change") == handed.sha


def test_an_inconclusive_candidate_of_a_retraining_is_not_published_and_its_check_is_red(handed: Handed) -> None:
    record = json.loads((handed.records / "train-churn/churn/full/verdict.json").read_text())
    assert (record["verdict"], record["blocks"]) == ("inconclusive", False)
    handed.git("branch", "retrain/churn", handed.sha)
    handed.git("branch", "retrain/fraud", handed.sha)
    assert "churn: not published: churn is inconclusive" in handed.publish(branch="retrain/churn", code=4).stdout
    assert handed.git("rev-parse", "retrain/churn") == handed.sha
    handed.publish(branch="retrain/fraud")  # not the branch of this model's retraining
    assert handed.git("rev-parse", "retrain/fraud^") == handed.sha


def change_verdict(handed: Handed, change: Callable[[dict[str, Any]], object]) -> None:
    path = handed.records / "train-churn/churn/full/verdict.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def change_lock(handed: Handed, change: Callable[[dict[str, Any]], object]) -> None:
    path = handed.records / "lock-churn" / LOCK
    lock = yaml.safe_load(path.read_text())
    change(lock["stages"])
    path.write_text(yaml.safe_dump(lock))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda record: record.update(commit="0" * 40), "is of commit"),
        (lambda record: record.update(mode="smoke"), "is of mode 'smoke', but 'full' is asked for"),
        (lambda record: record.update(candidate_hash="0" * 32), "pins another model than was judged"),
        (lambda record: record.update(verdict="inconclusive", gates=[]), "but its gates say"),
        (lambda record: record.update(more=1), "is not a whole Verdict record"),
    ],
)
def test_a_verdict_that_is_not_of_this_training_is_refused(
    handed: Handed, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    change_verdict(handed, change)
    assert told in handed.publish(code=1).stderr
    assert handed.git("rev-parse", "change") == handed.sha


def test_what_the_lock_says_of_others_is_not_taken(handed: Handed) -> None:
    change_lock(handed, lambda stages: stages["train@fraud-smoke"].update(cmd="python -m theirs"))
    change_lock(handed, lambda stages: stages.update(more={"cmd": "x"}))
    handed.publish()
    before, after = (dvc.lock(handed.git("show", f"{ref}:{LOCK}")) for ref in ("change^", "change"))
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed
    assert changed <= handed.handed_over().keys()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda stages: stages.pop("evaluate@churn-full"), "does not hold every stage of the full training of churn"),
        (lambda stages: stages["train@churn-full"]["deps"].pop(), "dvc.lock is behind train@churn-full"),
        (lambda stages: stages["train@churn-full"].update(cmd="python -m other"), "changed command"),
        (lambda stages: stages["train@churn-full"]["params"]["params.yaml"].clear(), "behind train@churn-full"),
    ],
)
def test_a_lock_that_is_not_of_the_branch_is_refused(
    handed: Handed, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    change_lock(handed, change)
    assert told in handed.publish(code=1).stderr
    assert handed.git("rev-parse", "change") == handed.sha


def test_what_is_no_lock_at_all_is_refused(handed: Handed, tmp_path: Path) -> None:
    path = handed.records / "lock-churn" / LOCK
    for content, told in ((b"\xff\xfe", "is not UTF-8 text"), (b"#" * 4_000_001, "4,000,001 bytes"), (b"", "not YAML")):
        path.write_bytes(content)
        assert told in handed.publish(code=1).stderr
    path.unlink()
    assert "is not a plain file" in handed.publish(code=1).stderr
    (tmp_path / "secret").write_text("stages: {}")
    path.symlink_to(tmp_path / "secret")
    assert "is not a plain file" in handed.publish(code=1).stderr


def test_a_training_that_left_no_verdict_is_told(handed: Handed) -> None:
    shutil.rmtree(handed.records / "train-churn")
    assert "is missing: the job stopped before it could judge" in handed.publish(code=1).stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("../x", "--branch", "b", "--sha", "a" * 40), "MODEL is '../x'"),
        (("churn", "--branch", "--force", "--sha", "a" * 40), "expected one argument"),
        (("churn", "--branch=-x", "--sha", "a" * 40), "--branch is '-x'"),
        (("churn", "--branch", "b\n::x::", "--sha", "a" * 40), "has to be the name of a branch"),
        (("churn", "--branch", "b", "--sha", "HEAD"), "--sha is 'HEAD', but has to be a whole commit hash"),
    ],
)
def test_wrong_usage_is_told(checked: Project, args: tuple[str, ...], told: str) -> None:
    done = checked.trunkline("publish", *args, "--lock", "f", "--records", "d", code=1)
    assert told in done.stderr
    assert "::x::" not in done.stderr
