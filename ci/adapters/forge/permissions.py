"""What GitHub lets a token do, and how a repository guards its default branch.

Nobody can list what a token may do, so it is asked by writes that GitHub must refuse for another reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.adapters.github import Forbidden, GitHubError, Invalid

if TYPE_CHECKING:
    from ci.adapters.forge.github import GitHub

NOWHERE = "refs/trunkline/nowhere"
"""A ref that is neither a branch nor a tag, so no workflow can start on it."""
CHECKS = "required_status_checks"


@dataclass(frozen=True)
class Guard:
    """How the default branch is guarded: `checks` are what a merge waits for."""

    branch: str
    protected: bool
    checks: tuple[str, ...]
    auto_merge: bool


def guard(github: GitHub) -> Guard:
    """Ask how the default branch is guarded, by a ruleset or by branch protection. Raises GitHubError."""
    path = f"/repos/{github.repo}"
    branch = github.base()
    told = github.client.send("GET", f"{path}/branches/{branch}")
    rules = github.client.every(f"{path}/rules/branches/{branch}")
    older = (told.get("protection") or {}).get(CHECKS) or {}
    checks = set(older.get("contexts") or ()) if told["protected"] else set()
    for rule in rules:
        if rule["type"] == CHECKS:
            checks |= {one["context"] for one in rule["parameters"][CHECKS]}
    settings = github.client.send("GET", path)
    return Guard(
        branch, bool(told["protected"] or rules), tuple(sorted(checks)), bool(settings.get("allow_auto_merge"))
    )


def may_open(github: GitHub) -> bool:
    """Whether the token may open pull requests: one from a branch to itself cannot be. Raises GitHubError."""
    base = github.base()
    return _may(github, "/pulls", {"title": "nothing", "head": base, "base": base})


def may_dispatch(github: GitHub, workflow: str) -> bool:
    """Whether the token may start a workflow: on no branch nothing can start.

    Raises NotFound where there is no such workflow, and GitHubError.
    """
    return _may(github, f"/actions/workflows/{workflow}/dispatches", {"ref": NOWHERE})


def _may(github: GitHub, path: str, body: dict[str, str]) -> bool:
    try:
        github.client.send("POST", f"/repos/{github.repo}{path}", body=body)
    except Invalid:
        return True
    except Forbidden:
        return False
    raise GitHubError(f"GitHub did what cannot be done: POST {path}; look at what that made, and tell us.")
