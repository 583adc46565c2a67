"""The door to another repository: what its refs are at, and pushes that take nothing from anyone."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ci.adapters import git, shell
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.loglines import quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PAUSES = (1.0, 2.0, 4.0)  # seconds before each further try
WORDS = ("remote:", "fatal:", "error:", " ! ")
QUIET = {"GIT_TERMINAL_PROMPT": "0"}  # a question would wait for ever


@dataclass(frozen=True)
class Remote:
    """A repository by its address, seen from the one at `root`; `env` holds what lets git in."""

    root: Path
    url: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    def at(self, *refs: str) -> dict[str, str]:
        """The commits that these refs (`refs/heads/main`) are at, without those that do not exist."""
        done = self._retried(["ls-remote", "--refs", self.url, *refs])
        found = [line.split("\t", 1) for line in done.out.splitlines()]
        return {ref: commit for commit, ref in found if ref in refs}

    def fetch(self, *refs: str) -> dict[str, str]:
        """As `at`, with the history of all of them here. Nothing of the repository at hand is moved."""
        for _ in range(len(PAUSES) + 1):
            seen = self.at(*refs)
            if not (lacking := self._lacking(seen)):
                return seen
            self._retried(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self.url, *lacking])
            if not self._lacking(seen):
                return seen
        raise EnvironmentFault(f"{self.url} is pushed to all the time; run this again.")  # each time between the two

    def push(self, commit: str | None, ref: str, expected: str | None) -> bool:
        """Move `ref` from `expected` to `commit`; None stands for a ref that is not there.

        Gives False when it was no longer at `expected`. Where git did not say how it ended, it is looked up.
        """
        lease = f"--force-with-lease={ref}:{expected or ''}"
        spec = f"{commit or ''}:{ref}"
        args = ["push", "--quiet", "--no-verify", lease, self.url, spec]
        for pause in (*PAUSES, None):
            done = self._git(args)
            if done.code == 0:
                return True
            now = self.at(ref).get(ref)
            if now == commit:
                return True
            if now != expected:
                return False
            if pause is None or ("[remote rejected]" in done.err and "lock" not in done.err):
                break  # it is not allowed; a lock is another push at this moment, which may still fail
            self._wait(done, pause)
        raise EnvironmentFault(
            f"{self.url} does not take a push to {ref}: {_said(done)}; "
            "see `trunkline doctor` for what the token and the branch's protection allow."
        )

    def require_writable(self) -> None:
        """Raise EnvironmentFault unless a push would be let in; nothing is pushed."""
        done = self._git(["push", "--quiet", "--dry-run", "--no-verify", self.url, "HEAD:refs/heads/trunkline/doctor"])
        if done.code != 0:
            raise EnvironmentFault(f"{self.url} takes no push: {_said(done)}.")

    def _lacking(self, seen: Mapping[str, str]) -> list[str]:
        return [ref for ref, commit in seen.items() if git.commit_of(self.root, commit) is None]

    def _retried(self, args: Sequence[str]) -> shell.Completed:
        for pause in (*PAUSES, None):
            done = self._git(args)
            if done.code == 0:
                return done
            if pause is not None:
                self._wait(done, pause)
        raise EnvironmentFault(
            f"{self.url} cannot be reached by git: {_said(done)}; check the network and the token, and run this again."
        )

    def _git(self, args: Sequence[str]) -> shell.Completed:
        return shell.run(["git", *args], cwd=self.root, env={**QUIET, **self.env}, check=False)

    def _wait(self, done: shell.Completed, seconds: float) -> None:
        print(f"git and {self.url}: {_said(done)}; trying again in {seconds:.0f} s", file=sys.stderr)
        time.sleep(seconds)


def require_whole(root: Path) -> None:
    """Raise ConfigurationError in a shallow clone, where it cannot be told whose commits a branch has."""
    if git.is_shallow(root):
        raise ConfigurationError(
            "this clone is shallow, so it cannot be told whose commits a branch has; run `git fetch --unshallow`, or "
            "give actions/checkout `fetch-depth: 0`."
        )


def _said(done: shell.Completed) -> str:
    """What git and the other side said, on one line and short."""
    lines = [line.strip() for line in done.err.splitlines() if line.startswith(WORDS)]
    words = [line.removeprefix("remote:").strip() for line in lines]
    return quiet("; ".join(word for word in words if word))[:400] or f"status {done.code}"
