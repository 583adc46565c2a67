"""The root params.yaml, strictly: the list of models, and what holds for all of them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ci.core.canary.rules import Rules, require_selectors
from ci.core.drift.rules import Rules as DriftRules
from ci.core.drift.rules import require_whole
from ci.core.errors import ConfigurationError, did_you_mean
from ci.core.strict import Declared, Place, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ci.core.strict import Where

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""The name of a model: of a Python package, a folder, an artifact, a job and a comment's marker at once."""
ENVIRONMENT = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+")
NEEDED_FILES = ("params.yaml", "schema.py", "features.py", "model.py")

Policy = Literal["warn", "block"]
Confidence = Annotated[float, Field(gt=0.5, lt=1)]
Few = Annotated[int, Field(ge=1)]


class Defaults(Declared):
    """`defaults.gates`: what holds for every gate that does not say otherwise."""

    confidence: Confidence
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    min_rows: Few
    on_inconclusive: Policy


class Everywhere(Declared):
    """`defaults`."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    gates: Defaults
    rollout: Rules = Rules()
    drift: DriftRules = DriftRules()


class Training(Declared):
    """`training`: with `before_merge`, `trunkline check` refuses a change whose full training is not in dvc.lock."""

    before_merge: bool = False


class Environment(Declared):
    """One of `release.environments`: how a release enters it."""

    steps: Annotated[list[Annotated[int, Field(ge=1, le=100)]], Field(min_length=1)]
    """Per cent of the traffic on the canary, step by step; the last is 100."""
    approve: list[int] = Field(default_factory=list)
    """Steps that wait for a person; the others are merged by themselves."""
    shadow: bool = False
    """Whether the canary first only gets copies of requests, and its answers go nowhere."""
    split: Literal["request", "unit"] = "request"
    """Whether each request is assigned anew, or all those of one unit (a user, a card) alike."""
    rollback: Literal["pull_request", "push"] = "pull_request"
    newer: Literal["supersede", "wait"] = "supersede"
    """What becomes of a rollout when a newer version is merged."""
    labels: list[str] = Field(default_factory=list)
    reviewers: list[str] = Field(default_factory=list)
    auto_merge: bool = False


class Releasing(Declared):
    """`release`: where images go, what they are built on, and the environments in the order they are reached."""

    registry: str
    base: str
    prometheus: str = "http://127.0.0.1:9090"
    """Where rollouts read what both tracks did; TRUNKLINE_PROMETHEUS says it for one machine."""
    environments: Annotated[dict[str, Environment], Field(min_length=1)]


class Root(Declared):
    """The root params.yaml."""

    models: Annotated[list[str], Field(min_length=1)]
    defaults: Everywhere
    training: Training = Training()
    release: Releasing | None = None


def parse_root(data: Any, line_of: Callable[[Where], int | None], *, file: str = "params.yaml") -> Root:
    """The root params.yaml. Raises ConfigurationError; a model listed twice is one."""
    place = Place(file, line_of)
    root = parse(Root, data, place)
    for index, model in enumerate(root.models):
        if model in root.models[:index]:
            raise place.at("models", index).error(f"model '{model}' is listed twice; keep one.")
        if not NAME.fullmatch(model):
            raise place.at("models", index).error(
                f"{model[:80]!r} cannot name a model: it names a Python package, a job and an artifact, so use up to "
                "64 of a-z, 0-9 and _, a letter first."
            )
    require_selectors(root.defaults.rollout, place.at("defaults", "rollout"))
    require_whole(root.defaults.drift, place.at("defaults", "drift"))
    if root.release is not None:
        _require_environments(root.release, place.at("release"))
    gates = root.defaults.gates
    require_tail(gates.confidence, gates.resamples, place.at("defaults", "gates", "resamples"))
    return root


def _require_environments(release: Releasing, place: Place) -> None:
    """Refuse names that no folder and no namespace can have, and steps that do not rise to 100."""
    if not REGISTRY.fullmatch(release.registry):
        raise place.at("registry").error(f"'{release.registry}' is no registry and repository; write HOST[:PORT]/PATH.")
    for name, environment in release.environments.items():
        if not ENVIRONMENT.fullmatch(name):
            raise place.at("environments", name).error(
                f"{name[:80]!r} cannot name an environment: it names a folder and a namespace, so use up to 32 of a-z, "
                "0-9 and -, a letter first."
            )
        steps = environment.steps
        if steps != sorted(set(steps)) or steps[-1] != 100:
            raise place.at("environments", name, "steps").error(
                f"the steps are {steps}; they have to rise, and to end with 100."
            )
        for index, step in enumerate(environment.approve):
            if step not in steps[not environment.shadow :]:
                raise place.at("environments", name, "approve", index).error(
                    f"{step} is no step after the first, which is merged with the release; the steps are {steps}."
                )


def require_files(models: Sequence[str], present: Mapping[str, Collection[str]], *, folder: str = "ml/models") -> None:
    """Refuse a listed model whose folder lacks a file; `present` maps each folder to the names of its files."""
    for model in models:
        if model not in present:
            hint = did_you_mean(model, present) if present else "make it."
            raise ConfigurationError(
                f"params.yaml lists model '{model}', but there is no folder {folder}/{model}; {hint}",
                file="params.yaml",
            )
        for name in NEEDED_FILES:
            if name not in present[model]:
                path = f"{folder}/{model}/{name}"
                raise ConfigurationError(
                    f"{path} is missing; write it, or take '{model}' out of params.yaml.", file=path
                )


def require_tail(confidence: float, resamples: int, place: Place) -> None:
    """Refuse a confidence whose tails hold less than one resample."""
    needed = math.ceil(2 / (1 - confidence) - 1e-6) - 1
    if resamples < needed:
        raise place.error(
            f"{resamples} resamples cannot give an interval of confidence {confidence:g}; take at least {needed}."
        )
