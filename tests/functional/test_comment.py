"""`trunkline comment` and `trunkline verdict` on records in a folder, and a GitHub held to its description."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters.github import protocol
from ci.cli import main
from ci.core.records import GateResult, Outcome, Plan, Verdict
from tests.github.server import Comment, GitHub, Pull, State, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHA = "a" * 40
FRAUD, CHURN = "<!-- trunkline:check:fraud -->", "<!-- trunkline:check:churn -->"


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


def judge(folder: Path, *options: str) -> int:
    return main(["verdict", "--plan", str(folder / "plan.json"), "--verdicts", str(folder), *options])


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
    assert github.bodies(7) == github.bodies(8)


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
    assert fraud == f"{FRAUD}\n⚪ **fraud** is not touched by this pull request any more: there is nothing to judge.\n"
    assert other == f"{FRAUD}\nmine"
    assert comment(put(tmp_path / "third", verdict("fraud"))) == 0
    assert "fraud was judged" in github.bodies(7)[1]


def test_a_planned_model_without_a_verdict_is_not_called_untouched(github: GitHub, tmp_path: Path) -> None:
    comment(put(tmp_path, planned=("fraud",)))
    assert "**fraud** has no verdict: its check ended before it could judge" in github.bodies(7)[0]


def test_without_a_plan_nothing_is_said_of_other_models(github: GitHub, tmp_path: Path) -> None:
    comment(put(tmp_path / "first", verdict("fraud")))
    before = github.bodies(7)
    folder = put(tmp_path / "second")
    (folder / "plan.json").unlink()
    assert comment(folder) == 0
    assert github.bodies(7) == before


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
        (json.dumps(verdict("fraud").model_dump(mode="json") | {"x\n::error::y": 1}), "x ::error::y: Extra inputs"),
        (verdict("fraud --> @all").model_dump_json(), "names a model 'fraud --> @all'"),
        (verdict("../../etc").model_dump_json(), "names a model '../../etc'"),
        (" " * 4_000_001, "has 4,000,001 bytes"),
    ],
    ids=["empty", "cut", "lax", "extra", "marker", "path", "large"],
)
def test_a_record_that_is_none_is_refused(
    github: GitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    put(tmp_path)
    (tmp_path / "verdict.json").write_text(text)
    assert comment(tmp_path) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert words in told
    assert github.state.requests == []


def test_a_link_or_a_second_record_is_refused(
    github: GitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, verdict("fraud"))
    second = tmp_path / "verdict.json"
    second.symlink_to(tmp_path / "fraud" / "smoke" / "verdict.json")
    assert comment(tmp_path) == 1
    assert "is not a plain file" in capsys.readouterr().err
    second.unlink()
    second.write_text(verdict("fraud").model_dump_json())
    assert comment(tmp_path) == 1
    assert "are both the smoke verdict of 'fraud'" in capsys.readouterr().err


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


INCONCLUSIVE = Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([verdict("fraud"), verdict("churn")], 0),
        ([verdict("fraud"), verdict("churn", Outcome.FAIL, blocks=True)], 3),
        ([verdict("fraud"), verdict("churn", INCONCLUSIVE)], 0),
        ([verdict("fraud"), verdict("churn", INCONCLUSIVE, blocks=True)], 4),
    ],
)
def test_the_worst_verdict_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verdicts: list[Verdict], code: int
) -> None:
    assert judge(put(tmp_path, *verdicts)) == code
    out = capsys.readouterr().out
    assert "fraud" in out
    assert "churn" in out


def test_nothing_touched_is_a_pass_with_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(put(tmp_path), "--check-result", "skipped") == 0
    assert capsys.readouterr().out == "pass: 0 models are touched\n"
    assert judge(tmp_path, "--check-result", "failure") == 1


def test_a_planned_model_without_a_verdict_is_no_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = put(tmp_path, verdict("fraud"), planned=("churn", "fraud"))
    assert judge(folder, "--check-result", "failure") == 1
    assert "for churn (the check jobs ended with failure)" in capsys.readouterr().err
    assert judge(folder) == 1


def test_a_model_that_was_not_planned_does_not_count(tmp_path: Path) -> None:
    assert judge(put(tmp_path, verdict("fraud"), verdict("churn", Outcome.FAIL, blocks=True), planned=("fraud",))) == 0


@pytest.mark.parametrize(("result", "code"), [("success", 0), ("failure", 1), ("cancelled", 1), ("skipped", 1)])
def test_a_job_that_failed_beside_a_pass_is_no_pass(tmp_path: Path, result: str, code: int) -> None:
    assert judge(put(tmp_path, verdict("fraud")), "--check-result", result) == code


def test_no_plan_is_no_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(tmp_path) == 1
    assert "plan.json is missing; `trunkline plan` writes it." in capsys.readouterr().err
