"""Which forge is chosen, how git is let in, and what each forge knows besides the bot's loop."""

from __future__ import annotations

import base64
import http.server
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ci.adapters import forge
from ci.adapters.forge.github import GitHub as Forge
from ci.adapters.forge.github import admission
from ci.adapters.forge.local import FOLDER, Local
from ci.adapters.github import Broken, Invalid, NotFound, TokenMissing
from ci.adapters.github.client import Client
from ci.adapters.remote import Remote
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.forge import Approval, Pull
from tests.github.server import Dispatch, Fault, GitHub, Review, Run, State, running
from tests.github.server import Pull as Given
from tests.unit.ci.adapters.test_bot import commit, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "not-to-be-seen"
SURROUNDINGS = ("TRUNKLINE_TOKEN", "GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_ACTIONS", "GITHUB_SERVER_URL")
MERGED = "c" * 40
INPUTS = {"model": "churn"}


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SURROUNDINGS, "GITHUB_API_URL", "TRUNKLINE_BOT", "GIT_CONFIG_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("ci.adapters.remote.time.sleep", lambda seconds: None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    run(root, "init", "-q", "-b", "main")
    commit(root, "params.yaml", "models: [churn]\n")
    return root


@pytest.fixture
def github() -> Iterator[GitHub]:
    with running(State()) as stand:
        yield stand


@pytest.fixture
def hosting(github: GitHub, root: Path) -> GitHub:
    """The same with the repository behind it."""
    github.state.origin = str(root)
    return github


def served(github: GitHub, root: Path, slept: list[float] | None = None) -> Forge:
    client = Client(github.state.token, github.url, sleep=(slept if slept is not None else []).append, now=lambda: 0.0)
    return Forge(client, github.state.repo, Remote(root, github.state.origin or "nowhere"))


# --- which one ---------------------------------------------------------------------------------


def test_without_a_token_it_is_the_local_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(forge.of(root), Local)
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo/line")
    assert isinstance(forge.of(root), Local)
    assert not (root / FOLDER).exists()


@pytest.mark.parametrize("variable", ["TRUNKLINE_TOKEN", "GITHUB_TOKEN"])
def test_with_a_token_it_is_github(root: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo/line")
    monkeypatch.setenv(variable, SECRET)
    chosen = forge.of(root)
    assert chosen.name == "GitHub"
    assert chosen.remote.url == "https://github.com/octo/line.git"


def test_the_token_of_an_app_comes_first(root: Path, github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo/line")
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    monkeypatch.setenv("GITHUB_TOKEN", "of the workflow")
    monkeypatch.setenv("TRUNKLINE_TOKEN", github.state.token)
    assert forge.of(root).base() == "main"


def test_a_job_without_a_token_does_not_work_for_the_bin(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo/line")
    with pytest.raises(TokenMissing, match="neither TRUNKLINE_TOKEN nor GITHUB_TOKEN is set"):
        forge.of(root)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GITHUB_REPOSITORY", "octo", "has to be OWNER/NAME"),
        ("GITHUB_SERVER_URL", "http://github.example", "GITHUB_SERVER_URL is not the https address"),
        ("GITHUB_SERVER_URL", "https://me:secret@github.example", "GITHUB_SERVER_URL is not the https address"),
        ("GITHUB_API_URL", "http://api.example", "GITHUB_API_URL is not the https address"),
    ],
)
def test_where_a_token_must_not_be_sent(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo/line")
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=words):
        forge.of(root)


# --- how git is let in -------------------------------------------------------------------------


@contextmanager
def recorder() -> Iterator[tuple[str, list[str | None]]]:
    """A server that refuses git, and remembers what it was shown."""
    shown: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers.get("authorization"))
            self.send_response(403)
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", shown
    finally:
        server.shutdown()
        server.server_close()


