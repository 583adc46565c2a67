"""One comment per marker, whatever goes wrong on the way, against the stand-in."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from ci.adapters.github import Broken, Forbidden, Invalid, Locked, NotFound, Unreachable
from ci.adapters.github.client import Client
from ci.adapters.github.comments import BOT, Thread
from tests.github.server import Comment, Fault, GitHub, Pull, State, running

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER = "<!-- trunkline:check:fraud -->"
OLD, NEW = f"{MARKER}\nold", f"{MARKER}\nnew"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with running(State(pulls=[Pull(number=7, sha="a"), Pull(number=8, sha="b")])) as stand:
        yield stand


def thread(github: GitHub, author: str = BOT) -> Thread:
    return Thread(Client(github.state.token, github.url, sleep=lambda _: None), "octo/line", 7, author)


def put(github: GitHub, *bodies: str, author: str = BOT, number: int = 7) -> None:
    for body in bodies:
        key = len(github.state.comments) + 1
        github.state.comments.append(Comment(id=key, number=number, author=author, body=body))


def test_created_updated_unchanged(github: GitHub) -> None:
    assert thread(github).upsert(MARKER, OLD) == "created"
    assert thread(github).upsert(MARKER, NEW) == "updated"
    writes = github.count("POST") + github.count("PATCH")
    assert thread(github).upsert(MARKER, NEW) == "unchanged"
    assert github.count("POST") + github.count("PATCH") == writes == 2
    assert github.bodies(7) == [NEW]


def test_line_ends_and_blanks_are_no_change(github: GitHub) -> None:
    put(github, NEW.replace("\n", "\r\n"))
    assert thread(github).upsert(MARKER, f"{NEW}\n\n") == "unchanged"


def test_a_body_without_the_marker_gets_it(github: GitHub) -> None:
    thread(github).upsert(MARKER, "new")
    assert github.bodies(7) == [NEW]


def test_found_on_a_late_page(github: GitHub) -> None:
    put(github, *(f"comment {n}" for n in range(74)), OLD)
    assert thread(github).upsert(MARKER, NEW) == "updated"
    assert github.bodies(7)[74] == NEW
    assert github.count("POST") == 0


def test_what_others_wrote_is_not_ours(github: GitHub) -> None:
    put(github, OLD, author="mallory")
    put(github, OLD, author="github-actions")
    put(github, f"> quoted by the bot: {OLD}", OLD.replace("fraud", "fraud2"), OLD.replace("check", "full"))
    put(github, OLD, number=8)
    before = list(github.bodies(7))
    assert thread(github).upsert(MARKER, NEW) == "created"
    assert github.bodies(7) == [*before, NEW]
    assert github.bodies(8) == [OLD]


def test_a_login_is_the_same_in_any_case(github: GitHub) -> None:
    put(github, OLD, author="GitHub-Actions[bot]")
    assert thread(github).upsert(MARKER, NEW) == "updated"


def test_the_oldest_of_several_is_kept(github: GitHub) -> None:
    put(github, OLD, "someone's", OLD, NEW)
    assert thread(github).upsert(MARKER, NEW) == "updated"
    assert github.bodies(7) == [NEW, "someone's"]


def test_without_create_nothing_is_made(github: GitHub) -> None:
    assert thread(github).upsert(MARKER, NEW, create=False) == "absent"
    put(github, OLD)
    assert thread(github).upsert(MARKER, NEW, create=False) == "updated"
    assert github.bodies(7) == [NEW]


@pytest.mark.parametrize(
    "fault", [Fault(method="POST", after_write=True), Fault(method="POST", status=502, after_write=True)]
)
def test_a_post_that_was_done_though_its_answer_was_lost_is_not_doubled(github: GitHub, fault: Fault) -> None:
    github.state.faults.append(fault)
    assert thread(github).upsert(MARKER, NEW) == "unchanged"
    assert github.bodies(7) == [NEW]
    assert github.count("POST") == 1


@pytest.mark.parametrize("fault", [Fault(method="POST"), Fault(method="POST", status=503, times=2)])
def test_a_post_that_was_not_done_is_done_again(github: GitHub, fault: Fault) -> None:
    github.state.faults.append(fault)
    assert thread(github).upsert(MARKER, NEW) == "created"
    assert github.bodies(7) == [NEW]


def test_a_lost_patch_is_sent_again(github: GitHub) -> None:
    put(github, OLD)
    github.state.faults.append(Fault(method="PATCH", after_write=True))
    assert thread(github).upsert(MARKER, NEW) == "updated"
    assert github.bodies(7) == [NEW]


@pytest.mark.parametrize(("status", "kind"), [(0, Unreachable), (500, Broken)])
def test_posting_ends_when_github_stays_broken(github: GitHub, status: int, kind: type[Broken]) -> None:
    github.state.faults.append(Fault(method="POST", status=status, times=99))
    with pytest.raises(Broken, match="POST") as told:
        thread(github).upsert(MARKER, NEW)
    assert isinstance(told.value.__cause__, kind)
    assert github.count("POST") == 5
    assert github.bodies(7) == []


def test_a_comment_deleted_before_the_update_is_made_anew(github: GitHub) -> None:
    put(github, OLD)

    def someone_deletes(method: str, path: str) -> None:
        if method == "PATCH":
            github.state.comments.clear()

    github.before = someone_deletes
    assert thread(github).upsert(MARKER, NEW) == "created"
    assert github.bodies(7) == [NEW]


def test_a_comment_deleted_again_and_again_is_given_up(github: GitHub) -> None:
    def someone_deletes(method: str, path: str) -> None:
        github.state.comments.clear()
        if method == "GET":
            put(github, OLD)

    github.before = someone_deletes
    with pytest.raises(NotFound, match="check the repository"):
        thread(github).upsert(MARKER, NEW)
    assert github.count("PATCH") == 5


def test_a_younger_one_deleted_by_the_other_job_is_fine(github: GitHub) -> None:
    put(github, NEW, NEW)

    def the_other_job_deletes(method: str, path: str) -> None:
        if method == "DELETE":
            github.state.comments[:] = github.state.comments[:1]

    github.before = the_other_job_deletes
    assert thread(github).upsert(MARKER, NEW) == "updated"
    assert github.bodies(7) == [NEW]


@pytest.mark.parametrize("posters", [2, 4])
def test_posters_at_once_agree_on_one_comment(github: GitHub, posters: int) -> None:
    all_have_looked = threading.Barrier(posters, timeout=20)
    github.before = lambda method, path: _wait(all_have_looked) if method == "POST" else None
    bodies = [f"{MARKER}\nby job {n}" for n in range(posters)]
    jobs = [threading.Thread(target=thread(github).upsert, args=(MARKER, body)) for body in bodies]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert github.count("POST") == posters
    assert len(github.bodies(7)) == 1
    assert github.bodies(7)[0] in bodies
    assert github.state.comments[0].id == 1


def _wait(barrier: threading.Barrier) -> None:
    barrier.wait()


def test_a_token_of_another_author_still_makes_one(github: GitHub, capsys: pytest.CaptureFixture[str]) -> None:
    github.state.login = "alice"
    thread(github).upsert(MARKER, OLD)
    thread(github).upsert(MARKER, NEW)
    assert github.bodies(7) == [NEW]
    assert "set TRUNKLINE_BOT" in capsys.readouterr().err
    assert thread(github, "alice").upsert(MARKER, OLD) == "updated"


def test_a_comment_of_a_deleted_account_is_passed_over(github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    put(github, OLD)
    known = github._comment
    monkeypatch.setattr(github, "_comment", lambda one: known(one) | ({"user": None} if one.body == OLD else {}))
    assert thread(github).upsert(MARKER, NEW) == "created"


def test_a_read_only_token_is_told_what_it_lacks(github: GitHub) -> None:
    github.state.writable = False
    with pytest.raises(Forbidden, match="issues=write; pull_requests=write"):
        thread(github).upsert(MARKER, NEW)


def test_too_long(github: GitHub) -> None:
    with pytest.raises(Invalid, match="Validation Failed"):
        thread(github).upsert(MARKER, "x" * 70_000)


def test_no_such_pull_request(github: GitHub) -> None:
    github.state.pulls.clear()
    with pytest.raises(NotFound, match="check the repository"):
        thread(github).upsert(MARKER, NEW)


def test_many_markers_are_settled_with_two_lists(github: GitHub) -> None:
    put(github, OLD)
    markers = [MARKER, *(MARKER.replace("fraud", f"m{n}") for n in range(4))]
    bodies = {marker: f"{marker}\nnew" for marker in markers}
    assert set(thread(github).upsert_all(bodies).values()) == {"updated", "created"}
    assert github.count("GET") == 2
    assert github.bodies(7) == list(bodies.values())
    assert set(thread(github).upsert_all(bodies, known=thread(github).own()).values()) == {"unchanged"}
    assert github.count("GET") == 3


def test_a_lost_post_among_many_is_looked_for(github: GitHub) -> None:
    other = MARKER.replace("fraud", "churn")
    github.state.faults.append(Fault(method="POST", after_write=True))
    assert thread(github).upsert_all({MARKER: NEW, other: other}) == {MARKER: "unchanged", other: "created"}
    assert github.bodies(7) == [NEW, other]


def test_a_locked_conversation_is_told(github: GitHub) -> None:
    github.state.pulls[0].locked = True
    with pytest.raises(Locked, match="unlock it"):
        thread(github).upsert(MARKER, NEW)
