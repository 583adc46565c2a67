"""`trunkline comment` on records in a folder, and a GitHub held to its description."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters.github import protocol
from ci.cli import main
from ci.core.records import GateResult, Outcome, Plan, Verdict
from ci.core.reporting import report
from tests.github.server import Comment, GitHub, Pull, State, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHA = "a" * 40
FRAUD, CHURN = "<!-- trunkline:check:fraud -->", "<!-- trunkline:check:churn -->"
HEAD = "<sub>The check of `aaaaaaaa`</sub>\n\n"
RUN = "https://github.com/octo/line/actions/runs/1"


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    pulls = [Pull(number=7, sha=SHA, head="dana:change"), Pull(number=8, sha="b" * 40)]
    with running(State(pulls=pulls)) as stand:
        for name in ("GITHUB_ACTIONS", "TRUNKLINE_BOT"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("GITHUB_API_URL", stand.url)
        monkeypatch.setenv("GITHUB_TOKEN", stand.state.token)
        monkeypatch.setenv("GITHUB_REPOSITORY", "octo/line")
        monkeypatch.setattr(protocol, "backoff", lambda times: 0.0)
        monkeypatch.setattr(protocol, "PAUSE", 0.0)
        yield stand


def verdict(model: str, outcome: Outcome = Outcome.PASS, *, blocks: bool = False, **more: Any) -> Verdict:
    return Verdict(
        model=model,
        mode="smoke",
        task="binary",
        commit=SHA,
        base_commit=None,
        candidate_hash=None,
        verdict=outcome,
        blocks=blocks,
        summary=f"{model} was judged",
        **more,
    )


def put(folder: Path, *verdicts: Verdict, planned: tuple[str, ...] | None = None) -> Path:
    for one in verdicts:
        path = folder / one.model / one.mode / "verdict.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(one.model_dump_json())
    models = tuple(one.model for one in verdicts) if planned is None else planned
    plan = Plan(base_commit=None, models=models, reasons={}, words=f"{len(models)} models are touched")
    folder.mkdir(exist_ok=True)
    (folder / "plan.json").write_text(plan.model_dump_json())
    return folder


def comment(folder: Path, *options: str) -> int:
    where = options or ("--sha", SHA, "--head", "dana:change")
    return main(["comment", "--verdicts", str(folder), "--plan", str(folder / "plan.json"), *where])


def test_one_comment_per_model_updated_in_place(github: GitHub, tmp_path: Path) -> None:
    assert comment(put(tmp_path, verdict("fraud"), verdict("churn"))) == 0
    churn, fraud = github.bodies(7)
    assert churn.startswith(f"{CHURN}\n")
    assert fraud.startswith(f"{FRAUD}\n")
    assert "fraud was judged" in fraud
    assert comment(put(tmp_path, verdict("fraud", Outcome.FAIL, blocks=True), verdict("churn"))) == 0
    assert github.bodies(7)[0] == churn
    assert github.bodies(7)[1] != fraud
    assert (github.count("POST"), github.count("PATCH")) == (2, 1)
    assert github.bodies(8) == []


def test_by_number_or_by_commit_alone(github: GitHub, tmp_path: Path) -> None:
    put(tmp_path, verdict("fraud"))
    assert comment(tmp_path, "--pr", "8") == 0
    assert comment(tmp_path, "--sha", SHA) == 0
    (by_number,), (by_commit,) = github.bodies(8), github.bodies(7)
    assert HEAD in by_commit
    assert by_commit.replace(HEAD, "") == by_number


@pytest.mark.parametrize(
    "pull",
    [
        Pull(number=7, sha="c" * 40, head="dana:change"),
        Pull(number=7, sha=SHA, head="dana:change", state="closed"),
        Pull(number=7, sha=SHA, head="dana:other"),
    ],
)
def test_a_commit_no_open_pull_request_ends_in_is_told(
    github: GitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], pull: Pull
) -> None:
    github.state.pulls[:] = [pull]
    assert comment(put(tmp_path, verdict("fraud"))) == 0
    assert "No open pull request of octo/line has aaaaaaaa as its head" in capsys.readouterr().out
    assert github.state.comments == []


def test_a_pull_request_far_down_the_list_is_found(github: GitHub, tmp_path: Path) -> None:
    github.state.pulls[:0] = [Pull(number=100 + n, sha=f"{n:040d}") for n in range(70)]
    assert comment(put(tmp_path, verdict("fraud")), "--sha", SHA) == 0
    assert len(github.bodies(7)) == 1


def test_a_model_no_longer_touched_is_taken_back(github: GitHub, tmp_path: Path) -> None:
    comment(put(tmp_path / "first", verdict("fraud"), verdict("churn")))
    github.state.comments.append(Comment(id=9, number=7, author="mallory", body=f"{FRAUD}\nmine"))
    comment(put(tmp_path / "second", verdict("churn")))
    churn, fraud, other = github.bodies(7)
    assert "churn was judged" in churn
    assert (
        fraud
        == f"{FRAUD}\n{HEAD}⚪ **fraud** is not touched by this pull request any more: there is nothing to judge.\n"
    )
    assert other == f"{FRAUD}\nmine"
    assert comment(put(tmp_path / "third", verdict("fraud"))) == 0
    assert "fraud was judged" in github.bodies(7)[1]


def test_a_planned_model_without_a_verdict_is_not_called_untouched(github: GitHub, tmp_path: Path) -> None:
    comment(put(tmp_path, planned=("fraud",)))
    assert "**fraud** has no verdict: its check ended before it could judge" in github.bodies(7)[0]


def test_without_a_plan_nothing_is_said_of_other_models(github: GitHub, tmp_path: Path) -> None:
    comment(put(tmp_path / "first", verdict("fraud")))
    before = github.bodies(7)
    assert main(["comment", "--verdicts", str(tmp_path / "none"), "--sha", SHA]) == 0
    assert github.bodies(7) == before


def test_a_run_that_left_nothing_says_so_in_the_comments_that_are_there(github: GitHub, tmp_path: Path) -> None:
    comment(put(tmp_path, verdict("fraud")))
    where = ("--sha", SHA, "--head", "dana:change", "--conclusion", "failure", "--run-url", RUN)
    assert comment(tmp_path / "none", *where) == 0
    (body,) = github.bodies(7)
    assert "judged\n" not in body
    assert "ended in failure" in body
    assert f"]({RUN})" in body
    assert "the check of `aaaaaaaa` ended before it could judge" in body
    assert github.count("POST") == 1


def test_a_run_that_did_not_succeed_shows_no_bare_pass_and_takes_nothing_back(github: GitHub, tmp_path: Path) -> None:
    comment(put(tmp_path / "first", verdict("fraud"), verdict("churn")))
    comment(put(tmp_path / "second", verdict("churn")), "--sha", SHA, "--conclusion", "failure", "--run-url", RUN)
    churn, fraud = github.bodies(7)
    told = f"{CHURN}\n> ⚠️ **The check of `aaaaaaaa` ended in failure.**"
    assert churn.startswith(told)
    assert churn.index(told) < churn.index("✅")
    assert "not touched" not in fraud
    assert "**fraud** was not judged anew" in fraud


def test_a_run_that_succeeded_names_its_commit_and_itself(github: GitHub, tmp_path: Path) -> None:
    comment(put(tmp_path, verdict("fraud")), "--sha", SHA, "--conclusion", "success", "--run-url", RUN)
    assert github.bodies(7)[0].startswith(f"{FRAUD}\n<sub>The check of `aaaaaaaa` [The run]({RUN})</sub>\n")


@pytest.mark.parametrize(
    ("option", "value"), [("--conclusion", "fine](x)"), ("--run-url", "javascript:x"), ("--run-url", "https://x/) y")]
)
def test_what_the_event_says_is_checked(github: GitHub, tmp_path: Path, option: str, value: str) -> None:
    assert comment(put(tmp_path, verdict("fraud")), "--sha", SHA, option, value) == 1
    assert github.state.requests == []


def test_of_pull_requests_that_share_a_commit_the_one_it_was_checked_for(
    github: GitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    github.state.pulls.append(Pull(number=9, sha=SHA, head="dana:change", base="next"))
    put(tmp_path, verdict("fraud"))
    for unknown in ((), ("--base", ""), ("--base", "main next")):
        assert comment(tmp_path, "--sha", SHA, "--head", "dana:change", *unknown) == 0
        assert "#7, #9 all have aaaaaaaa as their head" in capsys.readouterr().out
        assert github.state.comments == []
    assert comment(tmp_path, "--sha", SHA, "--base", "next") == 0
    assert (len(github.bodies(7)), len(github.bodies(9))) == (0, 1)
    assert comment(tmp_path, "--sha", SHA, "--base", "gone") == 0
    assert len(github.state.comments) == 1
    assert "goes to the branch it was checked for" in capsys.readouterr().out


def test_a_pull_request_from_a_deleted_fork(github: GitHub, tmp_path: Path) -> None:
    github.state.pulls[0].fork_deleted = True
    assert comment(put(tmp_path, verdict("fraud")), "--sha", SHA, "--head", ":change") == 0
    assert len(github.bodies(7)) == 1


def test_invented_models_make_five_comments_whatever_is_pushed(
    github: GitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for push in range(2):
        invented = [verdict(f"model{push}{n}") for n in range(7)]
        assert comment(put(tmp_path / str(push), *invented, verdict("fraud"))) == 0
    assert len(github.bodies(7)) == 6
    assert sum(FRAUD in body for body in github.bodies(7)) == 1
    told = capsys.readouterr().out
    assert "no comment for model05, model06: params.yaml of the default branch does not list them" in told
    assert "no comment for model10, model11, model12, model13, model14 and 2 more" in told


def test_comments_are_listed_twice_however_many_models(github: GitHub, tmp_path: Path) -> None:
    names = ["churn", "fraud", *(f"model{n}" for n in range(5))]
    for times in (2, 3):  # posted and looked at again; then found as they are
        comment(put(tmp_path, *(verdict(name) for name in names)))
        assert sum("/comments" in line for line in github.state.requests if line.startswith("GET")) == times
    assert github.count("POST") == 7


def test_a_locked_pull_request_is_told(github: GitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    github.state.pulls[0].locked = True
    assert comment(put(tmp_path, verdict("fraud"))) == 0
    assert "#7: The conversation is locked" in capsys.readouterr().out


def test_a_record_that_cannot_be_shown_stops_no_other(
    github: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = report.commands

    def breaks(one: Verdict) -> tuple[str, ...]:
        if one.model == "churn":
            raise OverflowError("no\n::error::way")
        return known(one)

    monkeypatch.setattr(report, "commands", breaks)
    assert comment(put(tmp_path, verdict("churn"), verdict("fraud"))) == 0
    churn, fraud = github.bodies(7)
    assert "**churn** has a record that cannot be shown" in churn
    assert "fraud was judged" in fraud
    assert "(OverflowError: no : :error: :way)" in capsys.readouterr().err


def test_seconds_whose_sum_is_no_number_are_refused(
    github: GitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = verdict("fraud").model_dump(mode="json") | {"seconds": {"a": 1.7e308, "b": 1.7e308}}
    put(tmp_path, verdict("churn"), verdict("fraud"))
    (tmp_path / "fraud" / "smoke" / "verdict.json").write_text(json.dumps(record))
    assert comment(tmp_path) == 1
    assert "seconds.a: Input should be less than or equal to" in capsys.readouterr().err
    churn, fraud = github.bodies(7)
    assert "churn was judged" in churn
    assert "**fraud** has no verdict" in fraud


def test_what_a_fork_writes_is_shown_and_does_nothing(github: GitHub, tmp_path: Path) -> None:
    hostile = "<script>x</script> --> @octo/admins [x](https://evil.example) ![x](//evil.example/p.png)\n## h"
    gate = GateResult(
        gate=hostile, metric="f1", rule=hostile, verdict=Outcome.FAIL, value=None, reason=hostile, blocks=True
    )
    comment(put(tmp_path, verdict("fraud", Outcome.FAIL, blocks=True, gates=(gate,))))
    (body,) = github.bodies(7)
    assert body.count("-->") == 1
    assert "x" in body
    live = re.sub(r"\\.", "", body)  # what is left when escaped characters are gone
    for harm in ("<script", "@octo", "](", "https://evil", "\n## h"):
        assert harm not in live


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file: Invalid JSON"),
        ('{"model": "fraud"}', "mode: Field required"),
        (
            json.dumps(verdict("fraud").model_dump(mode="json") | {"blocks": "no"}),
            "blocks: Input should be a valid boolean",
        ),
        (json.dumps(verdict("fraud").model_dump(mode="json") | {"x\n::error::y": 1}), "x : :error: :y: Extra inputs"),
        (verdict("fraud --> @all").model_dump_json(), "names a model 'fraud --> @all'"),
        (verdict("../../etc").model_dump_json(), "names a model '../../etc'"),
        (" " * 4_000_001, "has 4,000,001 bytes"),
    ],
    ids=["empty", "cut", "lax", "extra", "marker", "path", "large"],
)
def test_a_record_that_is_none_is_refused(
    github: GitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    put(tmp_path, verdict("churn"), planned=("churn",))
    (tmp_path / "fraud").mkdir()
    (tmp_path / "fraud" / "verdict.json").write_text(text)
    assert comment(tmp_path) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert words in told
    (body,) = github.bodies(7)
    assert "churn was judged" in body


def test_a_link_a_second_record_and_one_out_of_place_are_refused(
    github: GitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, verdict("fraud"))
    second = tmp_path / "fraud" / "verdict.json"
    second.symlink_to(tmp_path / "fraud" / "smoke" / "verdict.json")
    assert comment(tmp_path) == 1
    assert "is not a plain file" in capsys.readouterr().err
    second.unlink()
    second.write_text(verdict("fraud").model_dump_json())
    assert comment(tmp_path) == 1
    assert "are both the smoke verdict of 'fraud'" in capsys.readouterr().err
    second.unlink()
    other = tmp_path / "zzz" / "fraud" / "smoke" / "verdict.json"
    other.parent.mkdir(parents=True)
    other.write_text(verdict("fraud").model_dump_json())
    (tmp_path / "verdict.json").write_text(verdict("churn").model_dump_json())
    (tmp_path / "plan.json").write_text("{}")
    assert comment(tmp_path) == 1
    told = capsys.readouterr().err
    for words in ("does not lie in the folder of a model", "zzz holds a verdict of 'fraud'", "not a whole Plan"):
        assert words in told
    assert told.count("\n") == 3


@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("GITHUB_TOKEN", "", 2, "GITHUB_TOKEN is not set"),
        ("GITHUB_TOKEN", "wrong", 2, "GitHub refused the token in GITHUB_TOKEN"),
        ("GITHUB_REPOSITORY", "octo", 1, "has to be OWNER/NAME"),
        ("GITHUB_REPOSITORY", "octo/other", 2, "check the repository"),
        ("GITHUB_API_URL", "http://api.example", 1, "GITHUB_API_URL"),
    ],
)
def test_one_sentence(
    github: GitHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    code: int,
    words: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert comment(put(tmp_path, verdict("fraud")), "--pr", "7") == code
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert words in told


@pytest.mark.parametrize("options", [("--sha", "HEAD"), ("--sha", SHA, "--head", "change")])
def test_where_to_post_is_checked(github: GitHub, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert comment(put(tmp_path, verdict("fraud")), *options) == 1
    assert github.state.requests == []
