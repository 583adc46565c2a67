"""Names of images: where one is kept, and whether a name can only ever mean the same bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ci.core.errors import ConfigurationError

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAMED = re.compile(
    r"(?P<host>[a-zA-Z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-f:]+\](:[0-9]{1,5})?)/(?P<path>[a-z0-9]+([._/-]+[a-z0-9]+)*)"
    r"(:(?P<tag>[\w][\w.-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))"
)
LOOPBACK = re.compile(r"(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?")
TAG_LENGTH = 16


@dataclass(frozen=True)
class Reference:
    """An image in a registry: `at` is a tag or a digest."""

    host: str
    path: str
    at: str

    @property
    def repository(self) -> str:
        """Where all versions of it are kept."""
        return f"{self.host}/{self.path}"

    @property
    def is_loopback(self) -> bool:
        """Whether its registry is on this machine, the only place that is spoken to without TLS."""
        return LOOPBACK.fullmatch(self.host) is not None


def parse(image: str) -> Reference:
    """A reference with a host and a tag or digest. Raises ConfigurationError for anything else."""
    found = NAMED.fullmatch(image)
    if found is None:
        raise ConfigurationError(
            f"'{image[:200]}' is no image in a registry; expected HOST[:PORT]/PATH, then :TAG or @sha256:DIGEST."
        )
    return Reference(found["host"], found["path"], found["tag"] or found["digest"])


def tagged(registry: str, model: str, lock_hash: str) -> str:
    """What the image of one trained version is tagged; whoever runs it refers to it by digest."""
    return f"{registry}/{model}:{lock_hash[:TAG_LENGTH]}"


def require_ours(image: str, registry: str, model: str, *, file: str) -> None:
    """Raise ConfigurationError unless an image is in the place for the model's images; `file` is what names it.

    Labels cannot tell that: whoever makes an image writes into them what they like.
    """
    repository = image.partition("@")[0]
    if repository != f"{registry}/{model}":
        raise ConfigurationError(
            f"{file} names the image {image[:200]}, but images of {model} are in {registry}/{model} alone, as "
            "release.registry of params.yaml says; take that file back to what `trunkline release` wrote.",
            file=file,
        )


def is_pinned(base: str) -> bool:
    """Whether `base` is a digest (`name@sha256:...`) or a local image's id (`sha256:...`), not a tag that moves."""
    return DIGEST.fullmatch(base.rpartition("@")[2]) is not None


def name_of(base: str) -> str:
    """The name of a base image without tag and digest."""
    name = base.partition("@")[0]
    head, _, last = name.rpartition("/")
    return f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
