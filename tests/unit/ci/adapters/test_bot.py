"""The loop of bot changes, against both forges: a bare repository, with GitHub's stand-in before it or with records."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters import bot, forge, shell
from ci.adapters.forge.github import GitHub as Forge
from ci.adapters.forge.local import FOLDER, Local
from ci.adapters.github import Forbidden, Invalid, RateLimited
from ci.adapters.github.client import Client
from ci.adapters.remote import Remote
from ci.core.bot import EMAIL, Proposal, Read
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.forge import NOTES
from tests.github import origin
from tests.github.server import Fault, GitHub, Review, State, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BRANCH = "release/churn/staging"
FILE = "k8s/models/churn/staging/release.yaml"


def run(root: Path, *args: str) -> str:
    who = ["-c", "user.name=Dana", "-c", "user.email=dana@example.com"]
    return subprocess.run(["git", *who, *args], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path, name: str, text: str) -> str:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    run(root, "add", name)
    run(root, "commit", "-qm", f"{name} {text}")
    return run(root, "rev-parse", "HEAD")


@dataclass
class Line:
    """A checkout, its forge, and what a person does elsewhere. `github` is None for the local forge."""

    root: Path
    forge: forge.Forge
    bare: Path
    elsewhere: Path
    github: GitHub | None
    slept: list[float] = field(default_factory=list)

    def person_pushes(self, branch: str, name: str, text: str) -> str:
        """Dana works in a clone of her own."""
        if not self.elsewhere.exists():
            run(self.bare.parent, "clone", "-q", str(self.bare), str(self.elsewhere))
        run(self.elsewhere, "fetch", "-q", "origin")
        run(self.elsewhere, "switch", "-q", "--detach", f"origin/{branch}")
        made = commit(self.elsewhere, name, text)
        run(self.elsewhere, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        return made

    def at(self, branch: str) -> str:
        return run(self.bare, "rev-parse", f"refs/heads/{branch}")

    def has(self, branch: str) -> bool:
        return bool(run(self.bare, "for-each-ref", f"refs/heads/{branch}"))

    def text(self, branch: str, path: str = FILE) -> str:
        return run(self.bare, "show", f"{branch}:{path}")

    def authors(self, branch: str) -> set[str]:
        return set(run(self.bare, "log", "--format=%ae %ce", f"main..{branch}").splitlines())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    run(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("/.trunkline/\n")
    run(root, "add", ".gitignore")
    commit(root, "params.yaml", "models: [churn]\n")
    return root


@pytest.fixture
def hub(root: Path, tmp_path: Path) -> Iterator[Line]:
    bare = origin.publish(root, tmp_path / "served")
    with running(State(origin=str(bare))) as github:
        slept: list[float] = []
        client = Client(github.state.token, github.url, sleep=slept.append, now=lambda: 0.0)
        served = Forge(client, github.state.repo, Remote(root, str(bare)))
        yield Line(root, served, bare, tmp_path / "elsewhere", github, slept)


@pytest.fixture(params=["github", "local"])
def line(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Line:
    if request.param == "github":
        made = request.getfixturevalue("hub")
        assert isinstance(made, Line)
        return made
    local = Local(root)
    local.sync()
    return Line(root, local, root / FOLDER, tmp_path / "elsewhere", None)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ci.adapters.remote.time.sleep", lambda seconds: None)


def proposal(
    text: str = "v1", *, compute: Callable[[Read], Mapping[str, str | None]] | None = None, **more: Any
) -> Proposal:
    files = compute or (lambda read: {FILE: text})
    words = {"title": f"Release {text}", "body": f"what {text} is", "message": f"release {text}"}
    return Proposal(branch=BRANCH, compute=files, **{**words, **more})


def propose(line: Line, given: Proposal | None = None, **more: Any) -> Any:
    return bot.propose(line.root, line.forge, given or proposal(), **more)


def test_it_opens_one_and_then_has_nothing_to_do(line: Line) -> None:
    done = propose(line)
    assert done.action == "opened"
    assert done.pull.title == "Release v1"
    assert done.commit == done.pull.head_commit == line.at(BRANCH)
    assert line.text(BRANCH) == "v1"
    assert line.authors(BRANCH) == {f"{EMAIL} {EMAIL}"}
    again = propose(line)
    assert again.action == "unchanged"
    assert again.pull.number == done.pull.number
    assert again.commit == done.commit


def test_what_is_checked_out_is_not_touched(line: Line) -> None:
    (line.root / "params.yaml").write_text("models: [churn, fraud]\n")
    propose(line)
    assert run(line.root, "status", "--porcelain") == "M params.yaml"
    assert run(line.root, "branch", "--format=%(refname:short)") == "main"
    assert not (line.root / FILE).exists()


def test_a_newer_proposal_takes_the_place_of_the_older(line: Line) -> None:
    first = propose(line)
    second = propose(line, proposal("v2"))
    assert second.action == "updated"
    assert second.pull.number == first.pull.number
    assert (second.pull.title, second.pull.body) == ("Release v2", "what v2 is")
    assert line.text(BRANCH) == "v2"
    assert run(line.bare, "rev-list", "--count", f"main..{BRANCH}") == "1"


def test_new_words_alone_push_nothing(line: Line) -> None:
    first = propose(line)
    second = propose(line, proposal(body="better said"))
    assert second.action == "updated"
    assert second.commit == first.commit
    assert second.pull.body == "better said"


def test_files_are_taken_away_and_read_from_the_newest_base(line: Line) -> None:
    line.person_pushes("main", "old.yaml", "old")
    seen: list[str | None] = []

    def compute(read: Read) -> dict[str, str | None]:
        seen.extend([read("old.yaml"), read("nowhere")])
        return {"old.yaml": None, "a/b.yaml": "new"}

    propose(line, proposal(compute=compute))
    assert seen == ["old", None]
    assert run(line.bare, "ls-tree", "-r", "--name-only", BRANCH).splitlines() == [
        ".gitignore",
        "a/b.yaml",
        "params.yaml",
    ]


def test_a_base_that_moved_on_elsewhere_changes_nothing(line: Line) -> None:
    first = propose(line)
    line.person_pushes("main", "README.md", "words")
    again = propose(line)
    assert again.action == "unchanged"
    assert again.commit == first.commit


def test_a_base_that_moved_on_in_the_same_file_makes_it_anew(line: Line) -> None:
    propose(line)
    newest = line.person_pushes("main", FILE, "v0")
    again = propose(line)
    assert again.action == "updated"
    assert run(line.bare, "rev-parse", f"{BRANCH}^") == newest
    assert line.text(BRANCH) == "v1"


def test_where_the_base_has_it_all_nothing_is_opened(line: Line) -> None:
    line.person_pushes("main", FILE, "v1")
    done = propose(line)
    assert (done.action, done.pull) == ("nothing", None)
    assert not line.has(BRANCH)


def test_one_that_is_no_longer_needed_is_closed_with_words(line: Line) -> None:
    pull = propose(line).pull
    line.person_pushes("main", FILE, "v1")
    assert propose(line).action == "nothing"
    assert line.forge.find(BRANCH) is None
    assert not line.has(BRANCH)
    if line.github is not None:
        assert "has all of this already" in line.github.bodies(pull.number)[0]
    assert propose(line).action == "nothing"


def test_a_merged_one_is_followed_by_another(line: Line) -> None:
    first = propose(line)
    line.forge.merge(first.pull)
    assert line.text("main") == "v1"
    assert propose(line).action == "nothing"
    second = propose(line, proposal("v2"))
    assert second.action == "opened"
    assert second.pull.number == first.pull.number + 1


def test_a_squashed_one_is_followed_by_another(line: Line) -> None:
    first = propose(line)
    line.person_pushes("main", FILE, "v1")
    propose(line)
    line.person_pushes("main", FILE, "v0")
    second = propose(line)
    assert second.action == "opened"
    assert second.pull.number == first.pull.number + 1


def test_one_that_a_person_closed_stays_closed(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    pull = propose(line).pull
    line.forge.close(pull, "no")
    again = propose(line)
    assert (again.action, again.pull.number) == ("nothing", pull.number)
    assert f"#{pull.number} proposed exactly this and was closed" in capsys.readouterr().err
    other = propose(line, proposal("v2"))
    assert (other.action, other.pull.number) == ("opened", pull.number + 1)


def test_a_branch_that_a_person_pushed_to_is_not_written_over(line: Line) -> None:
    propose(line)
    hers = line.person_pushes(BRANCH, "notes.md", "wait for me")
    with pytest.raises(ConfigurationError, match=f"{BRANCH} has the commit {hers[:12]} by Dana"):
        propose(line, proposal("v2"))
    assert line.at(BRANCH) == hers


def test_nor_where_she_amended_what_the_bot_wrote(line: Line) -> None:
    propose(line)
    run(line.bare.parent, "clone", "-q", "-b", BRANCH, str(line.bare), str(line.elsewhere))
    (line.elsewhere / FILE).write_text("hers")
    run(line.elsewhere, "commit", "-qa", "--amend", "--no-edit")
    run(line.elsewhere, "push", "-qf", "origin", f"HEAD:{BRANCH}")
    with pytest.raises(ConfigurationError, match="by Dana, which Trunkline will not write over"):
        propose(line, proposal("v2"))
    assert line.text(BRANCH) == "hers"


def test_nor_is_it_closed_where_it_is_no_longer_needed(line: Line) -> None:
    propose(line)
    hers = line.person_pushes(BRANCH, "notes.md", "wait for me")
    line.person_pushes("main", FILE, "v1")
    assert propose(line).action == "nothing"
    assert line.at(BRANCH) == hers
    assert line.forge.find(BRANCH) is not None


def test_a_press_on_update_branch_is_no_commit_of_hers(line: Line) -> None:
    propose(line)
    line.person_pushes("main", "README.md", "words")
    run(line.elsewhere, "fetch", "-q", "origin")
    run(line.elsewhere, "switch", "-q", "--detach", f"origin/{BRANCH}")
    run(line.elsewhere, "merge", "-q", "--no-edit", "origin/main")
    run(line.elsewhere, "push", "-q", "origin", f"HEAD:{BRANCH}")
    assert propose(line).action == "unchanged"
    assert propose(line, proposal("v2")).action == "updated"
    assert line.text(BRANCH) == "v2"


def test_but_a_merge_that_slips_something_in_is(line: Line) -> None:
    propose(line)
    line.person_pushes("main", "README.md", "words")
    run(line.elsewhere, "fetch", "-q", "origin")
    run(line.elsewhere, "switch", "-q", "--detach", f"origin/{BRANCH}")
    run(line.elsewhere, "merge", "-q", "--no-commit", "--no-ff", "origin/main")
    commit(line.elsewhere, "extra.md", "hers")
    run(line.elsewhere, "push", "-q", "origin", f"HEAD:{BRANCH}")
    with pytest.raises(ConfigurationError, match="by Dana"):
        propose(line, proposal("v2"))


def test_a_dry_run_changes_nothing_and_says_what_it_would(line: Line) -> None:
    done = propose(line, dry_run=True)
    assert (done.action, done.pull) == ("opened", None)
    assert run(line.root, "show", f"{done.commit}:{FILE}") == "v1"
    assert not line.has(BRANCH)
    propose(line)
    assert propose(line, dry_run=True).action == "unchanged"
    before = line.at(BRANCH)
    assert propose(line, proposal("v2"), dry_run=True).action == "updated"
    line.person_pushes("main", FILE, "v1")
    assert propose(line, dry_run=True).action == "nothing"
    assert line.at(BRANCH) == before


def test_a_base_that_moves_while_it_is_computed_is_merged_with_later(line: Line) -> None:
    """What counts is the base that was read; the next push to it runs this again."""
    moved: list[str] = []

    def compute(read: Read) -> dict[str, str | None]:
        if not moved:
            moved.append(line.person_pushes("main", "README.md", "words"))
        return {FILE: "v1"}

    assert propose(line, proposal(compute=compute)).action == "opened"
    assert propose(line).action == "unchanged"


def test_a_lost_race_is_computed_again_on_what_won(line: Line) -> None:
    calls: list[None] = []

    def compute(read: Read) -> dict[str, str | None]:
        calls.append(None)
        if len(calls) == 1:  # another run of the bot, at the same time
            propose(line, proposal("v0"))
        return {FILE: "v1"}

    propose(line, proposal("first"))
    done = propose(line, proposal(compute=compute))
    assert len(calls) == 2
    assert done.action == "updated"
    assert line.text(BRANCH) == "v1"
    assert run(line.bare, "rev-list", "--count", f"main..{BRANCH}") == "1"


def test_a_person_who_pushes_meanwhile_is_not_written_over(line: Line) -> None:
    propose(line)
    hers: list[str] = []

    def compute(read: Read) -> dict[str, str | None]:
        if not hers:
            hers.append(line.person_pushes(BRANCH, "notes.md", "hers"))
        return {FILE: "v2"}

    with pytest.raises(ConfigurationError, match="by Dana"):
        propose(line, proposal(compute=compute))
    assert line.at(BRANCH) == hers[0]


def test_races_without_end_are_said(line: Line) -> None:
    turn = iter(range(99))

    def compute(read: Read) -> dict[str, str | None]:
        propose(line, proposal(f"other {next(turn)}"))
        return {FILE: "v1"}

    with pytest.raises(EnvironmentFault, match="pushed to by others 5 times"):
        propose(line, proposal(compute=compute))


def test_a_shallow_clone_is_told(line: Line, tmp_path: Path) -> None:
    commit(line.root, "a", "b")
    run(tmp_path, "clone", "-q", "--depth", "1", f"file://{line.root}", "shallow")
    with pytest.raises(ConfigurationError, match="git fetch --unshallow"):
        bot.propose(tmp_path / "shallow", line.forge, proposal())


def test_a_branch_without_a_pull_request_gets_one(line: Line) -> None:
    """As after a kill between the push and the opening."""
    first = propose(line)
    head = line.at(BRANCH)
    assert line.forge.remote.push(None, f"refs/heads/{BRANCH}", head)
    assert line.forge.find(BRANCH) is None
    again = propose(line)
    assert again.action == "opened"
    assert again.pull.number == first.pull.number + 1


def test_append_adds_a_commit_and_then_has_nothing_to_do(line: Line) -> None:
    hers = line.person_pushes("main", "dvc.lock", "a\n")
    seen: list[str] = []

    def compute(read: Read) -> dict[str, str | None]:
        return {"dvc.lock": (read("dvc.lock") or "").replace("a", "b")}

    made = bot.append(line.root, line.forge, "main", compute, "lock", seen.append)
    assert made == line.at("main")
    assert seen == [hers]
    assert run(line.bare, "rev-parse", "main^") == hers
    assert line.text("main", "dvc.lock") == "b"
    assert bot.append(line.root, line.forge, "main", compute, "lock", seen.append) is None


def test_append_is_made_again_on_top_of_who_was_faster(line: Line) -> None:
    propose(line)
    calls: list[None] = []

    def compute(read: Read) -> dict[str, str | None]:
        calls.append(None)
        if len(calls) == 1:
            line.person_pushes(BRANCH, "notes.md", "hers")
        return {"dvc.lock": "b"}

    seen: list[str] = []
    bot.append(line.root, line.forge, BRANCH, compute, "lock", seen.append)
    assert len(calls) == 2
    assert seen[1] != seen[0]
    assert (line.text(BRANCH, "notes.md"), line.text(BRANCH, "dvc.lock")) == ("hers", "b")


def test_append_stops_where_the_branch_is_not_as_expected(line: Line) -> None:
    def expect(head: str) -> None:
        raise ConfigurationError(f"not {head[:4]}")

    with pytest.raises(ConfigurationError, match="not "):
        bot.append(line.root, line.forge, "main", lambda read: {"x": "y"}, "words", expect)
    with pytest.raises(ConfigurationError, match="has no branch gone"):
        bot.append(line.root, line.forge, "gone", lambda read: {"x": "y"}, "words", expect)


def test_a_branch_deleted_meanwhile_is_not_brought_back(line: Line) -> None:
    propose(line)

    def compute(read: Read) -> dict[str, str | None]:
        if line.has(BRANCH):
            run(line.bare, "update-ref", "-d", f"refs/heads/{BRANCH}")
        return {"x": "y"}

    with pytest.raises(ConfigurationError, match="has no branch release/churn/staging"):
        bot.append(line.root, line.forge, BRANCH, compute, "words", lambda head: None)
    assert not line.has(BRANCH)


def seen_from(root: Path, line: Line) -> forge.Forge:
    """The same forge, from another checkout."""
    made = copy(line.forge)
    made.remote = Remote(root, str(line.bare))  # type: ignore[misc]
    return made


def test_a_note_is_kept_at_the_forge_once(line: Line, tmp_path: Path) -> None:
    here = commit(line.root, "README.md", "words")
    bot.note(line.root, line.forge, here, '{"pull": 1}')
    first = run(line.bare, "rev-parse", NOTES)
    bot.note(line.root, line.forge, here, '{"pull": 1}')
    assert run(line.bare, "rev-parse", NOTES) == first
    assert run(line.bare, "notes", "--ref", NOTES, "show", here) == '{"pull": 1}'
    other = tmp_path / "other"
    run(tmp_path, "clone", "-q", str(line.bare), "other")
    older = run(line.root, "rev-list", "--max-parents=0", "HEAD")
    bot.note(other, seen_from(other, line), older, "from elsewhere")
    bot.note(line.root, line.forge, here, '{"pull": 2}')
    assert run(line.bare, "notes", "--ref", NOTES, "show", here) == '{"pull": 2}'
    assert run(line.bare, "notes", "--ref", NOTES, "show", older) == "from elsewhere"


# --- what GitHub can answer --------------------------------------------------------------------


def test_labels_reviewers_and_auto_merge_are_asked_for_once(hub: Line) -> None:
    assert hub.github is not None
    given = proposal(labels=("release", "staging"), reviewers=("dana", "octo/ml"), auto_merge=True)
    propose(hub, given)
    pull = hub.github.state.pulls[0]
    assert (pull.labels, pull.reviewers, pull.teams) == (["release", "staging"], ["dana"], ["ml"])
    assert pull.auto_merge
    written = writes(hub.github)
    propose(hub, given)
    assert writes(hub.github) == written


def writes(github: GitHub) -> int:
    return sum(not line.startswith("GET ") for line in github.state.requests)


def test_a_reviewer_who_is_done_is_not_asked_again(hub: Line) -> None:
    assert hub.github is not None
    given = proposal(reviewers=("Dana", "eve"))
    propose(hub, given)
    pull = hub.github.state.pulls[0]
    pull.reviewers = ["eve"]  # as GitHub does once Dana has reviewed
    pull.reviews = [Review(user="dana", state="COMMENTED"), Review(user=None, state="APPROVED")]
    propose(hub, given)
    assert pull.reviewers == ["eve"]


def test_a_reviewer_who_cannot_be_asked_is_told(hub: Line) -> None:
    assert hub.github is not None
    hub.github.state.strangers = ["nobody"]
    with pytest.raises(Invalid, match="may only be requested from collaborators"):
        propose(hub, proposal(reviewers=("nobody",)))
    assert hub.forge.find(BRANCH) is not None


def test_without_anything_to_wait_for_it_is_merged_at_once(hub: Line) -> None:
    assert hub.github is not None
    hub.github.state.protected = False
    propose(hub, proposal(auto_merge=True))
    assert hub.text("main") == "v1"
    assert hub.github.state.pulls[0].merged_by == hub.github.state.login


def test_what_somebody_pushes_in_between_is_not_merged_by_itself(
    line: Line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if line.github is not None:
        line.github.state.protected = False  # it would be merged at once
    find = line.forge.find
    pushed: list[str] = []

    def late(branch: str) -> Any:
        if not pushed and line.has(branch):
            pushed.append(line.person_pushes(branch, "evil.py", "import os"))
        return find(branch)

    monkeypatch.setattr(line.forge, "find", late)
    try:
        propose(line, proposal(auto_merge=True))
    except ConfigurationError as refused:
        said = refused.message
    else:
        said = capsys.readouterr().err
    assert "pushed to since" in said
    assert pushed
    assert line.at(BRANCH) == pushed[0]
    assert not run(line.bare, "ls-tree", "main", "evil.py")


def test_where_auto_merge_is_off_it_stays_open_and_says_so(hub: Line, capsys: pytest.CaptureFixture[str]) -> None:
    assert hub.github is not None
    hub.github.state.allow_auto_merge = False
    assert propose(hub, proposal(auto_merge=True)).action == "opened"
    assert "Auto merge is not allowed for this repository" in capsys.readouterr().err
    assert hub.forge.find(BRANCH) is not None


FAULTS = {
    "500": Fault(method="", status=500),
    "502": Fault(method="", status=502),
    "429 with retry-after": Fault(method="", status=429, headers={"retry-after": "7"}),
    "secondary rate limit": Fault(method="", status=403, message="You have exceeded a secondary rate limit."),
    "no answer": Fault(method=""),
    "no answer, twice": Fault(method="", times=2),
    "no answer after it was done": Fault(method="", after_write=True),
    "502 after it was done": Fault(method="", status=502, after_write=True),
}
REQUESTS = [
    ("GET", "/repos/octo/line$"),
    ("GET", "/pulls$"),
    ("POST", "/pulls$"),
    ("GET", r"/pulls/\d+$"),
    ("POST", "/labels$"),
    ("GET", "/reviews$"),
    ("POST", "/requested_reviewers$"),
    ("POST", "/graphql$"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=" ".join)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_whatever_github_answers_there_is_one_pull_request(hub: Line, fault: Fault, request_: tuple[str, str]) -> None:
    assert hub.github is not None
    method, path = request_
    hub.github.state.faults.append(fault.model_copy(update={"method": method, "path": path}))
    given = proposal(labels=("release",), reviewers=("eve",), auto_merge=True)
    done = propose(hub, given)
    assert hub.github.state.faults == []
    assert hub.slept
    assert done.action == "opened"
    (pull,) = hub.github.state.pulls
    assert (pull.labels, pull.reviewers, pull.auto_merge) == (["release"], ["eve"], True)
    assert propose(hub, given).action == "unchanged"


def test_retry_after_is_waited_out(hub: Line) -> None:
    assert hub.github is not None
    hub.github.state.faults.append(FAULTS["429 with retry-after"].model_copy(update={"method": "POST"}))
    propose(hub)
    assert hub.slept == [7.0]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_whatever_github_answers_a_stale_one_is_closed(hub: Line, fault: Fault) -> None:
    assert hub.github is not None
    pull = propose(hub).pull
    hub.person_pushes("main", FILE, "v1")
    hub.github.state.faults.append(fault.model_copy(update={"method": "POST", "path": "/comments$"}))
    propose(hub)
    assert len(hub.github.bodies(pull.number)) == 1
    assert hub.github.state.pulls[0].state == "closed"


def test_a_limit_that_lasts_is_said_and_the_next_run_goes_on(hub: Line) -> None:
    assert hub.github is not None
    limit = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3000"}
    hub.github.state.faults.append(Fault(method="POST", path="/pulls$", status=403, headers=limit))
    with pytest.raises(RateLimited, match="run it again after that"):
        propose(hub)
    assert hub.has(BRANCH)
    assert propose(hub).action == "opened"


def test_another_run_that_opens_it_first(hub: Line) -> None:
    github = hub.github
    assert github is not None
    calls: list[str] = []

    def before(method: str, path: str) -> None:
        if (method, path) == ("POST", "/repos/octo/line/pulls") and not calls:
            calls.append(path)
            hub.forge.open(BRANCH, "main", "Release v1", "what v1 is")

    github.before = before
    done = propose(hub)
    assert len(github.state.pulls) == 1
    assert done.pull.number == 1


def test_a_list_that_lags_behind(hub: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was just opened is not in the list yet, and GitHub says 422 to a second one."""
    github = hub.github
    assert github is not None
    first = propose(hub)
    blind: Iterator[list[Any]] = iter([[], [], []])
    listed = hub.forge._pulls  # type: ignore[attr-defined]
    monkeypatch.setattr(hub.forge, "_pulls", lambda *given: next(blind, None) or listed(*given))
    assert hub.forge.open(BRANCH, "main", "Release v1", "what v1 is").number == first.pull.number
    assert len(github.state.pulls) == 1


