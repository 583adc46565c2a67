"""release.yaml: what one environment runs of one model, and with which share of the traffic. Written by the bot alone.

It is a Kubernetes object that never reaches a cluster (`config.kubernetes.io/local-config`): kustomize copies images,
weights, routes and replicas out of it, and Trunkline reads the lineage in it. A seal over `spec` tells an edit by hand.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from ci.core.errors import ConfigurationError
from ci.core.lineage import Lineage
from ci.core.records import Part
from ci.core.units import pattern

if TYPE_CHECKING:
    from ci.core.params import Environment

SEAL = "trunkline.dev/seal"
LOCAL = "config.kubernetes.io/local-config"
HEADER = "# Written by `trunkline release` and by rollouts alone: to change it, let them.\n"
PLACE = re.compile(r"k8s/models/(?P<model>[^/]+)/(?P<environment>[^/]+)/release\.yaml")
IMAGE = re.compile(r"(?P<repository>[^\s@]+)@(?P<digest>sha256:[0-9a-f]{64})")


def _by_digest(image: str) -> str:
    if not IMAGE.fullmatch(image):
        raise ValueError("an image is named by digest: repository@sha256:<64 hex digits>")
    return image


Image = Annotated[str, AfterValidator(_by_digest)]
Weight = Annotated[int, Field(ge=0, le=100)]
Split = Literal["request", "unit"]


class _Camel(Part):
    """As Kubernetes writes keys."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Version(_Camel):
    """A released version: its image by digest, its number in the registry of models, and what it was made of."""

    image: Image
    version: str
    lineage: Lineage

    @property
    def digest(self) -> str:
        """sha256:..."""
        return self.image.partition("@")[2]


class Images(_Camel):
    """What the two Deployments run; without a canary both are stable's."""

    stable: Image
    canary: Image


class Numbers(_Camel):
    """The version that each Deployment runs, which its pods are labelled with; as with images, always both."""

    stable: str
    canary: str


class Weights(_Camel):
    """Shares of the traffic, in per cent."""

    stable: Weight
    canary: Weight


class Routes(_Camel):
    """How the shares are kept: what the HTTPRoutes say. What is not in use matches nothing."""

    stable: Weight
    canary: Weight
    """Weights between the two for requests that nothing else decides: all to stable where units are split."""
    units: str
    """Regular expression on the header of the unit: the canary answers those that match."""
    mirrored: str
    """The path whose requests the canary gets a copy of, while stable answers them."""


class Replicas(_Camel):
    """Pods of the canary; stable's are the autoscaler's business.

    One stands by on stable's image while nothing is rolled out: the first step's weight counts at once, and is answered
    by that pod until the canary's own is ready.
    """

    canary: Annotated[int, Field(ge=0)]


class Spec(_Camel):
    """What the environment runs. `canary` is None while nothing is being rolled out."""

    model: str
    environment: str
    stable: Version
    canary: Version | None = None
    images: Images
    versions: Numbers
    weights: Weights
    split: Split = "request"
    shadow: bool = False
    """Whether the canary only gets copies of requests, and its answers go nowhere; its weight is then 0."""
    routes: Routes
    replicas: Replicas


class Release(_Camel):
    """One release.yaml."""

    api_version: Literal["trunkline.dev/v1"] = "trunkline.dev/v1"
    kind: Literal["Release"] = "Release"
    spec: Spec

    @property
    def versions(self) -> tuple[Version, ...]:
        """Stable, then canary where there is one."""
        return (self.spec.stable, *((self.spec.canary,) if self.spec.canary else ()))


def path_of(model: str, environment: str) -> str:
    """Where the release.yaml of a model and environment is, from the repository's root."""
    return f"k8s/models/{model}/{environment}/release.yaml"


def namespace_of(model: str, environment: str) -> str:
    """The namespace that one environment's servers of a model have to themselves, in Kubernetes' letters.

    Raises ConfigurationError where the two names together are longer than a namespace's may be.
    """
    name = f"{model}-{environment}".replace("_", "-")
    if len(name) > 63:
        raise ConfigurationError(
            f"params.yaml: model '{model}' in environment '{environment}' would have the namespace '{name}' of "
            f"{len(name)} characters; a namespace has 63 at most, so shorten either name.",
            file="params.yaml",
        )
    return name


