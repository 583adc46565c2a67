"""A repository whose checks have run once, and what its workflows say of changes to it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.act import Act, Result, find

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.project import Project

REPOSITORY = {"full_name": "octo/line", "default_branch": "main"}


@dataclass(frozen=True)
class Change:
    """A pull request from a fork, and the run of check.yml on it."""

    act: Act
    commit: str
    result: Result

    def completed(self) -> dict[str, Any]:
        """The event that starts report.yml."""
        run = {
            "id": 1,
            "run_attempt": 1,
            "path": ".github/workflows/check.yml",
            "html_url": "https://github.com/octo/line/actions/runs/1",
            "event": "pull_request",
            "conclusion": "success" if self.result.code == 0 else "failure",
            "head_sha": self.commit,
            "head_branch": "change",
            "head_repository": {"full_name": "forker/line", "owner": {"login": "forker"}},
        }
        return {"action": "completed", "workflow_run": run, "repository": REPOSITORY}


@pytest.fixture(scope="session")
def base(checked: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """This repository on main, everything checked once, so that DVC has each stage in its cache."""
    find()
    project = checked.copy(tmp_path_factory.mktemp("base") / "project")
    project.git("remote", "add", "origin", "https://github.com/octo/line.git")
    project.git("update-ref", "refs/remotes/origin/main", "HEAD")
    return project


@pytest.fixture(scope="session")
def act(base: Project, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Project, str], Act]:
    """Makes an act over a checkout, beside caches that a run on main has filled."""

    def make(project: Project, name: str) -> Act:
        made = Act(project, tmp_path_factory.mktemp(name), find())
        for model in ("churn", "fraud"):
            shutil.copytree(base.root / ".dvc" / "cache", made.here / "caches" / f"dvc-Linux-{model}-main")
        return made

    return make


@pytest.fixture(scope="session")
def pull_request(base: Project, act: Callable[[Project, str], Act]) -> Callable[..., Change]:
    """Commits an edit, and `forced` files that git is told to ignore, on a branch of a fork, and runs check.yml."""

    def open_it(name: str, file: str, before: str, after: str, forced: dict[str, str] | None = None) -> Change:
        runner = act(base.copy(_beside(base.root, name)), name)
        project = runner.project
        project.git("switch", "--quiet", "--create", "change")
        project.edit(file, before, after)
        for path, text in (forced or {}).items():
            (project.root / path).parent.mkdir(parents=True, exist_ok=True)
            (project.root / path).write_text(text)
            project.git("add", "--force", path)
        commit = project.commit(name)
        head = {"ref": "change", "sha": commit, "repo": {"full_name": "forker/line", "fork": True}}
        payload = {
            "action": "synchronize",
            "number": 7,
            "pull_request": {"number": 7, "head": head, "base": {"ref": "main", "repo": REPOSITORY}},
            "repository": REPOSITORY,
        }
        return Change(runner, commit, runner.run("pull_request", "check.yml", payload))

    return open_it


@pytest.fixture(scope="session")
def failing(pull_request: Callable[..., Change]) -> Change:
    """A change that asks more of churn than its model can do."""
    return pull_request(
        "failing", "ml/models/churn/params.yaml", "{metric: roc_auc, min: 0.75}", "{metric: roc_auc, min: 0.999}"
    )


@pytest.fixture(scope="session")
def passing(pull_request: Callable[..., Change]) -> Change:
    """A change that asks a little more of churn, which its model can do."""
    return pull_request(
        "passing", "ml/models/churn/params.yaml", "{metric: roc_auc, min: 0.75}", "{metric: roc_auc, min: 0.76}"
    )


def _beside(root: Path, name: str) -> Path:
    return root.parent / name
