"""rollout.yml and rollback.yml, run by act: a real Prometheus and MLflow; GitHub is its stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests import rollouts
from tests.e2e.act import Act, Result, find
from tests.github import origin
from tests.github.server import GitHub, State, running
from tests.project import fresh
from tests.rollouts import FAILING, HEALTHY, Stage, canary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REPOSITORY = {"full_name": "octo/line", "default_branch": "main"}


@dataclass(frozen=True)
class Main:
    """The default branch of a repository on GitHub, and a runner for its workflows."""

    act: Act
    line: Stage
    github: GitHub
    folder: Path

    def run(self, event: str, workflow: str, **inputs: str) -> Result:
        """Push what is checked out, and run a workflow on it."""
        self.line.git("push", "--quiet", self.github.state.origin, "HEAD:main")
        there = {**origin.environment(self.github.url, self.folder, self.github.state)}
        del there["GITHUB_TOKEN"]  # which a step is given by the workflow, or has not
        told = {"PROMETHEUS": "TRUNKLINE_PROMETHEUS", "MLFLOW_TRACKING_URI": "MLFLOW_TRACKING_URI"}
        settings = [word for name, key in told.items() for word in ("--var", f"{name}={self.line.surroundings[key]}")]
        payload: dict[str, Any] = {"ref": "refs/heads/main", "repository": REPOSITORY, "inputs": inputs}
        return self.act.run(event, workflow, payload, settings=settings, **there)


@pytest.fixture
def main(watched: tuple[float, Mapping[str, str]], tmp_path: Path) -> Iterator[Main]:
    """Production runs version 1."""
    program = find()
    project = fresh(tmp_path / "project")
    start, surroundings = watched
    line = Stage(project.root, start, surroundings)
    rollouts.first(line)
    project.git("remote", "add", "origin", "https://github.com/octo/line.git")
    with running(State()) as github:
        bare = origin.publish(project.root, tmp_path / "served")
        github.state.origin = line.bare = str(bare)
        yield Main(Act(project, tmp_path / "act", program), line, github, tmp_path / "served")


def test_a_person_goes_back_and_what_the_schedule_finds_failing_is_rolled_back(main: Main) -> None:
    line, state = main.line, main.github.state
    canary(line, HEALTHY)
    reason = 'it "burns" $(exit 1) `exit 1`; exit 1'  # words that no shell may read
    result = main.run("workflow_dispatch", "rollback.yml", model="churn", to="", environment="", reason=reason)
    assert set(result.jobs.values()) == {"success"}, result.log
    assert line.message().splitlines()[:3] == ["Go back to churn 1 in production", "", reason]
    assert line.released().spec.canary is None
    assert line.aliases() == {"champion": "1"}

    line.pull()
    canary(line, FAILING)
    result = main.run("schedule", "rollout.yml")
    assert result.jobs == {"plan": "success", "rollout (churn)": "success"}, result.log
    assert line.log()[0] == "Roll churn 3 back in production", result.log
    assert line.released().spec.canary is None
    assert line.has_ended()
    assert (len(state.issues), state.pulls) == (1, [])
    assert "secret-token" not in result.log
