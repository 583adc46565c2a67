"""The transport, against the stand-in."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest
import requests

from ci.adapters.github import Broken, Invalid, TokenRefused, Unreachable
from ci.adapters.github.client import Client
from tests.github.server import Comment, Fault, GitHub, Pull, State, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = State().token
WRONG = "wrong-token"
COMMENTS = "/repos/octo/line/issues/7/comments"


@pytest.fixture
def github() -> Iterator[GitHub]:
    comments = [Comment(id=n, number=7, author="someone", body=f"comment {n}") for n in range(1, 76)]
    with running(State(pulls=[Pull(number=7, sha="abc")], comments=comments)) as stand:
        yield stand


def client(github: GitHub, slept: list[float] | None = None, token: str = TOKEN) -> Client:
    return Client(token, github.url, sleep=(slept if slept is not None else []).append, now=lambda: 0.0)


def test_all_pages_are_read(github: GitHub) -> None:
    assert [one["id"] for one in client(github).every(COMMENTS)] == list(range(1, 76))
    assert github.count("GET") == 3


def test_a_page_that_points_to_itself_ends(github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = {"link": f'<{github.url}{COMMENTS}?per_page=100>; rel="next"'}
    monkeypatch.setattr(github, "_page", lambda *_: (200, loop, []))
    with pytest.raises(Broken, match="not a page of a list"):
        client(github).every(COMMENTS)


def test_what_is_safe_is_sent_again(github: GitHub) -> None:
    slept: list[float] = []
    github.state.faults += [Fault(method="GET", status=502), Fault(method="GET"), Fault(method="GET", status=500)]
    assert len(client(github, slept).every(COMMENTS)) == 75
    assert slept == [1, 2, 4]


@pytest.mark.parametrize("status", [403, 429])
def test_a_limited_post_waits_as_told_and_is_sent_once(github: GitHub, status: int) -> None:
    slept: list[float] = []
    github.state.faults.append(Fault(method="POST", status=status, headers={"retry-after": "9"}, message="slow down"))
    client(github, slept).send("POST", COMMENTS, body={"body": "hello"})
    assert slept == [9]
    assert github.bodies(7).count("hello") == 1


def test_a_primary_limit_waits_for_the_reset(github: GitHub) -> None:
    slept: list[float] = []
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "20"}
    github.state.faults.append(Fault(method="GET", status=403, headers=headers))
    client(github, slept).every(COMMENTS)
    assert slept == [21]


def test_a_post_whose_answer_is_lost_is_not_sent_again(github: GitHub) -> None:
    github.state.faults.append(Fault(method="POST", after_write=True))
    with pytest.raises(Unreachable):
        client(github).send("POST", COMMENTS, body={"body": "hello"})
    assert github.count("POST") == 1
    assert github.bodies(7).count("hello") == 1


def test_a_redirect_is_not_followed(github: GitHub) -> None:
    moved = {"location": f"{github.url}{COMMENTS}"}
    github.state.faults.append(Fault(method="GET", status=301, headers=moved, message="Moved Permanently"))
    with pytest.raises(Invalid, match="has moved"):
        client(github).every(COMMENTS)
    assert github.count("GET") == 1


def test_nobody_listens() -> None:
    slept: list[float] = []
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        Client(TOKEN, "http://127.0.0.1:9", sleep=slept.append).send("GET", "/x")
    assert slept == [1, 2, 4, 8]


def test_a_timeout_is_told_without_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def slow(self: requests.Session, *args: Any, **kwargs: Any) -> requests.Response:
        given.update(kwargs)
        raise requests.ReadTimeout

    monkeypatch.setattr(requests.Session, "request", slow)
    with pytest.raises(Unreachable, match="ReadTimeout") as told:
        Client(TOKEN, "https://api.example").send("POST", "/x", body={})
    assert given["timeout"] == (5, 30)
    assert TOKEN not in "".join(traceback.format_exception(told.value))


def test_a_refused_token_is_not_shown(github: GitHub, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TokenRefused) as told:
        client(github, token=WRONG).every(COMMENTS)
    shown = "".join(traceback.format_exception(told.value)) + "".join(capsys.readouterr())
    assert WRONG not in shown
    assert not any(WRONG in line for line in github.state.requests)


def test_a_netrc_does_not_replace_the_token(github: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert len(client(github).every(COMMENTS)) == 75


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_what_stays_on_this_machine_goes_through_no_proxy(
    github: GitHub, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    slept: list[float] = []
    assert len(client(github, slept).every(COMMENTS)) == 75
    assert slept == []


def test_two_writes_are_a_second_apart_and_reads_are_not(github: GitHub) -> None:
    clock = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    slept: list[float] = []
    one = Client(TOKEN, github.url, sleep=sleep, now=lambda: clock[0])
    one.send("POST", COMMENTS, body={"body": "first"})
    clock[0] += 0.25
    one.every(COMMENTS)
    one.send("POST", COMMENTS, body={"body": "second"})
    clock[0] += 5
    one.send("POST", COMMENTS, body={"body": "third"})
    clock[0] -= 3600  # set back
    one.send("DELETE", "/repos/octo/line/issues/comments/1")
    assert slept == [0.75, 1.0]


def test_a_post_that_came_too_quickly_is_sent_again(github: GitHub) -> None:
    slept: list[float] = []
    fault = Fault(method="POST", status=422, message="was submitted too quickly", headers={"retry-after": "3"})
    github.state.faults.append(fault)
    client(github, slept).send("POST", COMMENTS, body={"body": "hello"})
    assert slept == [3]
    assert github.bodies(7).count("hello") == 1
