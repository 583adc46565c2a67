"""Names of images are read strictly, and a tag is told from a digest."""

from __future__ import annotations

import pytest

from ci.core.errors import ConfigurationError
from ci.core.image.reference import Reference, is_pinned, name_of, parse, require_ours, tagged

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("image", "host", "path", "at", "loopback"),
    [
        ("127.0.0.1:5000/line/churn:0d2a", "127.0.0.1:5000", "line/churn", "0d2a", True),
        ("localhost/churn:a", "localhost", "churn", "a", True),
        ("[::1]:5000/churn:a", "[::1]:5000", "churn", "a", True),
        (f"ghcr.io/octo/line/churn@{DIGEST}", "ghcr.io", "octo/line/churn", DIGEST, False),
        ("127.0.0.1.example.com/churn:a", "127.0.0.1.example.com", "churn", "a", False),
        ("localhost.example.com:5000/churn:a", "localhost.example.com:5000", "churn", "a", False),
    ],
)
def test_a_reference(image: str, host: str, path: str, at: str, loopback: bool) -> None:
    found = parse(image)
    assert found == Reference(host, path, at)
    assert found.is_loopback is loopback
    assert found.repository == f"{host}/{path}"


@pytest.mark.parametrize(
    "image", ["churn", "ghcr.io/churn", "ghcr.io/Churn:a", "ghcr.io/churn@sha256:0a", "a b/c:d", ""]
)
def test_what_is_no_reference(image: str) -> None:
    with pytest.raises(ConfigurationError, match="is no image in a registry"):
        parse(image)


def test_a_tag_is_the_first_digits_of_the_lock_hash() -> None:
    assert (
        tagged("127.0.0.1:5000/line", "churn", "0d2ab14f1e7eea973ec54ff8")
        == "127.0.0.1:5000/line/churn:0d2ab14f1e7eea97"
    )


@pytest.mark.parametrize(
    ("base", "pinned", "name"),
    [
        (DIGEST, True, "sha256"),
        (f"python@{DIGEST}", True, "python"),
        (f"python:3.11-slim@{DIGEST}", True, "python"),
        (f"127.0.0.1:5000/python:slim@{DIGEST}", True, "127.0.0.1:5000/python"),
        ("python:3.11-slim", False, "python"),
        ("127.0.0.1:5000/python", False, "127.0.0.1:5000/python"),
        ("python@sha256:0a", False, "python"),
        (f"python:{'0a' * 32}", False, "python"),
    ],
)
def test_bases(base: str, pinned: bool, name: str) -> None:
    assert is_pinned(base) is pinned
    assert name_of(base) == name


@pytest.mark.parametrize(
    "repository",
    [
        "evil.example.com/line/churn",
        "registry.example.com/line/fraud",
        "registry.example.com/line/churn/deeper",
        "registry.example.com/line/churn:tag",
        "registry.example.com/other/churn",
    ],
)
def test_an_image_from_another_place_is_refused(repository: str) -> None:
    digest = f"sha256:{'a' * 64}"
    require_ours(f"registry.example.com/line/churn@{digest}", "registry.example.com/line", "churn", file="release.yaml")
    with pytest.raises(ConfigurationError, match=r"release\.yaml names the image .* alone, as release\.registry"):
        require_ours(f"{repository}@{digest}", "registry.example.com/line", "churn", file="release.yaml")