def test_a_422_for_another_reason_is_told(hub: Line) -> None:
    with pytest.raises(Invalid, match="head invalid"):
        hub.forge.open("nowhere", "main", "t", "b")


def test_a_token_that_may_not_write_is_told(hub: Line) -> None:
    assert hub.github is not None
    hub.github.state.denied = ["POST /repos/octo/line/pulls"]
    with pytest.raises(Forbidden, match="pull_requests=write"):
        propose(hub)


def test_a_merge_takes_only_what_was_seen(hub: Line) -> None:
    pull = propose(hub).pull
    hub.person_pushes(BRANCH, "extra.md", "hers")
    with pytest.raises(Invalid, match="Head branch was modified"):
        hub.forge.merge(pull)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_whatever_github_answers_a_merge_is_made_once(hub: Line, fault: Fault) -> None:
    assert hub.github is not None
    pull = propose(hub).pull
    hub.github.state.faults.append(fault.model_copy(update={"method": "PUT"}))
    made = hub.forge.merge(pull)
    assert made == hub.at("main")
    assert run(hub.bare, "rev-list", "--count", "--merges", "main") == "1"


# --- what git can answer -----------------------------------------------------------------------


@pytest.fixture
def git_fails(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Makes the next commands of one kind fail, with `done` after they were done."""

    def make(kind: str, *, times: int = 1, done: bool = False) -> list[str]:
        real, failed = shell.run, list[str]()

        def fake(args: list[str], **given: Any) -> shell.Completed:
            if args[1] != kind or len(failed) == times:
                return real(args, **given)
            failed.append(kind)
            if done:
                real(args, **given)
            return shell.Completed(128, "", "fatal: the remote end hung up unexpectedly\n")

        monkeypatch.setattr("ci.adapters.remote.shell.run", fake)
        return failed

    return make


@pytest.mark.parametrize("kind", ["ls-remote", "fetch", "push"])
def test_a_network_that_comes_back(line: Line, git_fails: Callable[..., list[str]], kind: str) -> None:
    line.person_pushes("main", "README.md", "so there is something to fetch")
    failed = git_fails(kind, times=2)
    assert propose(line).action == "opened"
    assert failed == [kind, kind]


def test_a_push_whose_answer_is_lost(line: Line, git_fails: Callable[..., list[str]]) -> None:
    git_fails("push", done=True)
    assert propose(line).action == "opened"
    assert run(line.bare, "rev-list", "--count", f"main..{BRANCH}") == "1"


def test_a_commit_whose_answer_is_lost_is_given_all_the_same(line: Line, git_fails: Callable[..., list[str]]) -> None:
    git_fails("push", done=True)
    made = bot.append(line.root, line.forge, "main", lambda read: {"x": "y"}, "words", lambda head: None)
    assert made == line.at("main")


def test_a_network_that_stays_away_is_told(line: Line, git_fails: Callable[..., list[str]]) -> None:
    git_fails("ls-remote", times=99)
    with pytest.raises(EnvironmentFault, match=r"cannot be reached by git: .*hung up"):
        propose(line)


def test_a_push_that_is_not_allowed_is_told_in_the_words_of_the_other_side(hub: Line) -> None:
    hook = hub.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'error: GH006: Protected branch update failed' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(EnvironmentFault, match="GH006: Protected branch update failed"):
        propose(hub)
