"""Looks at rollouts for who asks: what the repository says of each, what Prometheus counted, one look at a time."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ci.adapters import git, shell
from ci.adapters.files import parse_yaml
from ci.adapters.prometheus import Prometheus, address
from ci.adapters.remote import Remote
from ci.commands.analysis import look
from ci.core.analysis import Unknown, at_weight, earlier
from ci.core.canary.rules import KEY, parse_rules
from ci.core.errors import ConfigurationError, EnvironmentFault, did_you_mean
from ci.core.params import parse_root
from ci.core.release import parse, path_of
from ci.core.strict import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ci.core.bot import Read
    from ci.core.canary.records import Rollout
    from ci.core.canary.rules import Rules
    from ci.core.params import Releasing
    from ci.core.release import Release

EVERY = 15.0
"""Seconds for which a look is good: no window of the evidence is shorter than twice that."""
AGAIN = 5.0
"""Seconds for which what could not be asked is not asked again."""
PATIENCE = 25.0
"""Seconds to wait for a look that somebody else has begun."""


@dataclass(frozen=True)
class Files:
    """The files of one commit, or of the work tree (`commit` None)."""

    root: Path
    commit: str | None = None

    def read(self, path: str) -> str | None:
        """The text of a file, None where there is none."""
        if self.commit is not None:
            return git.show(self.root, self.commit, path)
        here = self.root / path
        return here.read_text(encoding="utf-8") if here.is_file() else None

    def changed(self, path: str) -> float | None:
        """When the file was last changed on the main line, in seconds of Unix time; None where git does not know."""
        asked = ["git", "log", "-1", "--first-parent", "--format=%ct", self.commit or "HEAD", "--", path]
        done = shell.run(asked, cwd=self.root, check=False)
        return float(done.out) if done.code == 0 and done.out.strip() else None


def newest(root: Path) -> Files:
    """What the remote `origin` has on its default branch, which need not be checked out; HEAD without a remote."""
    url = shell.run(["git", "remote", "get-url", "origin"], cwd=root, check=False).out.strip()
    if not url:
        return Files(root, git.head(root))
    told = shell.run(["git", "symbolic-ref", "refs/remotes/origin/HEAD"], cwd=root, check=False).out.strip()
    ref = f"refs/heads/{told.removeprefix('refs/remotes/origin/') or 'main'}"
    commit = Remote(root, url).fetch(ref).get(ref)
    if commit is None:
        raise EnvironmentFault(f"origin has no {ref}; clone it again, with its default branch.")
    return Files(root, commit)


def rules_of(read: Read, model: str) -> tuple[Releasing, Rules]:
    """Where and how a model is rolled out, by the params.yaml files. Raises Unknown, and ConfigurationError."""
    root = parse_root(*parse_yaml(read("params.yaml") or "", "params.yaml"))
    if model not in root.models:
        raise Unknown(f"there is no model {model[:80]!r} in params.yaml; {did_you_mean(model, root.models)}")
    if root.release is None:
        raise ConfigurationError("params.yaml has no `release`, so nothing is rolled out.", file="params.yaml")
    path = f"ml/models/{model}/params.yaml"
    data, line_of = parse_yaml(read(path) or "", path)
    own = data.get(KEY) if isinstance(data, dict) else None
    return root.release, parse_rules(root.defaults.rollout, own, Place(path, line_of, (KEY,)))


@dataclass
class Turn:
    """What one at a time may ask. Who waited while it could not be asked is told the same, and does not ask again."""

    what: str
    clock: Callable[[], float]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _fault: tuple[float, EnvironmentFault] | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Ask now. Raises EnvironmentFault where others take too long, or could not ask a moment ago."""
        if not self._lock.acquire(timeout=PATIENCE):
            raise EnvironmentFault(f"{self.what} takes long; ask again.")
        try:
            if self._fault is not None and 0 <= self.clock() - self._fault[0] < AGAIN:
                raise self._fault[1]
            yield
        except EnvironmentFault as fault:
            if self._fault is None or fault is not self._fault[1]:
                self._fault = self.clock(), fault
            raise
        finally:
            self._lock.release()


@dataclass
class Seen:
    """What is known of one rollout, and whose turn it is to look."""

    turn: Turn
    record: Rollout | None = None


class Analyst:
    """Looks, and keeps what was seen. What is lost with the process is read from Prometheus again."""

    def __init__(self, files: Callable[[], Files], clock: Callable[[], float] = time.time) -> None:
        self._ask = files
        self._clock = clock
        self._fetching = Turn("git", clock)
        self._files: tuple[float, Files] | None = None
        self._seen: dict[tuple[str, str], Seen] = {}

    def look(self, model: str, environment: str, *, version: str | None = None, weight: int | None = None) -> Rollout:
        """What the rollout has shown by now.

        `version` is the canary's where who asks knows it, and `weight` its share where a controller steps by itself.
        Raises Unknown for names that params.yaml does not have, ConfigurationError where nothing, or another version,
        is being rolled out, and EnvironmentFault where Git or Prometheus cannot be asked.
        """
        files = self._newest()
        rules, judged = rules_of(files.read, model)
        place = rules.environments.get(environment)
        if place is None:
            words = did_you_mean(environment, rules.environments)
            raise Unknown(f"there is no environment {environment[:80]!r} in params.yaml; {words}")
        release = _of(files, model, environment, version)
        if weight is not None:
            release = at_weight(release, weight, place.steps)
        turn = Turn(f"the look at {model} in {environment}", self._clock)
        seen = self._seen.setdefault((model, environment), Seen(turn))
        with seen.turn.taken():
            before, now = seen.record, self._clock()
            if before is not None and _is_fresh(before, release, now):
                return before
            prometheus = Prometheus(address(rules.prometheus))
            since = files.changed(path_of(model, environment))
            if before is None and weight is not None and (first := earlier(weight, place.steps)) is not None:
                # Forgotten in mid-rollout: what came before is evidence, but nothing of it counts towards this step.
                until_here = at_weight(release, first, place.steps)
                before = look(judged, until_here, place, None, prometheus, now=now, since=since)
            seen.record = look(judged, release, place, before, prometheus, now=now, since=since)
            return seen.record

    def _newest(self) -> Files:
        """The files, asked for no more often than looks are taken."""
        with self._fetching.taken():
            now = self._clock()
            if self._files is None or not 0 <= now - self._files[0] < EVERY:
                self._files = now, self._ask()
            return self._files[1]


def _of(files: Files, model: str, environment: str, version: str | None) -> Release:
    """The release that has a canary, of this version where one is asked for. Raises ConfigurationError."""
    path = path_of(model, environment)
    text = files.read(path)
    release = None if text is None else parse(text, path)
    if release is None or release.spec.canary is None:
        raise ConfigurationError(f"nothing of {model} is being rolled out in {environment}.", file=path)
    if version not in {None, release.spec.canary.version}:
        raise ConfigurationError(
            f"{path} has version {release.spec.canary.version} as the canary by now, not {version}.", file=path
        )
    return release


def _is_fresh(before: Rollout, release: Release, now: float) -> bool:
    canary = release.spec.canary
    same = canary is not None and (before.stable_digest, before.canary_digest, before.step.weight) == (
        release.spec.stable.digest,
        canary.digest,
        release.spec.weights.canary,
    )
    return same and 0 <= now - before.looked < EVERY
