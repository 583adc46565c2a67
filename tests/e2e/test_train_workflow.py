"""train.yml, run by act against a stand-in for GitHub: from a label to dvc.lock on the branch, and never for a fork."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters import dvc
from ci.adapters.files import read_record
from ci.core.bot import EMAIL
from ci.core.lineage import entries_of
from ci.core.records import Verdict
from tests import releases
from tests.e2e.act import mlflow
from tests.e2e.conftest import REPOSITORY
from tests.github import origin
from tests.github.server import Pull, State, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.act import Act, Result
    from tests.project import Project

LOCK = "dvc.lock"


def lasting(project: Project, where: Path) -> tuple[str, ...]:
    """Have main name a remote that any machine reaches; the settings that name such an MLflow too."""
    releases.remote(project, where)
    project.git("update-ref", "refs/remotes/origin/main", "HEAD")
    return mlflow(where)


def event(commit: str, action: str, *labels: str, added: str | None = None, owner: str = "octo") -> dict[str, Any]:
    """A pull request that was pushed to, or got a label."""
    head = {"ref": "change", "sha": commit, "repo": {"full_name": f"{owner}/line", "fork": owner != "octo"}}
    pull = {
        "number": 7,
        "title": "A change",
        "head": head,
        "base": {"ref": "main", "repo": REPOSITORY},
        "labels": [{"name": name} for name in labels],
    }
    label = {"label": {"name": added}} if added else {}
    return {"action": action, "number": 7, "pull_request": pull, "repository": REPOSITORY, **label}


@dataclass(frozen=True)
class Trained:
    """A branch that was labelled `train`, what became of it, and the one comment that it got."""

    act: Act
    commit: str
    result: Result
    state: State
    body: str


@pytest.fixture(scope="module")
def change(base: Project, act: Callable[[Project, str], Act]) -> tuple[Act, str]:
    """A branch with another learning rate, and an act over it."""
    project = base.copy(base.root.parent / "labelled")
    lasting(project, base.root.parent)
    project.git("switch", "--quiet", "--create", "change")
    project.edit("ml/models/churn/params.yaml", "learning_rate: 0.08", "learning_rate: 0.083")
    return act(project, "labelled"), project.commit("another learning rate")


@pytest.fixture(scope="module")
def trained(change: tuple[Act, str], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The same, labelled."""
    runner, commit = change
    folder = tmp_path_factory.mktemp("served")
    bare = origin.publish(runner.project.root, folder)
    state = State(pulls=[Pull(number=7, sha=commit)], origin=str(bare))
    with running(state) as github:
        env = origin.environment(github.url, folder, state)
        labelled = event(commit, "labeled", "train", added="train")
        result = runner.run("pull_request", "train.yml", labelled, settings=mlflow(folder), **env)
        assert result.jobs == {"plan": "success", "train (churn)": "success", "publish (churn)": "success"}, result.log
        (body,) = github.bodies(7)
    return Trained(runner, commit, result, state, body)


def test_a_label_brings_the_lock_to_the_branch(trained: Trained) -> None:
    state = trained.state
    assert origin.git(state, "rev-parse", "change^") == trained.commit
    assert origin.git(state, "log", "-1", "--format=%ae", "change") == EMAIL
    assert origin.git(state, "diff", "--name-only", "change^", "change") == LOCK
    verdict = read_record(trained.act.artifact("train-churn") / "churn/full/verdict.json", Verdict)
    assert (verdict.mode, verdict.commit) == ("full", trained.commit)
    entries = entries_of(dvc.lock(origin.git(state, "show", f"change:{LOCK}")), "churn")
    made = {out["path"]: out["md5"] for entry in entries.values() for out in entry["outs"]}
    assert made["artifacts/churn/full/model.onnx"] == verdict.candidate_hash


def test_the_report_is_a_comment_of_its_own(trained: Trained) -> None:
    assert trained.body.startswith("<!-- trunkline:train:churn -->")
    assert "champion" in trained.body


def test_neither_rows_nor_the_model_nor_a_token_leave_the_runner(trained: Trained) -> None:
    kept = {path.suffix for path in (trained.act.here / "artifacts").rglob("*") if path.is_file()}
    assert kept
    assert not kept & {".parquet", ".onnx"}
    assert "secret-token" not in trained.result.log


def test_a_branch_that_is_trained_is_not_trained_again(trained: Trained, tmp_path: Path) -> None:
    project = trained.act.project.copy(tmp_path / "trained")
    (project.root / LOCK).write_text((trained.act.artifact("lock-churn") / LOCK).read_text())
    head = project.commit("as the bot commits it")
    runner = replace(trained.act, project=project)
    result = runner.run("pull_request", "train.yml", event(head, "synchronize", "train"))
    assert result.jobs == {"plan": "success"}, result.log
    assert "nothing to train: dvc.lock holds the full training of churn" in result.log


@pytest.mark.parametrize(
    ("action", "labels", "added", "owner"),
    [
        ("labeled", ("train",), "train", "forker"),
        ("synchronize", ("train",), None, "forker"),
        ("labeled", ("train", "bug"), "bug", "octo"),
        ("synchronize", ("bug",), None, "octo"),
    ],
)
def test_a_fork_another_label_and_a_push_without_it_train_nothing(
    change: tuple[Act, str], action: str, labels: tuple[str, ...], added: str | None, owner: str
) -> None:
    runner, commit = change
    result = runner.run("pull_request", "train.yml", event(commit, action, *labels, added=added, owner=owner))
    # No word on the exit code: act, unlike GitHub, reads the matrix of a job that it skips.
    assert result.jobs == {}, result.log


def test_a_dispatch_on_the_default_branch_brings_a_pull_request_by_the_app(
    base: Project, act: Callable[[Project, str], Act], tmp_path: Path
) -> None:
    project = base.copy(tmp_path / "project")
    registry = lasting(project, tmp_path)
    runner = act(project, "dispatched")
    head = project.git("rev-parse", "HEAD")
    state = State(token="app-token", origin=str(origin.publish(project.root, tmp_path)))
    payload = {"inputs": {"model": "churn"}, "ref": "refs/heads/main", "repository": REPOSITORY}
    settings = (*registry, "--var", "APP_ID=1", "--secret", "APP_PRIVATE_KEY=key")
    with running(state) as github:
        env = {**origin.environment(github.url, tmp_path, state), "GITHUB_TOKEN": "secret-token"}
        result = runner.run("workflow_dispatch", "train.yml", payload, settings=settings, **env)
        assert result.jobs == {"plan": "success", "train (churn)": "success", "publish (churn)": "success"}, result.log
        (pull,) = github.state.pulls
    assert (pull.head, pull.base, pull.title) == ("octo:train/churn", "main", "Full training of churn")
    assert origin.git(state, "rev-parse", "train/churn^") == head == origin.git(state, "rev-parse", "main")
    assert f"made from {head}" in str(pull.body)
