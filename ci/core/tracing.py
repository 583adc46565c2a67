"""From one name of anything in the line to all that it is linked with: pure, on what git remembers."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Literal

from ci.core.errors import ConfigurationError
from ci.core.forge import Approval
from ci.core.lineage import Lineage
from ci.core.records import Part
from ci.core.release import Release, Version, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ci.core.history import ManifestChange
    from ci.core.registered import Registered

Arm = Literal["stable", "canary"]
LEAST = 7  # hex digits: fewer name too much
HEX = re.compile(rf"[0-9a-f]{{{LEAST},64}}")
MADE_OF = ("data", "params", "code", "environment", "lock", "model", "predictions")  # beside the commit
VERSION = re.compile(r"(?P<model>[a-z][a-z0-9_]{0,63})/(?P<version>[A-Za-z0-9._-]+)")


class Link(Part):
    """One link of a chain. `value` is None where it is missing, and `words` say why."""

    name: str
    value: str | None
    words: str = ""


class Step(Part):
    """One commit of a release.yaml in which a version appeared, took another share of the traffic, or left."""

    environment: str
    commit: str
    when: str
    by: str
    subject: str
    arm: Arm | None
    weight: int
    approval: Approval | None = None


class Chain(Part):
    """A version, what it was made of, and every manifest commit that is about it."""

    model: str
    lineage: Lineage | None
    image: str | None = None
    version: str | None = None
    links: tuple[Link, ...]
    steps: tuple[Step, ...] = ()


NO_IMAGE = Link(name="image", value=None, words="not released: no release.yaml names it")


def matches(version: Version, ref: str) -> bool:
    """Whether `ref` names this version: MODEL/VERSION, an image or its digest, or the beginning of a hash in it."""
    if named := VERSION.fullmatch(ref):
        return (version.lineage.model, version.version) == (named["model"], named["version"])
    if "@" in ref:
        return version.image == ref
    if ref.startswith("sha256:"):
        return len(ref) >= len("sha256:") + LEAST and version.digest.startswith(ref)
    return bool(HEX.fullmatch(ref)) and (
        any(value.startswith(ref) for value in version.lineage.hashes)
        or version.digest.removeprefix("sha256:").startswith(ref)
    )


def needle(ref: str) -> str:
    """What a release.yaml that is about `ref` has in its text, for a search before it is read."""
    if named := VERSION.fullmatch(ref):
        return f"version: '{named['version']}'" if named["version"].isdigit() else named["version"]
    return ref.rpartition("@")[2] if "@" in ref else ref


def read(change: ManifestChange) -> Release | None:
    """The release after a change; None where it was removed or is not one that Trunkline wrote."""
    return None if change.text is None else _read(change.text, change.path)


@cache
def _read(text: str, path: str) -> Release | None:
    try:
        return parse(text, path)
    except ConfigurationError:
        return None


def chains(changes: Sequence[ManifestChange], found: Callable[[Version], bool], needle: str) -> list[Chain]:
    """A chain for each version in `changes` that `found` says yes to, in order of its first appearance.

    What has not `needle` in its text is not read: of a thousand releases few are.
    """
    versions: dict[tuple[str, str, str], Version] = {}
    for change in changes:
        if change.text is None or needle not in change.text:
            continue
        made = read(change)
        for version in made.versions if made else ():
            if found(version):
                versions.setdefault((version.lineage.model, version.lineage.lock_hash, version.image), version)
    return [_chain(version, changes) for version in versions.values()]


def unreleased(lineage: Lineage) -> Chain:
    """The chain of a version that is pinned in dvc.lock, and in no release.yaml."""
    return Chain(model=lineage.model, lineage=lineage, links=(*_made_of(lineage), NO_IMAGE))


def numbered(lineage: Lineage, version: str) -> Chain:
    """The same of one that the registry of models has a number for."""
    links = (*_made_of(lineage), _number(lineage.model, version), NO_IMAGE)
    return Chain(model=lineage.model, lineage=lineage, version=version, links=links)


def unpinned(known: Registered) -> Chain:
    """The chain of a version that the registry of models has and no dvc.lock in git: its tags say what they can."""
    words = "no dvc.lock up to HEAD pins it: its training is not committed, or not in this clone"
    told = {name: known.tags.get(f"{name}_hash") for name in MADE_OF}
    made = [
        Link(name=name, value=value, words="" if value else "its tags in the registry do not say")
        for name, value in told.items()
    ]
    links = (Link(name="commit", value=None, words=words), *made, _number(known.model, known.version), NO_IMAGE)
    return Chain(model=known.model, lineage=None, version=known.version, links=links)


def untrained(model: str, commit: str) -> Chain:
    """The chain of a commit that touches a model and that no fully trained version has in its past."""
    words = "no full training up to HEAD contains this commit"
    return Chain(
        model=model,
        lineage=None,
        links=(Link(name="commit", value=commit), Link(name="model", value=None, words=words)),
    )


def unreadable(model: str, commit: str, path: str, *, removed: bool) -> Chain:
    """The chain of a commit that left a release.yaml removed, or not as Trunkline writes it."""
    words = f"{path} was {'removed' if removed else 'edited by hand'} in this commit"
    return Chain(
        model=model,
        lineage=None,
        links=(Link(name="commit", value=commit), Link(name="release.yaml", value=None, words=words)),
    )


def _chain(version: Version, changes: Sequence[ManifestChange]) -> Chain:
    lineage = version.lineage
    steps = _steps(version, [change for change in changes if change.model == lineage.model])
    links = [
        *_made_of(lineage),
        _number(lineage.model, version.version),
        Link(name="image", value=version.image),
    ]
    environments = dict.fromkeys(change.environment for change in changes if change.model == lineage.model)
    for environment in environments:
        here = [step for step in steps if step.environment == environment]
        if not here:
            links.append(Link(name=environment, value=None, words="never released there"))
        for step in here:
            if step.approval is None and step.arm is not None:
                words = f"nothing in git says who agreed to {step.commit[:12]}: neither a note nor a Reviewed-by"
                links.append(Link(name=f"approval in {environment}", value=None, words=words))
    return Chain(
        model=lineage.model,
        lineage=lineage,
        image=version.image,
        version=version.version,
        links=tuple(links),
        steps=tuple(steps),
    )


def _made_of(lineage: Lineage) -> tuple[Link, ...]:
    told = lineage.model_dump()
    return (
        Link(name="commit", value=lineage.commit),
        *(Link(name=name, value=told[f"{name}_hash"]) for name in MADE_OF),
    )


def _number(model: str, version: str) -> Link:
    return Link(name="registered version", value=f"{model}/{version}")


def _steps(version: Version, changes: Iterable[ManifestChange]) -> list[Step]:
    """Where the arm or the weight of a version changed, environment by environment."""
    now: dict[str, tuple[Arm | None, int]] = {}
    steps = []
    for change in changes:
        before = now.get(change.environment, (None, 0))
        mentioned = change.text is not None and version.digest in change.text
        made = read(change) if mentioned else None
        after = _place(made, version) if made else (None, 0)
        now[change.environment] = after
        if after != before:
            steps.append(
                Step(
                    environment=change.environment,
                    commit=change.commit,
                    when=change.when,
                    by=change.author,
                    subject=change.subject,
                    arm=after[0],
                    weight=after[1],
                    approval=approval(change),
                )
            )
    return steps


def _place(made: Release, version: Version) -> tuple[Arm | None, int]:
    spec = made.spec
    if spec.canary and spec.canary.image == version.image:
        return "canary", spec.weights.canary
    if spec.stable.image == version.image:
        return "stable", spec.weights.stable
    return None, 0


def approval(change: ManifestChange) -> Approval | None:
    """Who agreed to a change, by its note, else by its Reviewed-by trailers; None where git has neither."""
    if change.note:
        try:
            return Approval.model_validate(json.loads(change.note))
        except ValueError:  # a note that somebody else wrote
            pass
    if change.reviewed_by:
        return Approval(pull=None, url=None, merged_by=change.committer, approved_by=change.reviewed_by)
    return None
