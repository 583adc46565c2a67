"""The door to a forge: where pull requests are. GitHub where it is named and a token is given, else a local one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from ci.adapters.github import TokenMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ci.adapters.remote import Remote
    from ci.core.forge import Approval, Ended, Pull


class Forge(Protocol):
    """A place for pull requests. Each method can be called twice; what is there already is not made again."""

    @property
    def name(self) -> str:
        """What to call it in a sentence."""

    @property
    def remote(self) -> Remote:
        """The repository that branches are fetched from and pushed to."""

    def sync(self) -> None:
        """Take in what was merged outside of the forge, as far as it has to be told."""

    def base(self) -> str:
        """The default branch."""

    def find(self, branch: str) -> Pull | None:
        """The open pull request from `branch` to the default branch."""

    def turned_down(self, branch: str, commit: str) -> Pull | None:
        """The pull request of exactly this commit that was closed without a merge."""

    def ended(self, branch: str) -> Ended | None:
        """The newest pull request of `branch` that is closed or merged."""

    def conclusion(self, commit: str, check: str) -> str | None:
        """How the newest run of a check (a job's name) of a commit ended, in GitHub's words; None while it did not."""

    def open(self, branch: str, base: str, title: str, body: str) -> Pull:
        """Open a pull request, or give the one that is open already."""

    def update(self, pull: Pull, title: str, body: str) -> Pull:
        """Make its title and text these."""

    def label(self, pull: Pull, labels: Sequence[str]) -> None:
        """Add labels; those of others stay."""

    def request_review(self, pull: Pull, reviewers: Sequence[str]) -> None:
        """Ask those who were not asked yet and have not reviewed; `org/team` is a team."""

    def auto_merge(self, pull: Pull) -> None:
        """Have it merged once all that is required holds. Where that cannot be, stderr says why."""

    def comment(self, pull: Pull, marker: str, body: str) -> None:
        """Make `body` the one comment of ours with this marker."""

    def close(self, pull: Pull, words: str) -> None:
        """Close it without a merge, and say why."""

    def merge(self, pull: Pull) -> str:
        """Merge it now, if its branch is still at `head_commit`; gives the commit on the default branch."""

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str], alike: Callable[[str], bool]) -> str:
        """Start a workflow (`train.yml`) on a branch, unless that was done; gives a sentence on what came of it.

        `alike` tells of another commit whether a run of it does what one of the branch as it is now would do.
        """

    def issue(self, marker: str, title: str, body: str, labels: Sequence[str]) -> str | None:
        """Open the one issue of ours whose text begins with `marker`, unless it is there, open or closed by a person.

        Gives its address; None where the forge keeps no issues, which stderr says. The labels are what it is found by.
        """

    def follow(self, marker: str, labels: Sequence[str], words: str, *, over: bool) -> None:
        """Make `words` our one comment on the open issue that `issue` opened with this marker; `over` closes it.

        One that a person closed stays as it is.
        """

    def approval(self, commit: str) -> Approval | None:
        """Who agreed to a commit of the default branch; None where no pull request brought it."""


def token() -> str | None:
    """The token for GitHub: that of an app, under which pull requests start checks, else the workflow's own."""
    return os.environ.get("TRUNKLINE_TOKEN") or os.environ.get("GITHUB_TOKEN") or None


def of(root: Path) -> Forge:
    """The forge of this repository: GitHub where GITHUB_REPOSITORY and a token are set, else a local one.

    Raises TokenMissing in GitHub Actions without a token, where a local forge would be gone with the job.
    """
    if os.environ.get("GITHUB_REPOSITORY") and token():
        from ci.adapters.forge.github import GitHub  # noqa: PLC0415 - requests is imported only where it is needed

        return GitHub.of_environment(root)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        raise TokenMissing(
            "There is no token for GitHub: neither TRUNKLINE_TOKEN nor GITHUB_TOKEN is set; "
            "give this step `GITHUB_TOKEN: ${{ github.token }}`, or the token of an app."
        )
    from ci.adapters.forge.local import Local  # noqa: PLC0415 - as above

    return Local(root)
