"""A release brings no image on that lies elsewhere than params.yaml says, and packs no version twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from ci.adapters import registry
from ci.commands import releasing
from ci.core.errors import ConfigurationError
from ci.core.history import ManifestChange
from ci.core.lineage import Lineage
from ci.core.params import Environment, Releasing
from ci.core.release import Version, dump, path_of, release
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


def line_in(root: Path) -> releasing.Line:
    rules = Releasing(
        registry="registry.example.com/line",
        base="base",
        environments={"staging": Environment(steps=[100]), "production": Environment(steps=[100])},
    )
    line = releasing.Line(root, cast("Any", None), "churn", rules)
    line.lineage = LINEAGE
    return line


class Past:
    """A base whose release.yaml named these versions, one after the other."""

    def __init__(self, *versions: Version) -> None:
        self.versions = versions

    def changes(self, model: str) -> list[ManifestChange]:
        facts = {"model": model, "environment": "staging", "path": path_of(model, "staging"), "commit": "c" * 40}
        texts = [dump(release(model, "staging", stable=version)) for version in self.versions]
        said = {"when": "2026-01-01T00:00:00+00:00", "author": "a", "committer": "c", "subject": "s"}
        return [ManifestChange(**facts, **said, text=text) for text in texts]


def of(key: str, *, lock: str = "a", place: str = "registry.example.com/line/churn") -> Version:
    lineage = LINEAGE.model_copy(update={"lock_hash": lock * 64, "commit": key * 40})
    return Version(image=f"{place}@sha256:{key * 64}", version="1", lineage=lineage)


@pytest.mark.parametrize(
    ("past", "lost", "taken"),
    [
        ((of("b"),), "", of("b")),  # made at another commit: the same bytes all the same
        ((of("b"), of("d", lock="e"), of("d")), "", of("d")),
        ((of("b"), of("d")), "d", of("b")),
        ((of("b"),), "b", None),
        ((of("d", lock="e"),), "", None),
        ((of("b", place="evil.example.com/line/churn"),), "", None),
        ((), "", None),
    ],
)
def test_an_image_that_was_released_is_not_made_again_while_the_registry_has_it(
    past: tuple[Version, ...], lost: str, taken: Version | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def find(image: str, *, home: str) -> object:
        asked.append((image.partition("/")[0], home))
        return None if lost and image.endswith(lost * 64) else object()

    monkeypatch.setattr(registry, "find", find)
    assert line_in(tmp_path)._released_before(cast("Any", Past(*past))) == taken
    assert set(asked) <= {("registry.example.com", "registry.example.com")}


@pytest.mark.parametrize(
    ("image", "taken"),
    [
        ("registry.example.com/line/churn", True),
        ("evil.example.com/line/churn", False),
        ("registry.example.com/line/fraud", False),
    ],
)
def test_an_image_from_elsewhere_is_asked_about_nowhere(image: str, taken: bool, tmp_path: Path) -> None:
    line = line_in(tmp_path)
    base = cast("Any", Base(image))
    if taken:
        assert line._due(base).environment == "production"
    else:
        with pytest.raises(ConfigurationError, match=r"staging/release\.yaml names the image") as refused:
            line._due(base)
        assert refused.value.exit_code == 1
