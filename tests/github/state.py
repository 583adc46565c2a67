"""What the stand-in for GitHub knows: given by a test, or read from a file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A piece of the state; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Comment(Part):
    """An issue comment."""

    id: int
    number: int
    author: str
    body: str


class Review(Part):
    """A review of a pull request; no `user` is a deleted account."""

    user: str | None
    state: Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"]


class Pull(Part):
    """A pull request; `head` is owner:branch, `fork_deleted` that its repository is gone."""

    number: int
    sha: str
    head: str = "octo:change"
    base: str = "main"
    fork_deleted: bool = False
    locked: bool = False
    state: str = "open"
    title: str = "A change"
    body: str | None = None
    author: str = "dana"
    labels: list[str] = []
    reviewers: list[str] = []
    teams: list[str] = []
    reviews: list[Review] = []
    auto_merge: bool = False
    merge_commit: str | None = None
    merged_by: str | None = None

    @property
    def branch(self) -> str:
        """The part of `head` after the owner."""
        return self.head.partition(":")[2]


class Issue(Part):
    """An issue that is no pull request."""

    number: int
    author: str
    title: str
    body: str | None
    labels: list[str] = []
    state: str = "open"
    state_reason: str | None = None


class Dispatch(Part):
    """A workflow that was started by hand or by us."""

    workflow: str
    ref: str
    inputs: dict[str, str]


class Run(Part):
    """A run of a workflow."""

    workflow: str
    title: str
    sha: str
    branch: str = "main"
    event: str = "workflow_dispatch"
    status: str = "queued"
    conclusion: str | None = None


class Check(Part):
    """A check run of a commit, which a job makes."""

    name: str
    sha: str
    status: str = "completed"
    conclusion: str | None = "success"


class Fault(Part):
    """What goes wrong with the next `times` requests that match: no answer (`status` 0), or an error.

    With `after_write` the request is done all the same.
    """

    method: str
    path: str = ".*"
    status: int = 0
    headers: dict[str, str] = {}
    message: str = "Something went wrong"
    times: int = 1
    after_write: bool = False


class State(Part):
    """What the stand-in knows, and what it was asked.

    `origin` is a bare repository whose branches the pull requests are of. `denied` are patterns of `METHOD path` that
    the token may not do.
    """

    repo: str = "octo/line"
    login: str = "github-actions[bot]"
    token: str = "secret-token"
    writable: bool = True
    denied: list[str] = []
    page_size: int = 30
    origin: str = ""
    default_branch: str = "main"
    strangers: list[str] = []
    allow_auto_merge: bool = True
    protected: bool = True
    rules: list[str] = []
    workflows: list[str] = ["train.yml"]
    comments: list[Comment] = []
    pulls: list[Pull] = []
    has_issues: bool = True
    issues: list[Issue] = []
    runs: list[Run] = []
    checks: list[Check] = []
    dispatches: list[Dispatch] = []
    faults: list[Fault] = []
    requests: list[str] = []
    violations: list[str] = []
