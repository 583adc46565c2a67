"""One issue for one marker, on GitHub by its stand-in and on the local forge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ci.adapters.forge.local import FOLDER, Issue, Local
from ci.adapters.github import Broken
from ci.adapters.github.client import Client
from ci.adapters.github.issues import Issues
from tests.github.server import Fault, GitHub, Pull, State, running
from tests.github.server import Issue as Given
from tests.unit.ci.adapters.test_bot import commit, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARKER = "<!-- trunkline:rollback:churn:production:0123456789ab -->"
ASKED = (MARKER, "churn 2 was taken back", "because of this", ["rollback"])
BOT = "github-actions[bot]"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with running(State()) as stand:
        yield stand


def issues(github: GitHub) -> Issues:
    client = Client(github.state.token, github.url, sleep=lambda _: None, now=lambda: 0.0)
    return Issues(client, github.state.repo, BOT)


def given(number: int, author: str = BOT, **more: object) -> Given:
    return Given.model_validate(
        {"number": number, "author": author, "title": "t", "body": f"{MARKER}\nx", "labels": ["rollback"], **more}
    )


def test_it_is_opened_once_with_its_label(github: GitHub) -> None:
    url = issues(github).open(*ASKED)
    assert url == "https://github.com/octo/line/issues/1"
    assert issues(github).open(*ASKED) == url
    (made,) = github.state.issues
    assert (made.title, made.labels, made.body) == (ASKED[1], ["rollback"], f"{MARKER}\nbecause of this")


def test_one_that_a_person_closed_stays_closed(github: GitHub) -> None:
    github.state.issues.append(given(4, state="closed"))
    assert issues(github).open(*ASKED) == "https://github.com/octo/line/issues/4"
    assert [one.state for one in github.state.issues] == ["closed"]


def test_what_another_wrote_with_our_marker_is_not_ours_nor_is_a_pull_request(github: GitHub) -> None:
    github.state.issues.append(given(4, author="mallory"))
    github.state.pulls.append(Pull(number=5, sha="a", author=BOT, body=MARKER, labels=["rollback"]))
    github.state.issues.append(given(6, body=None))
    assert issues(github).open(*ASKED) == "https://github.com/octo/line/issues/7"


@pytest.mark.parametrize("status", [0, 502])
def test_one_whose_answer_was_lost_is_not_opened_twice(github: GitHub, status: int) -> None:
    github.state.faults.append(Fault(method="POST", path="/issues$", status=status, after_write=True))
    assert issues(github).open(*ASKED) == "https://github.com/octo/line/issues/1"
    assert len(github.state.issues) == 1


def test_of_two_at_once_the_older_stays(github: GitHub) -> None:
    def another_was_faster(method: str, path: str) -> None:
        if method == "POST" and not github.state.issues:
            github.state.issues.append(given(1))

    github.before = another_was_faster
    assert issues(github).open(*ASKED) == "https://github.com/octo/line/issues/1"
    assert [(one.number, one.state, one.state_reason) for one in github.state.issues] == [
        (1, "open", None),
        (2, "closed", "duplicate"),
    ]


def test_a_token_of_another_name_is_told(github: GitHub, capsys: pytest.CaptureFixture[str]) -> None:
    github.state.login = "line[bot]"
    assert issues(github).open(*ASKED) == "https://github.com/octo/line/issues/1"
    assert "This token writes as 'line[bot]'; set TRUNKLINE_BOT to that." in capsys.readouterr().err


@pytest.mark.parametrize("words", ["keeps no issues", "lets this token open no issues"])
def test_where_no_issue_can_be_opened_that_is_told_and_is_no_fault(
    github: GitHub, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    github.state.has_issues = "keeps" not in words
    github.state.denied = ["POST .*/issues"] if "token" in words else []
    assert issues(github).open(*ASKED) is None
    assert f"octo/line {words}, so none was opened: churn 2 was taken back" in capsys.readouterr().err


def test_a_github_that_stays_broken_is_told(github: GitHub) -> None:
    github.state.faults.append(Fault(method="POST", path="/issues$", status=502, times=99))
    with pytest.raises(Broken):
        issues(github).open(*ASKED)
    github.state.faults.clear()


def test_the_local_forge_keeps_a_record(tmp_path: Path) -> None:
    run(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, "params.yaml", "models: [churn]\n")
    local = Local(tmp_path)
    local.sync()
    url = local.issue(*ASKED)
    assert url == f"{FOLDER}/issues/000001.json"
    assert local.issue(*ASKED) == url
    assert local.issue("<!-- another -->", *ASKED[1:]) == f"{FOLDER}/issues/000002.json"
    kept = Issue.model_validate_json((tmp_path / url).read_bytes())
    assert (kept.title, kept.state, kept.labels) == (ASKED[1], "open", ("rollback",))
    (tmp_path / url).write_text(kept.model_copy(update={"state": "closed"}).model_dump_json())
    assert local.issue(*ASKED) == url
