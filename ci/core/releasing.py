"""Which environment a merged model is due in, and what the pull request that brings it there changes and says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.core.errors import TrunklineError
from ci.core.lineage import entries_of
from ci.core.records import Outcome
from ci.core.release import dump, parse, path_of, propose

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any

    from ci.core.history import ManifestChange
    from ci.core.params import Environment
    from ci.core.records import Verdict
    from ci.core.release import Release, Version

    Read = Callable[[str], str | None]


class Refused(TrunklineError):
    """What was merged may not be released as it is (exit code 3)."""

    exit_code = 3


class Undecided(TrunklineError):
    """The gates did not decide, and policy blocks (exit code 4)."""

    exit_code = 4


class Superseded(TrunklineError):
    """The base names another version by now, which is for its own run to release: nothing is left to do here."""

    exit_code = 0


@dataclass(frozen=True)
class Place:
    """One environment as the base has it; `taken_back` is the commit that took the version at hand out of it again.

    With `waits`, a newer version does not end the rollout of another.
    """

    environment: str
    release: Release | None
    taken_back: str | None = None
    waits: bool = False


@dataclass(frozen=True)
class Due:
    """The environment to propose the version to, or None; `words` say why. `source` is what the one before it runs."""

    environment: str | None
    words: str
    source: Version | None = None


def due(places: Sequence[Place], lock: str) -> Due:
    """Where the version of `lock` (a lock hash) comes next: the first environment that does not run it yet.

    An environment that is still rolling it out, or that took it back, lets it go no further; and so does one that rolls
    out another, where params.yaml says that newer ones wait.
    """
    source = None
    for place in places:
        release = place.release
        if release is None or all(version.lineage.lock_hash != lock for version in release.versions):
            if place.taken_back:
                back = place.taken_back[:12]
                return Due(None, f"{place.environment} took it back in {back}; revert that commit to have it again")
            if place.waits and release is not None and release.spec.canary is not None:
                number = release.spec.canary.version
                return Due(None, f"{place.environment} is rolling out version {number}, and this one waits for its end")
            return Due(place.environment, f"{place.environment} does not run it yet", source)
        if release.spec.stable.lineage.lock_hash != lock:
            weight, copies = release.spec.weights.canary, release.spec.shadow
            share = "copies of requests alone" if copies else f"{weight} per cent of the traffic"
            return Due(None, f"{place.environment} is rolling it out, now with {share}")
        source = release.spec.stable
        if release.spec.canary is not None:
            return Due(place.environment, f"{place.environment} is still rolling out another version", source)
    return Due(None, "every environment runs it")


def taken_back(changes: Sequence[ManifestChange], since: Collection[str], lock: str) -> str | None:
    """The commit that took the version of `lock` out of an environment; None where it is there, or never was.

    `changes` are those of one release.yaml, oldest first. Only commits of `since` count, which are those that have the
    merge of this version in their past: one that was merged, replaced and merged again is to be released again.
    """
    gone, had = None, False
    for change in changes:
        has = change.text is not None and lock in change.text
        if has:
            gone = None
        elif had and change.commit in since:
            gone = change.commit
        had = has
    return gone


def places(read: Read, model: str, environments: Mapping[str, Environment], back: Mapping[str, str]) -> list[Place]:
    """The environments as the files say that `read` gives; `back` tells what each of them took back."""
    found = []
    for environment, rules in environments.items():
        path = path_of(model, environment)
        text = read(path)
        release = None if text is None else parse(text, path)
        found.append(Place(environment, release, back.get(environment), waits=rules.newer == "wait"))
    return found


def require_current(base: Mapping[str, Any], ours: Mapping[str, Any], model: str, name: str) -> None:
    """Raise Superseded unless the base's dvc.lock and ours, from the commit checked out, have one trained version.

    `name` is the base's, for the words.
    """
    if entries_of(base, model) != entries_of(ours, model):
        raise Superseded(
            f"{model}: {name} has another version in its dvc.lock by now than the commit that is checked out; "
            "releasing that is its own run's work."
        )


def require_pass(verdict: Verdict) -> None:
    """Raise Refused or Undecided unless the gates let these bytes pass."""
    if verdict.verdict is Outcome.FAIL:
        raise Refused(f"{verdict.model} is not released: {verdict.summary}")
    if verdict.blocks:
        raise Undecided(f"{verdict.model} is not released: {verdict.summary}")


def changes(
    read: Read, version: Version, environment: str, rules: Environment, card: str, overlay: Mapping[str, str]
) -> dict[str, str]:
    """The files that bring `version` into an environment: release.yaml, its card, and what the overlay lacks."""
    model = version.lineage.model
    path = path_of(model, environment)
    text = read(path)
    current = None if text is None else parse(text, path)
    made = propose(model, environment, version, current, rules)
    missing = {name: content for name, content in overlay.items() if read(name) is None}
    return {**missing, path: dump(made), card_of(model, environment): card}


def card_of(model: str, environment: str) -> str:
    """Where the model card of a release is, from the repository's root."""
    return path_of(model, environment).replace("release.yaml", "card.md")


def branch(model: str, environment: str) -> str:
    """The branch of the one pull request that brings a model into an environment."""
    return f"release/{model}/{environment}"


def title(version: Version, environment: str, rules: Environment, *, first: bool) -> str:
    """The title of the pull request, and the first line of its commit; `first`: nothing else is running there."""
    share = "" if first or rules.steps[0] == 100 else f", {rules.steps[0]} % of the traffic first"
    if rules.shadow and not first:
        share = ", copies of the traffic first"
    return f"Release {version.lineage.model} {version.version} to {environment}{share}"


def message(version: Version, title: str) -> str:
    """The commit's message: what `git log` alone can answer with."""
    lineage = version.lineage
    return (
        f"{title}\n\nImage: {version.image}\nModel: {lineage.model_hash}\nData: {lineage.data_hash}\n"
        f"Lock: {lineage.lock_hash}\nMerged-as: {lineage.commit}\n"
    )


def traffic(environment: Environment, current: Release | None) -> str:
    """What becomes of the traffic once the pull request is merged."""
    if current is None:
        return "all of it: nothing else is running there to compare with"
    number, shares = current.spec.stable.version, [f"{step} %" for step in environment.steps]
    if environment.shadow:
        return f"copies to the canary, while stable version {number} answers; then {', '.join(shares)}"
    if environment.steps[0] == 100:
        return f"all of it at once, in place of version {number}"
    units = " by unit" if environment.split == "unit" else ""
    return f"{shares[0]} to the canary{units}, beside stable version {number}, then {', '.join(shares[1:])}"


@dataclass(frozen=True)
class Body:
    """What the pull request says beside the verdict's own tables; `card` is Markdown, all else is plain."""

    model: str
    version: str
    environment: str
    summary: str
    traffic: str
    facts: tuple[tuple[str, str], ...]
    card: str


def body(
    version: Version, environment: str, rules: Environment, current: Release | None, summary: str, card: str
) -> Body:
    """The words of the pull request that brings `version` into an environment, where `current` is now."""
    lineage = version.lineage
    facts = (
        ("image", version.image),
        ("registered version", f"{lineage.model}/{version.version}"),
        ("model", lineage.model_hash),
        ("data", lineage.data_hash),
        ("params", lineage.params_hash),
        ("code", lineage.code_hash),
        ("lock", lineage.lock_hash),
        ("merged as", lineage.commit),
    )
    return Body(lineage.model, version.version, environment, summary, traffic(rules, current), facts, card)
