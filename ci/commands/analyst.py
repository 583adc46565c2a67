"""Looks at rollouts for who asks: what the repository says of each, what Prometheus counted, one look at a time."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from ci.adapters import git, shell
from ci.adapters.prometheus import Prometheus, address
from ci.adapters.remote import Remote
from ci.commands.analysis import look
from ci.commands.merged import Base
from ci.core.analysis import Unknown, at_weight, earlier
from ci.core.errors import ConfigurationError, EnvironmentFault, did_you_mean
from ci.core.release import path_of
from ci.core.rollouts.ways_back import came

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ci.core.canary.records import Rollout
    from ci.core.params import Releasing
    from ci.core.release import Release, Version

EVERY = 15.0
"""Seconds for which a look is good: no window of the evidence is shorter than twice that."""
AGAIN = 5.0
"""Seconds for which what could not be asked is not asked again."""
PATIENCE = 25.0
"""Seconds to wait for a look that somebody else has begun."""


def newest(root: Path) -> Base:
    """What the remote `origin` has on its default branch, whatever is checked out; HEAD without a remote."""
    url = shell.run(["git", "remote", "get-url", "origin"], cwd=root, check=False).out.strip()
    if not url:
        return at_hand(root)
    told = shell.run(["git", "symbolic-ref", "refs/remotes/origin/HEAD"], cwd=root, check=False).out.strip()
    name = told.removeprefix("refs/remotes/origin/") or "main"
    commit = Remote(root, url).fetch(f"refs/heads/{name}").get(f"refs/heads/{name}")
    if commit is None:
        raise EnvironmentFault(f"origin has no branch {name}; clone it again, with its default branch.")
    return Base(root, name, commit)


def at_hand(root: Path) -> Base:
    """What is committed here. Raises ConfigurationError before the first commit."""
    git.require_repository(root)
    commit = git.head(root)
    if commit is None:
        raise ConfigurationError(f"nothing is committed in {root} yet, so nothing is rolled out.")
    return Base(root, "HEAD", commit)


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

    def __init__(self, ask: Callable[[], Base], clock: Callable[[], float] = time.time) -> None:
        self._ask = ask
        self._clock = clock
        self._fetching = Turn("git", clock)
        self._base: tuple[float, Base] | None = None
        self._seen: dict[tuple[str, str], Seen] = {}

    def look(self, model: str, environment: str, *, version: str | None = None, weight: int | None = None) -> Rollout:
        """What the rollout has shown by now.

        `version` is the canary's where who asks knows it, and `weight` its share where a controller steps by itself.
        Raises Unknown for names that params.yaml does not have, ConfigurationError where nothing, or another version,
        is being rolled out, and EnvironmentFault where Git or Prometheus cannot be asked.
        """
        base = self._newest()
        rules = _rules(base, model, environment)
        place, judged = rules.environments[environment], base.judged_by(model)
        release, canary = _of(base, model, environment, version)
        if weight is not None:
            release = at_weight(release, weight, place.steps)
        turn = Turn(f"the look at {model} in {environment}", self._clock)
        seen = self._seen.setdefault((model, environment), Seen(turn))
        with seen.turn.taken():
            before, now = seen.record, self._clock()
            if before is not None and _is_fresh(before, release, now):
                return before
            prometheus = Prometheus(address(rules.prometheus))
            when = came(base.changes(model, environment), canary)
            since = datetime.fromisoformat(when).timestamp() if when else None
            if before is None and weight is not None and (first := earlier(weight, place.steps)) is not None:
                # Forgotten in mid-rollout: what came before is evidence, but nothing of it counts towards this step.
                until_here = at_weight(release, first, place.steps)
                before = look(judged, until_here, place, None, prometheus, now=now, since=since)
            seen.record = look(judged, release, place, before, prometheus, now=now, since=since)
            return seen.record

    def _newest(self) -> Base:
        """The default branch, asked for no more often than looks are taken."""
        with self._fetching.taken():
            now = self._clock()
            if self._base is None or not 0 <= now - self._base[0] < EVERY:
                self._base = now, self._ask()
            return self._base[1]


def _rules(base: Base, model: str, environment: str) -> Releasing:
    """How models are released, by the params.yaml there. Raises Unknown, and ConfigurationError."""
    params = base.params()
    if model not in params.models:
        raise Unknown(f"there is no model {model[:80]!r} in params.yaml; {did_you_mean(model, params.models)}")
    if params.release is None:
        raise ConfigurationError("params.yaml has no `release`, so nothing is rolled out.", file="params.yaml")
    if environment not in params.release.environments:
        words = did_you_mean(environment, params.release.environments)
        raise Unknown(f"there is no environment {environment[:80]!r} in params.yaml; {words}")
    return params.release


def _of(base: Base, model: str, environment: str, version: str | None) -> tuple[Release, Version]:
    """The release and its canary, of this version where one is asked for. Raises ConfigurationError."""
    release, path = base.release(model, environment), path_of(model, environment)
    if release is None or release.spec.canary is None:
        raise ConfigurationError(f"nothing of {model} is being rolled out in {environment}.", file=path)
    if version not in {None, release.spec.canary.version}:
        raise ConfigurationError(
            f"{path} has version {release.spec.canary.version} as the canary by now, not {version}.", file=path
        )
    return release, release.spec.canary


def _is_fresh(before: Rollout, release: Release, now: float) -> bool:
    canary = release.spec.canary
    same = canary is not None and (before.stable_digest, before.canary_digest, before.step.weight) == (
        release.spec.stable.digest,
        canary.digest,
        release.spec.weights.canary,
    )
    return same and 0 <= now - before.looked < EVERY
