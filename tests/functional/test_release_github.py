"""`trunkline release` on GitHub, by its stand-in: pull requests, approvals, training asked for, and several at once."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from ci.adapters.forge.github import GitHub as Forge
from ci.adapters.github.client import Client
from ci.adapters.mlflow import Models
from ci.adapters.remote import Remote
from ci.core.forge import NOTES
from ci.core.release import parse, path_of
from tests import releases
from tests.github import origin
from tests.github.server import Fault, GitHub, Pull, Review, Run, State, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ci.core.registered import Registered
    from ci.core.release import Release
    from tests.releases import Line

STAGING, PRODUCTION = "release/churn/staging", "release/churn/production"


@dataclass(frozen=True)
class Hub:
    """A checkout, the stand-in that it is pushed to, and the surroundings of a job there."""

    line: Line
    github: GitHub
    folder: Path
    shared: dict[str, str] = field(default_factory=dict)

    def release(self, *args: str, code: int | None = 0, **env: str) -> str:
        """Run `trunkline release` as a job does; what it said."""
        there = {**origin.environment(self.github.url, self.folder, self.github.state), **self.shared}
        done = self.line.release(*args, code=code, **{**there, **env})
        return done.stdout + done.stderr

    def open(self) -> dict[str, Pull]:
        """Open pull requests by branch; fails where a branch has two."""
        found = [one for one in self.github.state.pulls if one.state == "open"]
        assert len({one.branch for one in found}) == len(found)
        return {one.branch: one for one in found}

    def merge(self, branch: str) -> None:
        """As a person does in the browser."""
        client = Client(self.github.state.token, self.github.url)
        forge = Forge(client, self.github.state.repo, Remote(self.line.project.root, self.github.state.origin))
        pull = forge.find(branch)
        assert pull is not None
        forge.merge(pull)
        self.line.project.git("pull", "--quiet", "--ff-only", self.github.state.origin, "main")

    def at(self, ref: str, environment: str, model: str = "churn") -> Release:
        """release.yaml on a branch."""
        text = origin.git(self.github.state, "show", f"{ref}:{path_of(model, environment)}")
        assert text is not None
        return parse(text, ref)

    def unpack(self) -> None:
        """Have the image to be packed yet."""
        shutil.rmtree(self.line.project.root / "artifacts/churn/image")

    def beside(self, where: Path) -> Hub:
        """Another checkout of the same repository, whose jobs share the registry of models too."""
        return replace(self, line=self.line.copy(where))


def hub_of(line: Line, tmp_path: Path, github: GitHub) -> Hub:
    github.state.origin = str(origin.publish(line.project.root, tmp_path / "served"))
    return Hub(line, github, tmp_path / "served", {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"})


@pytest.fixture
def hub(packed_line: Line, empty_registry: Path, tmp_path: Path) -> Iterator[Hub]:
    """A trained churn, merged on GitHub, whose releases to production three are asked about."""
    shutil.copy(empty_registry / ".trunkline/mlflow.db", tmp_path)
    line = packed_line.copy(tmp_path / "project")
    line.project.edit(
        "params.yaml",
        "labels: [release, production]",
        "labels: [release, production]\n      reviewers: [dana, octo/ml]",
    )
    line.project.commit("who is asked")
    with running(State()) as github:
        yield hub_of(line, tmp_path, github)


def test_from_a_merge_to_production_with_an_approval(hub: Hub) -> None:
    hub.release("churn")
    assert hub.open().keys() == {STAGING}
    staging = hub.open()[STAGING]
    assert staging.labels == ["release", "staging"]
    assert staging.auto_merge
    assert "Release churn 1 to staging" in staging.title

    hub.merge(STAGING)
    hub.release("churn")
    assert hub.open().keys() == {PRODUCTION}
    production = hub.open()[PRODUCTION]
    assert (production.reviewers, production.teams, production.auto_merge) == (["dana"], ["ml"], False)
    assert hub.at(PRODUCTION, "production").spec.stable == hub.at("main", "staging").spec.stable

    production.reviews.append(Review(user="dana", state="APPROVED"))
    hub.merge(PRODUCTION)
    assert "every environment runs it" in hub.release("churn")
    head = hub.line.project.git("rev-parse", "HEAD")
    note = origin.git(hub.github.state, "notes", "--ref", NOTES, "show", head)
    assert note is not None
    told = json.loads(note)
    assert (told["pull"], told["approved_by"]) == (production.number, ["dana"])
    audit = hub.line.project.trunkline("audit", "churn").stdout
    assert "dana" in audit


def test_who_agreed_is_asked_again_while_github_does_not_know_yet(hub: Hub) -> None:
    hub.release("churn")
    staging = hub.open()[STAGING]
    staging.reviews.append(Review(user="dana", state="APPROVED"))
    hub.merge(STAGING)
    merged, staging.merge_commit = staging.merge_commit, "0" * 40
    assert "GitHub does not say yet who agreed to" in hub.release("churn")
    staging.merge_commit = merged
    assert "git keeps who agreed to" in hub.release("churn")
    note = origin.git(hub.github.state, "notes", "--ref", NOTES, "show", hub.line.project.git("rev-parse", "HEAD"))
    assert note is not None
    assert json.loads(note)["approved_by"] == ["dana"]


def test_the_digest_is_handed_to_the_step_that_attests_it(hub: Hub, tmp_path: Path) -> None:
    hub.release("--plan", GITHUB_OUTPUT=str(tmp_path / "plan"))
    assert (tmp_path / "plan").read_text() == 'models=["churn"]\nany=true\n'
    hub.release("churn", GITHUB_OUTPUT=str(tmp_path / "out"))
    stable = hub.at(STAGING, "staging").spec.stable
    repository, _, digest = stable.image.partition("@")
    assert (tmp_path / "out").read_text() == f"repository={repository}\ndigest={digest}\n"
    hub.merge(STAGING)
    hub.release("churn", GITHUB_OUTPUT=str(tmp_path / "again"))
    assert not (tmp_path / "again").exists()


def test_training_is_asked_for_once_where_a_change_was_merged_without_it(hub: Hub) -> None:
    releases.change(hub.line.project)
    hub.line.project.commit("without its full training")
    hub.line.project.git("push", "--quiet", hub.github.state.origin, "main")
    said = hub.release("churn", code=3)
    assert "it was merged without its full training" in said
    assert "train.yml was started on main" in said
    (asked,) = hub.github.state.dispatches
    assert (asked.workflow, asked.ref, asked.inputs) == ("train.yml", "main", {"model": "churn"})
    newest = hub.line.project.git("rev-parse", "HEAD")
    hub.github.state.runs = [Run(workflow="train.yml", title="train churn", sha=newest)]
    assert "train.yml is running for it already" in hub.release("churn", code=3)
    assert len(hub.github.state.dispatches) == 1
    assert hub.open() == {}


def test_a_later_push_leaves_the_training_alone_that_it_changes_nothing_of(hub: Hub) -> None:
    project, state = hub.line.project, hub.github.state

    def push(name: str, text: str, words: str) -> None:
        (project.root / name).write_text(text)
        project.commit(words)
        project.git("push", "--quiet", state.origin, "main")

    releases.change(project)
    push("docs/one.md", "words", "without its full training")
    hub.release("churn", code=3)
    push("docs/two.md", "words", "other words")
    assert "train.yml is running for it already" in hub.release("churn", code=3)
    state.runs[0].status, state.runs[0].conclusion = "completed", "failure"
    assert "train.yml ran for it, and ended with failure" in hub.release("churn", code=3)
    project.commit_empty("what training would bring")
    project.git("push", "--quiet", state.origin, "HEAD:refs/heads/train/churn")
    state.pulls.append(Pull(number=9, sha=project.git("rev-parse", "HEAD"), head="octo:train/churn"))
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    push("docs/three.md", "words", "more words")
    assert "#9 brings it" in hub.release("churn", code=3)
    assert len(state.dispatches) == 1
    project.edit("ml/models/churn/params.yaml", "depth: 3", "depth: 4")
    push("docs/four.md", "words", "another model")
    assert "train.yml was started on main" in hub.release("churn", code=3)
    assert len(state.dispatches) == 2


def test_github_on_a_bad_day(hub: Hub) -> None:
    """A time-out after the write was done, 500, 502, both rate limits, and a main that moves: one pull request."""
    wait = {"retry-after": "0"}
    hub.github.state.faults = [
        Fault(method="POST", path="/pulls$", after_write=True),
        Fault(method="GET", path="/pulls$", status=502),
        Fault(method="GET", path="/pulls$", status=429, headers=wait),
        Fault(method="GET", path="/repos/octo/line$", status=500),
        Fault(
            method="POST", path="/labels$", status=403, headers=wait, message="You have exceeded a secondary rate limit"
        ),
    ]
    moved: list[str] = []

    def someone_pushes(method: str, path: str) -> None:
        if not moved and method == "GET" and path.endswith("/pulls"):
            elsewhere = hub.line.copy(hub.folder / "elsewhere").project
            elsewhere.commit_empty("meanwhile")
            elsewhere.git("push", "--quiet", hub.github.state.origin, "HEAD:main")
            moved.append(elsewhere.git("rev-parse", "HEAD"))

    hub.github.before = someone_pushes
    hub.release("churn")
    assert hub.github.state.faults == []
    assert moved
    pull = hub.open()[STAGING]
    assert hub.open().keys() == {STAGING}
    assert pull.labels == ["release", "staging"]
    assert "unchanged" in hub.release("churn")
    assert len(hub.github.state.pulls) == 1


def test_two_of_the_same_model_at_once_make_one_of_each(hub: Hub, tmp_path: Path) -> None:
    hub.unpack()
    other = hub.beside(tmp_path / "other")
    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(one.release, "churn") for one in (hub, hub, other)]
        for each in done:
            each.result()
    assert hub.open().keys() == {STAGING}
    assert len(hub.github.state.pulls) == 1
    assert len(hub.line.images()) == 1
    assert [version.version for version in versions(hub, "churn")] == ["1"]
    assert hub.at(STAGING, "staging").spec.stable.version == "1"


def test_two_models_at_once_in_one_repository(hub: Hub, tmp_path: Path) -> None:
    hub.unpack()
    project = hub.line.project
    releases.add_model(project, "loyal")
    project.commit("a second model")
    project.trunkline("train", "loyal", code=0, **hub.shared)
    project.commit("train loyal in full")
    project.git("push", "--quiet", hub.github.state.origin, "main")
    other = hub.beside(tmp_path / "other")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(hub.release, "churn"), pool.submit(other.release, "loyal")
        first.result()
        second.result()
    assert hub.open().keys() == {STAGING, "release/loyal/staging"}
    for model in ("churn", "loyal"):
        assert [version.version for version in versions(hub, model)] == ["1"]
        assert hub.at(f"release/{model}/staging", "staging", model).spec.model == model
        assert len(hub.line.images(model)) == 1


def versions(hub: Hub, model: str) -> tuple[Registered, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", hub.shared["MLFLOW_TRACKING_URI"])
        return Models(hub.line.project.root).versions(model)
