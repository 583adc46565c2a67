"""`serving` in a model's params.yaml: what its servers must know, whoever deploys them. It travels in the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ci.core.errors import did_you_mean
from ci.core.strict import Declared, Place, parse

if TYPE_CHECKING:
    from collections.abc import Collection

KEY = "serving"
Hidden = Literal["hash", "drop"]


class Served(Declared):
    """`sensitive` features are hashed in the inference log, with a key that the server has, or left out of it."""

    sensitive: dict[str, Hidden] = Field(default_factory=dict)


def parse_served(data: Any, place: Place) -> Served:
    """The section, or what holds without one. Raises ConfigurationError."""
    return Served() if data is None else parse(Served, data, place)


def require_features(served: Served, features: Collection[str], place: Place) -> None:
    """Raise ConfigurationError where a sensitive column is no feature: the one that was meant would be logged."""
    for name in served.sensitive:
        if name not in features:
            raise place.at("sensitive", name).error(
                f"'{name}' is sensitive, but no feature that the model takes; {did_you_mean(name, features)}"
            )
