"""`trunkline rollout` on GitHub, by its stand-in: pull requests that wait, one issue, and several at once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from ci.adapters import rollouts as records
from ci.adapters.forge.github import GitHub as Forge
from ci.adapters.github.client import Client
from ci.adapters.remote import Remote
from ci.core.forge import NOTES
from ci.core.release import release
from tests import rollouts
from tests.github import origin
from tests.github.server import Fault, GitHub, Pull, State, running
from tests.rollouts import BRANCH, BREAKING, FAILING, FIRST, HEALTHY, Stage, canary, version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Make = Callable[[str, str], "Hub"]


@dataclass(frozen=True)
class Hub:
    """A checkout of main, and the stand-in that it is of."""

    line: Stage
    github: GitHub

    @property
    def pull(self) -> Pull:
        """The one pull request there is."""
        (pull,) = self.github.state.pulls
        return pull

    def sent(self, *parts: str) -> int:
        """How many writes there were to a path that ends so."""
        return sum(line.startswith("POST") and line.endswith(parts) for line in self.github.state.requests)

    def merge(self) -> None:
        """As a person does in the browser."""
        client = Client(self.github.state.token, self.github.url)
        forge = Forge(client, self.github.state.repo, Remote(self.line.root, self.line.bare))
        pull = forge.find(BRANCH)
        assert pull is not None
        forge.merge(pull)


@pytest.fixture
def make(watched: tuple[float, Mapping[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a hub whose production has these rules and this version as its canary."""
    start, surroundings = watched
    monkeypatch.setattr("ci.adapters.github.protocol.PAUSE", 0.0)
    with running(State()) as github:

        def made(how: str, key: str) -> Hub:
            line = rollouts.stage(tmp_path / "project", start, surroundings, how=how)
            canary(line, key)
            bare = origin.publish(line.root, tmp_path / "served")
            github.state.origin = str(bare)
            there = origin.environment(github.url, tmp_path / "served", github.state)
            return Hub(replace(line, surroundings={**surroundings, **there}, bare=str(bare)), github)

        yield made


def test_a_step_waits_for_who_is_asked_and_then_counts(make: Make) -> None:
    hub = make("approve: [25]", HEALTHY)
    hub.line.run("rollout", at=12)
    assert (hub.pull.title, hub.pull.labels, hub.pull.reviewers, hub.pull.auto_merge) == (
        "Give churn 2 25 % of the traffic in production",
        ["production"],
        ["dana"],
        False,
    )
    assert "```mermaid" in (hub.pull.body or "")
    body = hub.pull.body
    hub.line.run("rollout", at=14)
    assert hub.pull.body == body
    assert hub.line.released().spec.weights.canary == 5
    assert "#1 Give churn 2" in hub.line.run("status")
    hub.merge()
    hub.line.run("rollout", at=15)
    assert hub.line.released().spec.weights.canary == 25
    assert hub.line.record().step.weight == 25
    assert origin.git(hub.github.state, "notes", "--ref", NOTES, "show", "main") is not None


def test_a_rollback_merges_itself_and_is_told_in_one_issue_that_a_person_closes(make: Make) -> None:
    hub = make("approve: [25, 50, 100]", FAILING)
    assert "issue https://github.com/octo/line/issues/2" in hub.line.run("rollout", at=8)
    assert (hub.pull.title, hub.pull.auto_merge) == ("Roll churn 3 back in production", True)
    (issue,) = hub.github.state.issues
    assert (issue.title, issue.labels) == ("Rollback of churn in production", ["rollback"])
    issue.state = "closed"
    hub.line.run("rollout", at=9)
    assert not hub.line.has_ended()
    hub.merge()
    hub.line.run("rollout", at=10)
    assert hub.line.has_ended()
    assert [one.state for one in hub.github.state.issues] == ["closed"]
    assert (hub.sent("/pulls"), hub.sent("/issues"), hub.sent("/graphql")) == (1, 1, 1)
    assert hub.line.aliases() == {"champion": "1"}
    assert hub.line.run("rollout", "--plan") == "nothing is being rolled out\n"


def test_where_the_branch_is_guarded_and_issues_are_off_it_comes_by_a_pull_request(make: Make) -> None:
    hub = make("rollback: push", FAILING)
    hub.github.state.has_issues = False
    hub.line.refuse_pushes()
    said = hub.line.run("rollout", at=8)
    assert "does not take a push to refs/heads/main" in said
    assert "octo/line keeps no issues, so none was opened" in said
    assert hub.pull.auto_merge


def test_on_a_bad_day_there_is_one_of_each(make: Make) -> None:
    hub = make("", FAILING)
    hub.github.state.faults = [
        Fault(method="POST", path="/pulls$", after_write=True),
        Fault(method="POST", path="/issues$", status=502, after_write=True),
        Fault(method="GET", path="/issues$", status=500),
        Fault(method="POST", path="/graphql$", status=502, after_write=True),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ci.adapters.github.client.time.sleep", lambda _: None)
        hub.line.run("rollout", at=8)
    assert hub.github.state.faults == []
    assert hub.pull.auto_merge
    assert len(hub.github.state.issues) == 1


def test_two_at_once_count_and_write_once(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = make("rollback: push", FAILING)
    shutil.copytree(hub.line.root, tmp_path / "other", symlinks=True)
    other, write = replace(hub.line, root=tmp_path / "other"), records.write

    def overtaken(*args: object, **named: object) -> object:
        monkeypatch.undo()
        other.run("rollout", at=7)
        return write(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("ci.adapters.rollouts.write", overtaken)
    hub.line.run("rollout", at=8)
    assert hub.line.released() == release("churn", "production", stable=version(FIRST))
    assert hub.line.log()[:2] == ["Roll churn 3 back in production", "Release churn 3 to production"]
    assert hub.line.record().looked == hub.line.start + 7 * 60
    assert hub.github.state.pulls == []
    assert len(hub.github.state.issues) == 1


@pytest.mark.parametrize("at", [6, 12], ids=["held", "stepped"])
def test_what_a_person_asked_to_go_back_from_is_left_to_that_while_it_waits(make: Make, at: int) -> None:
    hub = make("", HEALTHY)
    hub.line.run("rollback", "churn", "--reason", "it burns")
    before = (hub.pull.title, hub.pull.body)
    assert "#1 Go back to churn 1 in production" in hub.line.run("rollout", at=at)
    assert (hub.pull.state, hub.pull.title, hub.pull.body) == ("open", *before)
    hub.merge()
    hub.line.run("rollout", at=at + 1)
    assert hub.line.released() == release("churn", "production", stable=version(FIRST))
    assert hub.line.has_ended()


def test_what_was_asked_of_a_canary_that_is_gone_by_now_keeps_no_other_back(make: Make) -> None:
    hub = make("", HEALTHY)
    hub.line.run("rollback", "churn")
    canary(hub.line, BREAKING, at=hub.line.start + 60)
    hub.line.git("push", "--quiet", hub.line.bare, "main")
    assert "hold: " in hub.line.run("rollout", at=2)
    assert hub.pull.state == "closed"


def test_who_asks_to_go_back_is_not_told_that_this_was_turned_down(make: Make) -> None:
    hub = make("", FAILING)
    hub.line.run("rollout", at=8)
    hub.pull.state = "closed"
    assert "was closed without a merge" in hub.line.run("rollout", at=9)
    assert "#3" in hub.line.run("rollback", "churn")
    _, pull = hub.github.state.pulls
    assert (pull.state, pull.title) == ("open", "Go back to churn 1 in production")
