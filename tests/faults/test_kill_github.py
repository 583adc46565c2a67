"""Kill -9 after every side effect of a `release` that opens a pull request on GitHub, by its stand-in."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from ci.core.forge import NOTES
from tests.faults.test_kill import PRODUCTION, STAGING, has, killed_everywhere
from tests.functional.test_release_github import hub_of, versions
from tests.github import origin
from tests.github.server import State, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.releases import Line

LABELS = "labels: [release, production]"
WRITES = {
    "github POST /repos/octo/line/pulls": "POST /repos/octo/line/pulls",
    "github POST /repos/octo/line/issues/2/labels": "POST /repos/octo/line/issues/2/labels",
    "github POST /repos/octo/line/pulls/2/requested_reviewers": "POST /repos/octo/line/pulls/2/requested_reviewers",
    "github enablePullRequestAutoMerge": "POST /graphql",
}


def test_production_gets_one_pull_request_and_each_wish_once(
    packed_line: Line, empty_registry: Path, tmp_path: Path
) -> None:
    """Image and version are there already, so that a point costs little; production has all there is to wish for."""
    shutil.copy(empty_registry / ".trunkline/mlflow.db", tmp_path)
    line = packed_line.copy(tmp_path / "project")
    wishes = f"{LABELS}\n      reviewers: [dana, octo/ml]\n      auto_merge: true"
    line.project.edit("params.yaml", LABELS, wishes)
    line.project.commit("who is asked")
    with running(State()) as github:
        hub = hub_of(line, tmp_path, github)
        hub.release("churn")
        hub.merge(STAGING)
        before = len(github.state.requests)

        job = {**origin.environment(github.url, hub.folder, github.state), **hub.shared}
        there = replace(line, outside={**line.outside, **job})
        effects = killed_everywhere(there, tmp_path / "log", "release", "churn")

        has(effects, *WRITES, f"refs/heads/{PRODUCTION}", "git notes", NOTES)
        assert hub.open().keys() == {PRODUCTION}
        assert len(github.state.pulls) == 2
        pull = hub.open()[PRODUCTION]
        assert (pull.labels, pull.reviewers, pull.teams) == (["release", "production"], ["dana"], ["ml"])
        assert pull.auto_merge
        for sent in WRITES.values():
            assert github.state.requests[before:].count(sent) == 1, sent
        assert github.bodies(pull.number) == []
        assert hub.at(PRODUCTION, "production").spec.stable == hub.at("main", "staging").spec.stable
        assert [version.version for version in versions(hub, "churn")] == ["1"]
        assert len((origin.git(github.state, "notes", "--ref", NOTES, "list") or "").splitlines()) == 1
        assert "unchanged" in hub.release("churn")
        assert len(github.state.pulls) == 2