def test_the_token_is_a_header_and_nothing_else(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = base64.b64encode(f"x-access-token:{SECRET}".encode()).decode()
    with recorder() as (server, shown):
        run(root, "config", f"http.{server}/.extraheader", "AUTHORIZATION: basic left-by-a-checkout")
        monkeypatch.setenv("GITHUB_REPOSITORY", "octo/line")
        monkeypatch.setenv("GITHUB_SERVER_URL", server)
        monkeypatch.setenv("GITHUB_TOKEN", SECRET)
        chosen = forge.of(root)
        with pytest.raises(EnvironmentFault, match="cannot be reached by git") as told:
            chosen.remote.at("refs/heads/main")
    assert set(shown) == {f"basic {secret}"}
    seen = f"{told.value} {chosen.remote!r} {chosen.remote.url} {capsys.readouterr()}"
    assert SECRET not in seen
    assert secret not in seen


def test_another_host_is_not_shown_the_token(root: Path) -> None:
    with recorder() as (server, shown):
        elsewhere = Remote(root, f"{server}/octo/line.git", admission("https://github.com", SECRET))
        with pytest.raises(EnvironmentFault):
            elsewhere.at("refs/heads/main")
    assert set(shown) == {None}


def test_settings_that_are_in_the_environment_already_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{root}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/octo/line.git")
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo/line")
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    assert forge.of(root).remote.at("refs/heads/main") == {"refs/heads/main": run(root, "rev-parse", "HEAD")}


def other(_: str) -> bool:
    """No other commit is like the newest."""
    return False


# --- GitHub ------------------------------------------------------------------------------------


def test_a_workflow_is_started_once(hosting: GitHub, root: Path) -> None:
    hub = served(hosting, root)
    assert "train.yml was started on main: https://github.com/octo/line/actions/runs/1" in hub.dispatch(
        "train.yml", "main", INPUTS, other
    )
    assert hosting.state.dispatches == [Dispatch(workflow="train.yml", ref="main", inputs=INPUTS)]
    assert "is running for it already" in hub.dispatch("train.yml", "main", INPUTS, other)
    assert len(hosting.state.dispatches) == 1
    hub.dispatch("train.yml", "main", {"model": "fraud"}, other)
    assert len(hosting.state.dispatches) == 2
    hosting.state.runs[0].status, hosting.state.runs[0].conclusion = "completed", "failure"
    assert "ran for it, and ended with failure" in hub.dispatch("train.yml", "main", INPUTS, other)
    assert len(hosting.state.dispatches) == 2
    hosting.state.runs[0].conclusion = "cancelled"
    hub.dispatch("train.yml", "main", INPUTS, other)
    assert len(hosting.state.dispatches) == 3


@pytest.mark.parametrize("status", [0, 502])
def test_a_start_whose_answer_is_lost_is_not_made_twice(hosting: GitHub, root: Path, status: int) -> None:
    hosting.state.faults.append(Fault(method="POST", path="/dispatches$", status=status, after_write=True))
    assert "is running for it already" in served(hosting, root).dispatch("train.yml", "main", INPUTS, other)
    assert len(hosting.state.dispatches) == 1


def test_a_run_of_an_older_commit_counts_where_it_trains_alike(hosting: GitHub, root: Path) -> None:
    """Else it trains what was merged before, and what was merged since would never be trained."""
    hub = served(hosting, root)
    hub.dispatch("train.yml", "main", INPUTS, other)
    before = run(root, "rev-parse", "HEAD")
    commit(root, "params.yaml", "models: [churn, fraud]\n")
    assert "is running for it already" in hub.dispatch("train.yml", "main", INPUTS, lambda sha: sha == before)
    assert "was started on main" in hub.dispatch("train.yml", "main", INPUTS, other)
    assert "is running for it already" in hub.dispatch("train.yml", "main", INPUTS, other)
    assert len(hosting.state.dispatches) == 2
    assert len({one.sha for one in hosting.state.runs}) == 2


def test_a_start_that_stays_unanswered_is_told(hosting: GitHub, root: Path) -> None:
    hosting.state.faults.append(Fault(method="POST", path="/dispatches$", status=502, times=99))
    with pytest.raises(Broken):
        served(hosting, root).dispatch("train.yml", "main", INPUTS, other)
    hosting.state.faults.clear()


def test_a_run_that_a_person_started_for_another_branch_does_not_count(hosting: GitHub, root: Path) -> None:
    hosting.state.runs.append(
        Run(workflow="train.yml", title="train churn", branch="work", sha=run(root, "rev-parse", "HEAD"))
    )
    served(hosting, root).dispatch("train.yml", "main", INPUTS, other)
    assert len(hosting.state.dispatches) == 1


def test_a_workflow_that_is_not_there_is_told(hosting: GitHub, root: Path) -> None:
    with pytest.raises(NotFound):
        served(hosting, root).dispatch("nowhere.yml", "main", INPUTS, other)
    with pytest.raises(Invalid, match="No ref found"):
        served(hosting, root).dispatch("train.yml", "gone", INPUTS, other)


def test_who_agreed_to_a_commit(github: GitHub, root: Path) -> None:
    reviews = [
        Review(user="eve", state="CHANGES_REQUESTED"),
        Review(user="eve", state="APPROVED"),
        Review(user="eve", state="COMMENTED"),
        Review(user="bob", state="APPROVED"),
        Review(user="bob", state="DISMISSED"),
        Review(user="ann", state="APPROVED"),
        Review(user=None, state="APPROVED"),
        Review(user="zoe", state="COMMENTED"),
    ]
    other = Given(number=3, sha=MERGED, base="elsewhere", state="closed", merge_commit="a" * 40, merged_by="mallory")
    open_ = Given(number=4, sha=MERGED)
    brought = Given(number=7, sha="b" * 40, state="closed", merge_commit=MERGED, merged_by="dana", reviews=reviews)
    github.state.pulls += [other, open_, brought]
    github.state.page_size = 3
    assert served(github, root).approval(MERGED) == Approval(
        pull=7, url="https://github.com/octo/line/pull/7", merged_by="dana", approved_by=("ann", "eve")
    )
    assert served(github, root).approval("d" * 40) is None


def test_a_title_and_text_that_github_wrote_otherwise_are_the_same(github: GitHub, root: Path) -> None:
    github.state.pulls.append(Given(number=7, sha="a", title="t", body="one\r\ntwo"))
    found = served(github, root).find("change")
    assert found is not None
    assert found.body == "one\ntwo"


def test_a_pull_request_from_a_fork_with_the_same_branch_is_not_ours(github: GitHub, root: Path) -> None:
    github.state.pulls.append(Given(number=7, sha="a", head="mallory:change"))
    assert served(github, root).find("change") is None


def test_one_to_another_branch_is_not_ours(github: GitHub, root: Path) -> None:
    github.state.pulls.append(Given(number=7, sha="a", base="next"))
    assert served(github, root).find("change") is None


# --- the local one -----------------------------------------------------------------------------


def opened(root: Path, text: str = "v1") -> tuple[Local, Pull]:
    """A pull request whose branch Dana made and pushed by hand."""
    local = Local(root)
    local.sync()
    run(root, "switch", "-qc", "change")
    commit(root, "release.yaml", text)
    run(root, "push", "-q", FOLDER, "change")
    run(root, "switch", "-q", "main")
    return local, local.open("change", "main", "A change", "words")


def test_it_is_made_on_first_use_and_follows_main(root: Path) -> None:
    local = Local(root)
    assert local.base() == "main"
    commit(root, "a", "1")
    local.sync()
    assert run(root / FOLDER, "rev-parse", "main") == run(root, "rev-parse", "HEAD")
    assert run(root / FOLDER, "symbolic-ref", "--short", "HEAD") == "main"


def test_one_that_was_killed_while_it_was_made_is_made_whole(root: Path) -> None:
    run(root, "init", "-q", "--bare", FOLDER)
    local = Local(root)
    assert local.base() == "main"
    assert run(root / FOLDER, "rev-parse", "main") == run(root, "rev-parse", "HEAD")


def test_the_default_branch_may_have_another_name(root: Path) -> None:
    run(root, "branch", "-m", "trunk")
    assert Local(root).base() == "trunk"


def test_before_the_first_commit_there_is_nothing_to_merge_into(tmp_path: Path) -> None:
    run(tmp_path, "init", "-q", "-b", "main", "empty")
    with pytest.raises(ConfigurationError, match="commit to `main` first"):
        Local(tmp_path / "empty").base()


def test_a_main_that_went_apart_is_told(root: Path) -> None:
    local, pull = opened(root)
    local.merge(pull)
    local.sync()
    commit(root, "b", "1")
    with pytest.raises(ConfigurationError, match=r"git pull \.trunkline/forge\.git main"):
        local.sync()
    run(root, "pull", "-q", "--no-rebase", "--no-edit", FOLDER, "main")
    local.sync()
    assert run(root / FOLDER, "rev-parse", "main") == run(root, "rev-parse", "HEAD")


def test_a_merge_by_hand_counts(root: Path) -> None:
    local, pull = opened(root)
    commit(root, "b", "1")
    run(root, "merge", "-q", "--no-edit", "change")
    local.sync()
    assert local.find("change") is None
    merged = run(root, "rev-parse", "HEAD")
    assert local.approval(merged) == Approval(pull=1, url=pull.url, merged_by="Dana")
    assert local.merge(pull) == merged


def test_a_fast_forward_does_not_tell_who_made_it(root: Path) -> None:
    local, pull = opened(root)
    run(root, "merge", "-q", "--ff-only", "change")
    local.sync()
    assert local.approval(run(root, "rev-parse", "HEAD")) == Approval(pull=1, url=pull.url, merged_by=None)


def test_a_branch_used_again_is_another_pull_request(root: Path) -> None:
    local, pull = opened(root)
    run(root, "merge", "-q", "--no-ff", "--no-edit", "change")
    local.sync()
    run(root, "switch", "-q", "change")
    commit(root, "release.yaml", "v2")
    run(root, "push", "-q", FOLDER, "change")
    assert local.find("change") is None
    assert local.open("change", "main", "Another", "words").number == pull.number + 1


def test_what_it_has_at_once_is_merged_at_once(root: Path) -> None:
    local, pull = opened(root)
    local.auto_merge(pull)
    assert run(root / FOLDER, "show", "main:release.yaml") == "v1"
    made = local.approval(run(root / FOLDER, "rev-parse", "main"))
    assert made is not None
    assert made.merged_by == "trunkline[bot]"
    local.auto_merge(pull)


def test_one_that_conflicts_or_moved_is_not_merged(root: Path) -> None:
    local, pull = opened(root)
    commit(root, "release.yaml", "another")
    local.sync()
    with pytest.raises(ConfigurationError, match="#1 conflicts with main"):
        local.merge(pull)
    with pytest.raises(ConfigurationError, match="closed or pushed to since"):
        local.merge(pull.model_copy(update={"head_commit": "0" * 40}))


def test_what_is_asked_of_it_is_kept_in_its_record(root: Path) -> None:
    local, pull = opened(root)
    local.label(pull, ["release", "staging"])
    local.label(pull, ["staging"])
    local.request_review(pull, ["eve"])
    local.comment(pull, "<!-- m -->", "first")
    local.comment(pull, "<!-- m -->", "second")
    kept = json.loads((root / pull.url).read_text())
    assert (kept["labels"], kept["reviewers"]) == (["release", "staging"], ["eve"])
    assert kept["comments"] == {"<!-- m -->": "second"}


def test_there_is_no_runner(root: Path) -> None:
    assert "run `trunkline train churn`" in Local(root).dispatch("train.yml", "main", INPUTS, other)


def test_two_at_once_open_one(root: Path) -> None:
    _, pull = opened(root)
    script = (
        "import sys; from pathlib import Path; from ci.adapters.forge.local import Local\n"
        "print(Local(Path(sys.argv[1])).open(sys.argv[2], 'main', 'A change', 'words').number)"
    )
    run(root, "branch", "other", "change")
    run(root, "push", "-q", FOLDER, "other")
    both = [
        subprocess.Popen([sys.executable, "-c", script, str(root), "other"], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert {one.communicate()[0].strip() for one in both} == {"2"}
    assert pull.number == 1
