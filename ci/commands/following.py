"""Where a preview's manifests come from, looked at again and again: the working tree, or a branch, as an agent does."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from ci.adapters import kustomize, trees
from ci.core.errors import ConfigurationError, EnvironmentFault, TrunklineError
from ci.core.manifests.overlays import folder_of
from ci.core.release import parse, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ci.adapters.remote import Remote

FOLDER = "k8s"


@dataclass(frozen=True)
class Manifests:
    """What was rendered: its objects, where they are from, and the models that have no release yet."""

    objects: tuple[dict[str, Any], ...]
    words: str
    unreleased: tuple[str, ...] = ()


class Source(Protocol):
    """A place that manifests come from."""

    every: float
    """Seconds between two looks."""

    def state(self) -> object:
        """What is there now; two that are equal give the same manifests. Raises TrunklineError."""

    def root(self, state: object) -> tuple[Path, str]:
        """The root of a repository whose k8s/ is as `state`, and what to call that."""


class Tree:
    """The working tree at `root`."""

    every = 0.5

    def __init__(self, root: Path) -> None:
        self._root = root

    def state(self) -> object:
        """See Source."""
        found = []
        for path in sorted((self._root / FOLDER).rglob("*")):
            try:
                told = path.stat()
            except FileNotFoundError:  # an editor's file, gone again
                continue
            found.append((str(path), told.st_mtime_ns, told.st_size))
        return tuple(found)

    def root(self, state: object) -> tuple[Path, str]:  # noqa: ARG002 - a protocol's
        """See Source."""
        return self._root, "the working tree"


class Branch:
    """A branch of a repository, followed as a GitOps agent does; what is checked out is never touched."""

    every = 2.0

    def __init__(self, remote: Remote, branch: str, place: Path) -> None:
        self._remote = remote
        self._branch = branch
        self._place = place

    def state(self) -> object:
        """See Source. Raises ConfigurationError where there is no such branch."""
        ref = f"refs/heads/{self._branch}"
        commit = self._remote.fetch(ref).get(ref)
        if commit is None:
            raise ConfigurationError(f"{self._remote.url} has no branch {self._branch}; see `git ls-remote`.")
        return commit

    def root(self, state: object) -> tuple[Path, str]:
        """See Source."""
        trees.export(self._remote.root, str(state), FOLDER, self._place)
        return self._place, f"{self._branch} at {str(state)[:12]}"


def render(root: Path, words: str, models: Sequence[str], environment: str) -> Manifests:
    """Build the overlays of those models that have a release. Raises ConfigurationError as `trunkline render` does."""
    objects: list[dict[str, Any]] = []
    unreleased: list[str] = []
    for model in models:
        path = root / path_of(model, environment)
        if not path.exists():
            unreleased.append(model)
            continue
        parse(path.read_text(encoding="utf-8"), path_of(model, environment))
        objects += kustomize.build(root, folder_of(model, environment))
    return Manifests(tuple(objects), words, tuple(unreleased))


class Follower:
    """Looks at a source in a thread of its own, and hands on what is new."""

    def __init__(self, source: Source, build: Callable[[Path, str], Manifests], say: Callable[[str], None]) -> None:
        self._source = source
        self._build = build
        self._say = say
        self._told: SimpleQueue[Manifests] = SimpleQueue()
        self._ended = threading.Event()
        self._state: object = None
        self._complaint = ""
        self._thread = threading.Thread(target=self._follow, daemon=True, name="manifests")

    def first(self) -> Manifests:
        """What is there now. Raises TrunklineError; from then on the source is followed."""
        self._state = self._source.state()
        made = self._build(*self._source.root(self._state))
        self._thread.start()
        return made

    def news(self) -> Manifests | None:
        """The newest manifests, where there are any that were not handed out yet."""
        found = None
        while not self._told.empty():
            found = self._told.get()
        return found

    def end(self) -> None:
        """Follow no more."""
        self._ended.set()

    def _follow(self) -> None:
        while not self._ended.wait(self._source.every):
            try:
                state = self._source.state()
                if state != self._state:
                    self._state = state
                    self._told.put(self._build(*self._source.root(state)))
                self._complaint = ""
            except (TrunklineError, OSError) as fault:
                self._complain(fault)

    def _complain(self, fault: TrunklineError | OSError) -> None:
        """Say what is wrong once, not at every look; what runs goes on."""
        words = fault.message if isinstance(fault, TrunklineError) else str(fault)
        if isinstance(fault, EnvironmentFault | OSError):
            self._state = None  # it may be mended without a change: look again
        if words != self._complaint:
            self._say(f"{words} What runs goes on as before.")
            self._complaint = words
