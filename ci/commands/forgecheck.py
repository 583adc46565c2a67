"""The part of `trunkline doctor` that looks at the forge."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ci.adapters import forge
from ci.adapters.forge import permissions
from ci.adapters.forge.github import GitHub
from ci.adapters.forge.local import FOLDER
from ci.adapters.github import NotFound
from ci.commands import findings
from ci.commands.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ci.core.params import Root

REQUIRED = "verdict"  # the job of check.yml that a merge has to wait for


def found(root: Path, params: Root) -> list[Finding]:
    """The forge; on GitHub also the token, what it may do, and how the default branch is guarded."""
    chosen = forge.of(root)
    if not isinstance(chosen, GitHub):
        if (root / FOLDER).exists():
            chosen.sync()
        words = f"{chosen.name}: pull requests are branches and records in {FOLDER}."
        token = "GITHUB_REPOSITORY and TRUNKLINE_TOKEN or GITHUB_TOKEN are not set; with them, GitHub has them."  # noqa: S105 - words
        return [Finding("forge", "ok", words), Finding("token", "missing", token)]
    reached = Finding("forge", "ok", f"GitHub: {chosen.repo}, default branch {chosen.base()}.")
    checks: dict[str, Callable[[], list[Finding]]] = {
        "token": lambda: [_token()],
        "contents: write": lambda: [_contents(chosen)],
        "pull-requests: write": lambda: [_pulls(chosen)],
        "actions: write": lambda: [_actions(chosen)],
        "branch protection": lambda: _protection(chosen, params),
    }
    return [reached, *findings.all_of(checks)]


def _token() -> Finding:
    if os.environ.get("TRUNKLINE_TOKEN"):
        return Finding("token", "ok", "TRUNKLINE_TOKEN.")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        return Finding(
            "token",
            "missing",
            "the workflow's own token alone, and pull requests that it opens start no checks; make a GitHub App, and "
            "give its id as variable APP_ID and its key as secret APP_PRIVATE_KEY.",
        )
    return Finding("token", "ok", "GITHUB_TOKEN.")


def _contents(github: GitHub) -> Finding:
    github.remote.require_writable()
    return Finding("contents: write", "ok", "branches can be pushed.")


def _pulls(github: GitHub) -> Finding:
    if permissions.may_open(github):
        return Finding("pull-requests: write", "ok", "pull requests can be opened.")
    return Finding(
        "pull-requests: write",
        "broken",
        "the token may not open pull requests; grant `pull-requests: write`, and for a workflow's own token "
        "“Allow GitHub Actions to create and approve pull requests” in the repository's settings.",
    )


def _actions(github: GitHub) -> Finding:
    what = "actions: write"
    try:
        if permissions.may_dispatch(github, "train.yml"):
            return Finding(what, "ok", "train.yml can be started.")
    except NotFound:
        return Finding(what, "missing", f"{github.base()} has no train.yml that could be started; merge it.")
    return Finding(what, "broken", "the token may not start train.yml; grant `actions: write`.")


def _protection(github: GitHub, params: Root) -> list[Finding]:
    guard = permissions.guard(github)
    what = "branch protection"
    if not guard.protected:
        words = f"anyone may push to {guard.branch}; make a rule that wants a pull request, a review and `{REQUIRED}`."
        found = [Finding(what, "missing", words)]
    elif REQUIRED not in guard.checks:
        words = f"{guard.branch} takes a merge without `{REQUIRED}`; make that check required."
        found = [Finding(what, "missing", words)]
    else:
        found = [Finding(what, "ok", f"{guard.branch} waits for {', '.join(guard.checks)}.")]
    environments = params.release.environments if params.release else {}
    wanted = [name for name, one in environments.items() if one.auto_merge or one.shadow or len(one.steps) > 1]
    if wanted and not guard.auto_merge:
        words = (
            f"params.yaml wants it for {', '.join(wanted)}; turn on “Allow auto-merge” in the repository's settings."
        )
        found.append(Finding("auto-merge", "missing", words))
    return found
