"""Which earlier release an environment goes back to, from the changes of its release.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.core.errors import ConfigurationError, TrunklineError, did_you_mean
from ci.core.tracing import matches, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.history import ManifestChange
    from ci.core.release import Release, Version


class NothingBefore(TrunklineError):
    """There is no earlier release to go back to (exit code 3)."""

    exit_code = 3


class AlreadyBack(TrunklineError):
    """It runs what was asked for: nothing is left to do."""

    exit_code = 0


@dataclass(frozen=True)
class Back:
    """Going back to `version` alone: `card_at` is a commit that has its card, `reverts` are undone, newest first."""

    version: Version
    card_at: str
    reverts: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """A release.yaml as one commit left it."""

    commit: str
    release: Release

    @property
    def newest(self) -> Version:
        """The version that its card describes."""
        return self.release.spec.canary or self.release.spec.stable


def back(changes: Sequence[ManifestChange], to: str | None, where: str) -> Back:
    """What to go back to: `to`, a version's number or a name that `trunkline trace` takes; None is the release before.

    `changes` are those of one environment of one model, oldest first, the last of which is what it runs. Without `to` a
    canary is taken back, else the newest release. `where` names model and environment for the words. Raises
    ConfigurationError for a version that was never there, NothingBefore and AlreadyBack.
    """
    seen = [_Seen(change.commit, made) for change in changes if (made := read(change)) is not None]
    if not seen or seen[-1].commit != changes[-1].commit:
        raise NothingBefore(f"{where} runs nothing that a release.yaml names, so there is nothing to go back from.")
    now = seen[-1].release.spec
    version = _before(seen, where) if to is None else _named(seen, to, where)
    if now.canary is None and _same(now.stable, version):
        raise AlreadyBack(f"{where} runs version {version.version} already, and nothing beside it.")
    return _to(seen, version)


def taken_back(changes: Sequence[ManifestChange], version: Version) -> Back | None:
    """Going back to `version`, which is stable now; None where no change has it as its newest."""
    seen = [_Seen(change.commit, made) for change in changes if (made := read(change)) is not None]
    return _to(seen, version) if any(_same(one.newest, version) for one in seen) else None


def came(changes: Sequence[ManifestChange], canary: Version) -> str | None:
    """When the canary that is there now was released: ISO 8601 with a zone."""
    when = None
    for change in reversed(changes):
        made = read(change)
        if made is None or made.spec.canary is None or not _same(made.spec.canary, canary):
            break
        when = change.when
    return when


def images(changes: Sequence[ManifestChange]) -> list[Version]:
    """Every version that an environment ever ran, newest first."""
    found: dict[str, Version] = {}
    for made in filter(None, map(read, changes)):
        for version in made.versions:
            found.pop(version.lineage.lock_hash, None)
            found[version.lineage.lock_hash] = version
    return list(reversed(found.values()))


def _before(seen: Sequence[_Seen], where: str) -> Version:
    """Stable, where a canary is beside it; else what was stable before the newest release came."""
    now = seen[-1].release.spec
    if now.canary is not None:
        return now.stable
    came = {one.lineage.lock_hash: at for at in range(len(seen) - 1, -1, -1) for one in seen[at].release.versions}
    first = came[now.stable.lineage.lock_hash]
    if first < max(came.values()):
        newest = seen[max(came.values())].newest
        raise AlreadyBack(
            f"{where} went back from version {newest.version} to {now.stable.version} already; name the version to go "
            "back further (--to)."
        )
    if first == 0:
        raise NothingBefore(f"{where} never ran anything else than version {now.stable.version}.")
    return seen[first - 1].release.spec.stable


def _named(seen: Sequence[_Seen], ref: str, where: str) -> Version:
    found: dict[str, Version] = {}
    known: dict[str, None] = {}
    for one in seen:
        for version in one.release.versions:
            known[version.version] = None
            if version.version == ref or matches(version, ref):
                found[version.lineage.lock_hash] = version
    if not found:
        raise ConfigurationError(f"{where} never ran a version '{ref}'; {did_you_mean(ref, known)}")
    if len(found) > 1:
        numbers = ", ".join(version.version for version in found.values())
        raise ConfigurationError(f"'{ref}' names versions {numbers} of {where} alike; give more of it.")
    return next(iter(found.values()))


def _to(seen: Sequence[_Seen], version: Version) -> Back:
    """All that came after the last commit that had `version` as its newest is undone."""
    last = max((at for at, one in enumerate(seen) if _same(one.newest, version)), default=0)
    return Back(version, seen[last].commit, tuple(one.commit for one in reversed(seen[last + 1 :])))


def _same(one: Version, other: Version) -> bool:
    return one.lineage.lock_hash == other.lineage.lock_hash
