"""What the bot proposes, and what is to be done with a branch: decided from commits and trees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "trunkline[bot]"
EMAIL = "trunkline[bot]@users.noreply.github.com"

Read = Callable[[str], str | None]
"""Gives the text of a file, by its path from the root, or None where there is none."""
Compute = Callable[[Read], Mapping[str, str | None]]
"""Gives the files to write, by their paths from the root; None takes a file away. Called anew when a race was lost."""
Step = Literal["nothing", "keep", "push"]


@dataclass(frozen=True)
class Proposal:
    """A pull request as it should be: `compute` makes its files from what the base has."""

    branch: str
    title: str
    body: str
    message: str
    compute: Compute
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    auto_merge: bool = False
    withdrawal: str = ""
    """What is said of it where there is nothing to propose any more; why that is, in general words, where empty."""
    anew: bool = False
    """Whether to propose it even if a person closed exactly this: it is asked for again."""


@dataclass(frozen=True)
class Commit:
    """A commit on a branch and not on its base. `plain` is a merge that holds nothing but what it merged."""

    sha: str
    author: str
    committer: str
    author_email: str
    committer_email: str
    plain: bool = False

    @property
    def who(self) -> str:
        """Whose it is: its author's, or who amended what the bot wrote."""
        return self.committer if self.author_email == EMAIL else self.author

    @property
    def ours(self) -> bool:
        """Whether nothing of a person's is lost with it."""
        return self.plain or (self.author_email == EMAIL and self.committer_email == EMAIL)


def require_ours(branch: str, commits: Sequence[Commit]) -> None:
    """Refuse to write over a branch that a person has pushed to."""
    for commit in commits:
        if not commit.ours:
            raise ConfigurationError(
                f"branch {branch} has the commit {commit.sha[:12]} by {commit.who}, which Trunkline will not write "
                "over; merge its pull request, or delete the branch, and run this again."
            )


def step(*, base: str, wanted: str, merged: str | None) -> Step:
    """What to do, from trees: the base's, the one wanted on the base, and what merging the branch would give.

    `merged` is None where there is no branch, or it no longer merges without a conflict. So a branch that was made on
    an older base is kept for as long as merging it gives what is wanted.
    """
    if wanted == base:
        return "nothing"
    return "keep" if merged == wanted else "push"
