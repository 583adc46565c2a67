"""Finds the pull request a commit was checked for, from what GitHub says and nothing that a run left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ci.adapters.github.client import Client


@dataclass(frozen=True)
class Checked:
    """A commit that was checked: `head` is the owner:branch it was pushed to, `base` what it was compared with."""

    sha: str
    head: str | None = None
    base: str | None = None


def numbers(client: Client, repo: str, checked: Checked) -> tuple[tuple[int, ...], str]:
    """The pull request to post to, and words on why it is none.

    Open pull requests whose newest commit is this one, so that a run that was overtaken by a push finds none. Several
    may share it, each with another base, and a verdict holds against one base alone. Raises GitHubError.
    """
    query: dict[str, str | int] = {"state": "open"}
    if checked.head is not None:
        query["head"] = checked.head
    pulls = [pull for pull in client.every(f"/repos/{repo}/pulls", query) if pull["head"]["sha"] == checked.sha]
    name = checked.sha[:8]
    if not pulls:
        return (), f"No open pull request of {repo} has {name} as its head (closed, or pushed to since)"
    if checked.base is not None:
        pulls = [pull for pull in pulls if pull["base"]["ref"] == checked.base]
        if not pulls:
            return (), f"No open pull request of {repo} with {name} as its head goes to the branch it was checked for"
    found = tuple(sorted(pull["number"] for pull in pulls))
    if len(found) > 1:
        listed = ", ".join(f"#{number}" for number in found)
        return (), f"{listed} all have {name} as their head, and which of them was checked is not known"
    return found, ""
