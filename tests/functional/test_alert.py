"""`trunkline alert` on one machine: the local forge, and a real webhook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ci.adapters import kept
from tests.receivers import Hook, hook
from tests.retraining import MODEL, Yard, calm, drifted, finding, yard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOTH = "[{kind: issue}, {kind: webhook, url_from: DRIFT_URL}]"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    """A model that drifted. Not to be changed."""
    made = yard(tmp_path_factory.mktemp("start"), alerts=BOTH)
    made.drift(drifted())
    return made


@pytest.fixture
def line(start: Yard, tmp_path: Path) -> Yard:
    return start.copy(tmp_path)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.setattr("ci.adapters.alerts.time.sleep", lambda _: None)
    with hook() as made:
        monkeypatch.setenv("DRIFT_URL", made.url)
        yield made


def told(there: Hook) -> list[tuple[str, int]]:
    """What the webhook got: status and number of alarms."""
    bodies = [json.loads(post.body) for post in there.posts]
    return [(body["status"], len(body["alarms"])) for body in bodies]


def test_each_alarm_is_told_once_and_again_when_it_is_over(line: Yard, there: Hook) -> None:
    assert "churn: issue: firing: churn drifted: 2 alarms (would be told)" in line.run("alert", MODEL, "--dry-run")
    assert (told(there), line.issues()) == ([], [])
    line.run("alert", MODEL)
    assert line.run("alert", MODEL) == "churn: nothing to tell that was not told\n"
    line.drift(drifted(finding("schema", "y", "y is gone")))
    line.run("alert", MODEL)
    (issue,) = line.issues()
    assert (issue.title, issue.state, issue.labels) == ("churn drifted", "open", ("drift",))
    assert "y is gone" in (issue.now or "")
    line.drift(calm())
    line.run("alert", MODEL)
    assert told(there) == [("firing", 2), ("firing", 1), ("resolved", 3)]
    (issue,) = line.issues()
    assert issue.state == "closed"
    line.drift(drifted())
    line.run("alert", MODEL)
    assert [one.state for one in line.issues()] == ["closed", "open"]


def test_a_channel_that_fails_keeps_no_other_back_and_is_tried_again(line: Yard, there: Hook) -> None:
    there.answers = [(500, {})] * 3
    said = line.run("alert", MODEL, code=2)
    assert "DRIFT_URL (127.0.0.1) answered 500" in said
    assert "secret-path" not in said
    assert len(line.issues()) == 1
    assert line.run("alert", MODEL) == "churn: webhook DRIFT_URL: firing: churn drifted: 2 alarms\n"


def test_a_variable_that_is_not_set_is_told(line: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRIFT_URL", raising=False)
    assert "the environment variable DRIFT_URL is not set" in line.run("alert", MODEL, code=1)


def test_what_others_kept_meanwhile_stays(line: Yard, there: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    write = kept.write

    def overtaken(*args: object, **named: object) -> object:
        monkeypatch.undo()
        monkeypatch.setenv("DRIFT_URL", there.url)
        monkeypatch.setattr("ci.commands.alert.locks.exclusive", lambda *_: pytest.MonkeyPatch.context())
        line.run("alert", MODEL)
        return write(*args, **named)  # type: ignore[arg-type, type-var]

    monkeypatch.setattr("ci.commands.alert.locks.exclusive", lambda *_: pytest.MonkeyPatch.context())
    monkeypatch.setattr("ci.adapters.kept.write", overtaken)
    line.run("alert", MODEL)
    assert len(line.issues()) == 1
    ids = {post.headers["x-trunkline-delivery"] for post in there.posts}
    assert (len(ids), len(there.posts)) == (1, 2)  # twice, and to be told apart from two
    assert line.run("alert", MODEL) == "churn: nothing to tell that was not told\n"


def test_without_channels_nothing_is_told(tmp_path: Path) -> None:
    line = yard(tmp_path)
    line.drift(drifted())
    assert line.run("alert", MODEL) == "churn: params.yaml declares no alerts\n"
