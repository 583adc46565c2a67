"""`trunkline retrain` and `trunkline alert` on GitHub, by its stand-in: pull requests, checks, comments and issues."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from ci.adapters import kept
from tests.github import origin
from tests.github.server import Check, Comment, Fault, GitHub, Pull, State, running
from tests.retraining import BRANCH, MODEL, ROWS, Yard, calm, drifted, finding, frame, yard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Hub:
    """A checkout of main, and the stand-in that it is of."""

    line: Yard
    github: GitHub

    @property
    def pull(self) -> Pull:
        """The one pull request there is."""
        (pull,) = self.github.state.pulls
        return pull

    def say(self, words: str) -> None:
        """Comment on the first pull request, as a person does."""
        made = Comment(id=len(self.github.state.comments) + 90, number=self.pull.number, author="dana", body=words)
        self.github.state.comments.append(made)

    def sent(self, path: str) -> int:
        """How many POST requests there were to a path that ends so."""
        return sum(line.startswith("POST") and line.endswith(path) for line in self.github.state.requests)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    """A model that drifted, and 800 new rows. Not to be changed."""
    made = yard(tmp_path_factory.mktemp("start"), alerts="[{kind: issue}]")
    made.arrive("a", frame(ROWS - 100, 900))
    made.drift(drifted())
    return made


@pytest.fixture
def hub(start: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """One of one's own."""
    monkeypatch.setattr("ci.adapters.github.protocol.PAUSE", 0.0)
    with running(State()) as github:
        line = start.copy(tmp_path / "yard")
        bare = origin.publish(line.root, tmp_path / "served")
        github.state.origin = str(bare)
        there = origin.environment(github.url, tmp_path / "served", github.state)
        yield Hub(replace(line, surroundings=there, bare=str(bare)), github)


def test_closed_with_a_comment_it_snoozes_with_those_words(hub: Hub) -> None:
    hub.line.retrain()
    assert (hub.pull.title, hub.pull.labels) == ("Retrain churn on 800 new rows", ["retraining", "train"])
    assert "```mermaid" in (hub.pull.body or "")
    hub.line.retrain()
    assert (hub.sent("/pulls"), hub.sent("/labels")) == (1, 1)
    hub.say("a promotion runs, over in a week")
    hub.pull.state, hub.pull.labels = "closed", [*hub.pull.labels, "seasonal"]
    said = hub.line.retrain(at=9)
    assert "snoozed: #1 was closed (dana: a promotion runs, over in a week; labelled seasonal)" in said
    hub.line.drift(drifted(finding("concept", "score", "the same scores mean less")))
    assert "cooldown: " in hub.line.retrain(at=9)
    hub.line.retrain(at=17)
    assert [pull.state for pull in hub.github.state.pulls] == ["closed", "open"]


def test_a_red_training_is_told_in_one_issue_and_a_green_one_takes_it_back(hub: Hub) -> None:
    hub.line.retrain()
    hub.github.state.checks = [Check(name="train (churn)", sha=hub.pull.sha, status="in_progress", conclusion=None)]
    assert "keep: " in hub.line.retrain(at=1)
    hub.github.state.checks.append(Check(name="train (churn)", sha=hub.pull.sha, conclusion="failure"))
    for at in (1, 9):
        assert "helpless: training again did not help (the check “train (churn)”" in hub.line.retrain(at=at)
    (issue,) = hub.github.state.issues
    assert (issue.title, issue.labels) == ("Retraining does not help churn", ["retraining"])
    assert (hub.pull.state, "did not help" in (hub.pull.body or "")) == ("open", True)
    hub.github.state.checks.append(Check(name="train (churn)", sha=hub.pull.sha))
    assert "keep: " in hub.line.retrain(at=2)
    assert "did not help" not in (hub.pull.body or "")


def test_a_stale_one_is_closed_with_words(hub: Hub) -> None:
    hub.line.retrain()
    hub.line.drift(calm())
    hub.line.retrain(at=1)
    assert hub.pull.state == "closed"
    (said,) = hub.github.bodies(1)
    assert said.endswith("Closed by Trunkline: Nothing that training would cure any more.")
    hub.line.drift(drifted())
    assert "cooldown: " in hub.line.retrain(at=2)  # of what was pushed, and no snooze
    assert "propose: " in hub.line.retrain(at=8)


def test_on_a_bad_day_there_is_one_of_each(hub: Hub) -> None:
    hub.github.state.faults = [
        Fault(method="POST", path="/pulls$", after_write=True),
        Fault(method="GET", path="/pulls$", status=502),
        Fault(method="POST", path="/labels$", status=500, after_write=True),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ci.adapters.github.client.time.sleep", lambda _: None)
        hub.line.retrain()
    assert hub.github.state.faults == []
    assert hub.pull.labels == ["retraining", "train"]


def test_two_at_once_propose_once(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tmp_path / "yard", tmp_path / "other", symlinks=True)
    other = replace(hub.line, root=tmp_path / "other" / "project", rows=tmp_path / "other" / "rows")
    write = kept.write

    def overtaken(*args: object, **named: object) -> object:
        monkeypatch.setattr("ci.adapters.kept.write", write)
        other.retrain(at=0.1)
        return write(*args, **named)  # type: ignore[arg-type, type-var]

    monkeypatch.setattr("ci.adapters.kept.write", overtaken)
    hub.line.retrain()
    assert hub.pull.state == "open"
    assert hub.sent("/pulls") == 1
    assert len(hub.line.record().pushed) == 1
    assert hub.line.git("--git-dir", hub.line.bare, "rev-list", "--count", f"main..{BRANCH}") == "1"


def test_an_issue_is_opened_followed_and_closed(hub: Hub) -> None:
    hub.line.run("alert", MODEL)
    hub.line.run("alert", MODEL)
    hub.line.drift(drifted(finding("schema", "y", "y is gone")))
    hub.line.run("alert", MODEL)
    (issue,) = hub.github.state.issues
    assert (issue.title, issue.labels, issue.state) == ("churn drifted", ["drift"], "open")
    (said,) = hub.github.bodies(issue.number)
    assert "y is gone" in said
    hub.line.drift(calm())
    hub.line.run("alert", MODEL)
    assert (issue.state, issue.state_reason) == ("closed", "completed")
    assert "Nothing is in alarm any more" in hub.github.bodies(issue.number)[0]
    hub.line.drift(drifted())
    hub.line.run("alert", MODEL)
    assert [one.state for one in hub.github.state.issues] == ["closed", "open"]


def test_an_issue_that_a_person_closed_is_left_alone(hub: Hub) -> None:
    hub.line.run("alert", MODEL)
    (issue,) = hub.github.state.issues
    issue.state = "closed"
    hub.line.drift(drifted(finding("schema", "y", "y is gone")))
    hub.line.run("alert", MODEL)
    assert hub.github.bodies(issue.number) == []


def test_without_issues_the_alarm_is_told_on_stderr(hub: Hub) -> None:
    hub.github.state.has_issues = False
    assert "octo/line keeps no issues, so none was opened: churn drifted" in hub.line.run("alert", MODEL)
    hub.line.drift(calm())
    hub.line.run("alert", MODEL)
