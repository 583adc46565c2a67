"""What any forge knows: pull requests, and who agreed to one."""

from __future__ import annotations

from typing import Literal

from ci.core.records import Part

Action = Literal["opened", "updated", "unchanged", "nothing"]


class Pull(Part):
    """A pull request, as much of it as matters here; `head_commit` is what its branch was at when it was read."""

    number: int
    branch: str
    base: str
    title: str
    body: str
    url: str
    head_commit: str


class Ended(Part):
    """A pull request that is closed; `comment` is what a person said last, with who it was, if anyone did."""

    pull: Pull
    merged: bool
    labels: tuple[str, ...] = ()
    comment: str | None = None


class Approval(Part):
    """Who let a commit onto the default branch: kept as a git note of `NOTES`, so that it outlives the forge."""

    pull: int | None
    url: str | None
    merged_by: str | None
    approved_by: tuple[str, ...] = ()


class Proposed(Part):
    """What came of a proposal; `commit` is what the branch is at, or in a dry run would be."""

    action: Action
    pull: Pull | None = None
    commit: str | None = None


NOTES = "refs/notes/trunkline"