def release(
    model: str,
    environment: str,
    *,
    stable: Version,
    canary: Version | None = None,
    weight: int = 0,
    split: Split = "request",
    shadow: bool = False,
) -> Release:
    """A release with `weight` per cent of the traffic on the canary; all that follows from it is filled in.

    `split` says whether each request is assigned anew, or all those of one unit alike. With `shadow` the canary gets a
    copy of each request instead, and answers none. Without a canary there is nothing to split or to copy.
    """
    if canary is None:
        split, shadow = "request", False
    if shadow:
        weight = 0
    by_request = weight if split == "request" else 0
    return Release(
        spec=Spec(
            model=model,
            environment=environment,
            stable=stable,
            canary=canary,
            images=Images(stable=stable.image, canary=(canary or stable).image),
            versions=Numbers(stable=stable.version, canary=(canary or stable).version),
            weights=Weights(stable=100 - weight, canary=weight),
            split=split,
            shadow=shadow,
            routes=Routes(
                stable=100 - by_request,
                canary=by_request,
                units=pattern(weight if split == "unit" else 0),
                mirrored=f"/v2/models/{model}/{'infer' if shadow else '-'}",
            ),
            replicas=Replicas(canary=1),
        )
    )


def propose(model: str, environment: str, version: Version, current: Release | None, rules: Environment) -> Release:
    """The release that brings `version` into an environment with these rules.

    The first one of all is stable at once, since there is nothing to compare it with; a later one is the canary beside
    the stable there is, in place of a canary that was not promoted yet: with copies of requests alone where the
    environment begins so, else with the first step's share. With a first step of 100 and no copies before, it replaces
    stable. What is stable already ends a rollout of another version.
    """
    first, shadow = rules.steps[0], rules.shadow
    if current is not None and current.spec.stable.lineage.lock_hash == version.lineage.lock_hash:
        return release(model, environment, stable=current.spec.stable)
    if current is None or (first == 100 and not shadow):
        return release(model, environment, stable=version)
    stable = current.spec.stable
    return release(model, environment, stable=stable, canary=version, weight=first, split=rules.split, shadow=shadow)


def dump(made: Release) -> str:
    """The text of release.yaml, the same for the same release."""
    spec = made.spec.model_dump(by_alias=True, exclude_none=True)
    annotations = {LOCAL: "true", SEAL: _seal(spec)}
    namespace = namespace_of(made.spec.model, made.spec.environment)
    metadata = {"name": "release", "namespace": namespace, "annotations": annotations}
    data = {"apiVersion": made.api_version, "kind": made.kind, "metadata": metadata, "spec": spec}
    return HEADER + yaml.safe_dump(data, sort_keys=False, width=200)


def parse(text: str, file: str) -> Release:
    """Read release.yaml strictly; `file` is its path from the repository's root.

    Raises ConfigurationError, also where its seal tells that it was edited by hand, and where it was copied to the
    place of another model or environment.
    """
    try:
        data: Any = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe, one is in C
        sealed = data["metadata"]["annotations"][SEAL]
        made = Release(api_version=data["apiVersion"], kind=data["kind"], spec=data["spec"])
    except ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise _broken(file, f"{where}: {first['msg']}") from wrong
    except (yaml.YAMLError, KeyError, TypeError) as wrong:
        raise _broken(file, "it is not a release that Trunkline wrote") from wrong
    spec = made.spec
    follows = release(
        spec.model,
        spec.environment,
        stable=spec.stable,
        canary=spec.canary,
        weight=spec.weights.canary,
        split=spec.split,
        shadow=spec.shadow,
    ).spec
    if sealed != _seal(data["spec"]) or spec != follows.model_copy(update={"replicas": spec.replicas}):
        raise _broken(file, "it was edited by hand")
    if PLACE.fullmatch(file) and file != path_of(spec.model, spec.environment):
        raise _broken(file, f"it is the release of {spec.model} in {spec.environment}")
    return made


def _broken(file: str, words: str) -> ConfigurationError:
    return ConfigurationError(
        f"{file}: {words}; take back the edit (`git log -- {file}` shows it): only `trunkline release` "
        "and rollouts write it.",
        file=file,
    )


def _seal(spec: Any) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
