"""The stand-in itself: what GitHub would refuse, it refuses, and remembers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import requests

from tests.github import contract, published
from tests.github.contract import ContractBroken
from tests.github.server import GitHub, Pull, State, running

if TYPE_CHECKING:
    from pathlib import Path

COMMENTS = "/repos/octo/line/issues/7/comments"
MUTATION = """
mutation ($input: EnablePullRequestAutoMergeInput!) {
  enablePullRequestAutoMerge(input: $input) { clientMutationId }
}
"""
HEADERS = {"authorization": "Bearer secret-token"}


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("GET", "/nowhere", None, "Path not found"),
        ("GET", f"{COMMENTS}?per_pgae=100", None, "per_pgae"),
        ("GET", f"{COMMENTS}?per_page=101", None, "per_page is 101"),
        ("GET", f"{COMMENTS}?per_page=0", None, "per_page is 0"),
        ("GET", f"{COMMENTS}?page=1&page=2", None, "given twice: ['page']"),
        ("GET", "/repos/octo/line/issues/seven/comments", None, "issue_number"),
        ("POST", COMMENTS, {"text": "x"}, "'body' is a required property"),
        ("POST", COMMENTS, {"body": "x", "bdoy": "y"}, "bdoy"),
        ("POST", COMMENTS, {"body": 1}, "not of type 'string'"),
        ("PATCH", "/repos/octo/line/pulls/7/merge", {}, "Operation patch not found"),
        ("POST", "/repos/octo/line/issues/7/labels", {"labels": ["a"], "lables": ["b"]}, "lables"),
        ("POST", "/graphql", {"query": "mutation { enablePullRequestAutoMerg }"}, "Cannot query field"),
        ("POST", "/graphql", {"query": MUTATION, "variables": {"input": {"pullRequest": "PR_7"}}}, "pullRequest"),
    ],
)
def test_a_request_outside_the_contract_is_refused(method: str, path: str, body: object, words: str) -> None:
    state = State(pulls=[Pull(number=7, sha="a")])
    with pytest.raises(ContractBroken, match=re.escape(words)), running(state) as github:  # noqa: PT012  # the exit raises
        answer = requests.request(method, github.url + path, json=body, headers=HEADERS, timeout=5)
        assert answer.status_code == 500
        assert words in answer.json()["message"]
    assert len(state.violations) == 1


def test_another_version_of_the_api_is_refused() -> None:
    headers = {**HEADERS, "x-github-api-version": "2021-01-01"}
    state = State(pulls=[Pull(number=7, sha="a")])
    with pytest.raises(ContractBroken, match="API version 2021-01-01"), running(state) as github:
        requests.get(github.url + COMMENTS, headers=headers, timeout=5)


def test_a_comment_is_measured_as_github_does() -> None:
    with running(State(pulls=[Pull(number=7, sha="a")])) as github:
        url = github.url + COMMENTS
        one = "/repos/octo/line/issues/comments/1"
        fits, too_long = {"body": "\N{SCROLL}" * 32_768}, {"body": "\N{SCROLL}" * 32_769}
        assert requests.post(url, json=too_long, headers=HEADERS, timeout=5).status_code == 422
        assert requests.post(url, json=fits, headers=HEADERS, timeout=5).status_code == 201
        assert requests.patch(github.url + one, json=too_long, headers=HEADERS, timeout=5).status_code == 422
        assert requests.patch(github.url + one, json=fits, headers=HEADERS, timeout=5).status_code == 200


def test_a_locked_pull_request_and_one_from_a_deleted_fork() -> None:
    pulls = [Pull(number=7, sha="a", locked=True), Pull(number=8, sha="b", fork_deleted=True, base="next")]
    with running(State(pulls=pulls)) as github:
        answer = requests.post(github.url + COMMENTS, json={"body": "x"}, headers=HEADERS, timeout=5)
        assert answer.status_code == 403
        assert "is locked" in answer.json()["message"]
        listed = requests.get(f"{github.url}/repos/octo/line/pulls", headers=HEADERS, timeout=5).json()
        assert [(one["head"]["repo"] is None, one["base"]["ref"]) for one in listed] == [
            (False, "main"),
            (True, "next"),
        ]


def test_a_response_outside_the_contract_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(pulls=[Pull(number=7, sha="a")])
    monkeypatch.setattr(GitHub, "_page", lambda *_: (200, {}, [{"id": 1}]))
    with pytest.raises(ContractBroken, match="node_id"), running(state) as github:
        requests.get(github.url + COMMENTS, headers=HEADERS, timeout=5)


@pytest.mark.parametrize(("surroundings", "outcome"), [("true", "Failed"), ("", "Skipped")])
def test_without_the_description_ci_fails_and_others_skip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, surroundings: str, outcome: str
) -> None:
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", surroundings)
    contract.load.cache_clear()
    with pytest.raises(
        BaseException, match="apt-get install nodejs npm"
    ) as told:  # pytest's outcomes are no Exceptions
        contract.contract()
    contract.load.cache_clear()
    assert type(told.value).__name__ == outcome


def test_as_a_process_it_keeps_its_state_in_a_file(tmp_path: Path) -> None:
    port, state = tmp_path / "port", tmp_path / "state.json"
    state.write_text(State(pulls=[Pull(number=7, sha="a")]).model_dump_json())
    command = [sys.executable, "-m", "tests.github.server", "--port-file", str(port), "--state", str(state)]
    with subprocess.Popen(command, cwd=published.ROOT) as process:
        try:
            until = time.monotonic() + 30
            while not port.exists():
                assert time.monotonic() < until
                assert process.poll() is None
                time.sleep(0.02)
            url = f"http://127.0.0.1:{port.read_text()}{COMMENTS}"
            assert requests.post(url, json={"body": "hello"}, headers=HEADERS, timeout=5).status_code == 201
        finally:
            process.terminate()
    assert json.loads(state.read_text())["comments"][0]["body"] == "hello"
