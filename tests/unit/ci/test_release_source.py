"""A release brings no image on that lies elsewhere than params.yaml says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from ci.commands import releasing
from ci.core.errors import ConfigurationError
from ci.core.lineage import Lineage
from ci.core.params import Environment, Releasing
from ci.core.release import Version
from ci.core.releasing import Due

if TYPE_CHECKING:
    from pathlib import Path

HASHES = {name: "a" * 64 for name in Lineage.model_fields if name.endswith("_hash")}
LINEAGE = Lineage.model_validate({"model": "churn", "commit": "a" * 40, **HASHES})


class Base:
    """A base where staging runs an image."""

    def __init__(self, image: str) -> None:
        self.source = Version(image=f"{image}@sha256:{'a' * 64}", version="1", lineage=LINEAGE)

    def due(self, *_: Any) -> Due:
        return Due("production", "production does not run it yet", self.source)


@pytest.mark.parametrize(
    ("image", "taken"),
    [
        ("registry.example.com/line/churn", True),
        ("evil.example.com/line/churn", False),
        ("registry.example.com/line/fraud", False),
    ],
)
def test_an_image_from_elsewhere_is_asked_about_nowhere(image: str, taken: bool, tmp_path: Path) -> None:
    rules = Releasing(
        registry="registry.example.com/line",
        base="base",
        environments={"staging": Environment(steps=[100]), "production": Environment(steps=[100])},
    )
    line = releasing.Line(tmp_path, cast("Any", None), "churn", rules)
    line.lineage = LINEAGE
    base = cast("Any", Base(image))
    if taken:
        assert line._due(base).environment == "production"
    else:
        with pytest.raises(ConfigurationError, match=r"staging/release\.yaml names the image") as refused:
            line._due(base)
        assert refused.value.exit_code == 1
