"""release.yml, run by act on a push to main: real docker, registry, DVC and MLflow; GitHub is its stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ci.core.release import parse, path_of
from tests import releases
from tests.e2e.act import Act, Result, find, mlflow
from tests.github import origin
from tests.github.server import GitHub, State, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.releases import Line


@dataclass(frozen=True)
class Main:
    """The default branch of a repository on GitHub, and a runner for its workflows."""

    act: Act
    line: Line
    github: GitHub
    folder: Path

    def push(self) -> Result:
        """Push what is checked out; what release.yml does about it."""
        self.line.project.git("push", "--quiet", self.github.state.origin, "HEAD:main")
        return self.run()

    def run(self) -> Result:
        """What release.yml does at the commit that is checked out."""
        project = self.line.project
        there = {**origin.environment(self.github.url, self.folder, self.github.state), **self.line.outside}
        del there["GITHUB_TOKEN"]  # which a step is given by the workflow, or has not
        payload = {"ref": "refs/heads/main", "after": project.git("rev-parse", "HEAD")}
        return self.act.run("push", "release.yml", payload, settings=mlflow(self.folder), **there)


@pytest.fixture
def main(merged_line: Line, tmp_path: Path) -> Iterator[Main]:
    program = find()
    line = merged_line.copy(tmp_path / "project")
    project = line.project
    (project.root / ".trunkline" / "remote").rename(tmp_path / "remote")  # a runner has nothing but what is committed
    releases.slight(project)
    releases.remote(project, tmp_path)
    project.git("remote", "add", "origin", "https://github.com/octo/line.git")
    with running(State()) as github:
        github.state.origin = str(origin.publish(project.root, tmp_path / "served"))
        yield Main(Act(project, tmp_path / "act", program), line, github, tmp_path / "served")


def test_what_was_merged_is_packed_attested_and_proposed(main: Main) -> None:
    result = main.push()
    assert result.jobs == {"plan": "success", "release (churn)": "success"}, result.log
    (pull,) = main.github.state.pulls
    assert (pull.state, pull.branch, pull.labels) == ("open", "release/churn/staging", ["release", "staging"])
    text = origin.git(main.github.state, "show", f"release/churn/staging:{path_of('churn', 'staging')}")
    assert text is not None
    image = parse(text, "release.yaml").spec.stable.image
    assert image.rpartition("@")[2] in main.line.images().values()
    assert f"attested {image}" in result.log
    assert "secret-token" not in result.log


def test_a_change_without_its_full_training_fails_and_starts_that(main: Main) -> None:
    releases.change(main.line.project)
    main.line.project.commit("without its full training")
    result = main.push()
    assert result.jobs == {"plan": "success", "release (churn)": "failure"}, result.log
    assert "it was merged without its full training" in result.log
    assert [one.inputs for one in main.github.state.dispatches] == [{"model": "churn"}]
    assert main.github.state.pulls == []
    assert "attested" not in result.log


def test_where_another_version_was_merged_meanwhile_nothing_is_started(main: Main) -> None:
    project = main.line.project
    lock = (project.root / "dvc.lock").read_text()
    (project.root / "dvc.lock").write_text(lock.replace("train@churn-full:", "train@gone-full:"))
    project.commit("main goes on")
    project.git("push", "--quiet", main.github.state.origin, "HEAD:main")
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    result = main.run()
    assert result.jobs.get("plan") == "success", result.log
    assert "every model is released as it was merged: there is nothing to do" in result.log
    assert set(result.jobs) - {"plan"} == set(), result.jobs
    assert main.github.state.pulls == []
