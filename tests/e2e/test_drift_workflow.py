"""drift.yml, run by act on a log that the server's own code wrote; GitHub and Prometheus are their stand-ins."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters.drifts import ref_of
from tests import watching
from tests.e2e.act import Act, Result, find
from tests.github import origin
from tests.github.server import GitHub, State, running
from tests.project import fresh
from tests.watching import DAY, Watched, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPOSITORY = {"full_name": "octo/line", "default_branch": "main"}
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Main:
    """The default branch of a repository on GitHub, and a runner for its workflow."""

    act: Act
    model: Watched
    github: GitHub
    folder: Path
    prometheus: str

    def run(self, event: str, **inputs: str) -> Result:
        there = {**origin.environment(self.github.url, self.folder, self.github.state)}
        del there["GITHUB_TOKEN"]  # which a step is given by the workflow, or has not
        payload: dict[str, Any] = {"ref": "refs/heads/main", "repository": REPOSITORY, "inputs": inputs}
        return self.act.run(event, "drift.yml", payload, settings=("--var", f"PROMETHEUS={self.prometheus}"), **there)


@pytest.fixture
def main(tmp_path: Path) -> Iterator[Main]:
    """A model whose answers are of larger amounts since a week, and one that was never trained."""
    program = find()
    project = fresh(tmp_path / "project")
    model = Watched(tmp_path)
    model.declare(f"{{log: {model.log}, persistence: 1, alerts: [{{kind: issue}}]}}")
    model.declare("{log: /nowhere/at/all}", model="other")
    model.write("params.yaml", (model.root / "params.yaml").read_text().replace("[churn]", "[churn, other]"))
    project.commit("two models are watched")
    model.answer(rows(), end=TODAY - 7 * DAY, name="before")
    model.answer(rows(seed=1, amount=75.0), end=TODAY, name="after")
    project.git("remote", "add", "origin", "https://github.com/octo/line.git")
    with running(State()) as github, watching.prometheus() as prometheus:
        github.state.origin = str(origin.publish(project.root, tmp_path / "served"))
        yield Main(Act(project, tmp_path / "act", program), model, github, tmp_path / "served", prometheus)


def test_every_model_is_looked_at_each_day_and_what_is_found_is_acted_on(main: Main) -> None:
    state = main.github.state
    result = main.run("schedule")
    assert result.jobs == {"plan": "success", "drift (churn)": "failure", "drift (other)": "failure"}, result.log
    kept = main.act.artifact("drift-churn")
    assert json.loads((kept / "drift.json").read_text())["triggers"], result.log
    assert (kept / "drift.md").read_text().startswith("## ❌ Drift of `churn`: alarm")
    assert not list(kept.rglob("*.parquet"))
    assert origin.git(state, "rev-parse", "--verify", "--quiet", ref_of("churn")) is not None
    assert "dvc.lock has no profile of other, so there is nothing to hold its data to" in result.log
    assert len(state.issues) == 1, result.log
    assert "secret-token" not in result.log

    result = main.run("workflow_dispatch", model="churn", end=f"{TODAY - 7 * DAY:%Y-%m-%d}")
    assert result.jobs == {"plan": "success", "drift (churn)": "success"}, result.log
    assert json.loads((kept / "drift.json").read_text())["outcome"] == "pass"
