"""What a changed path is to the models: one's own, everyone's, or nothing that a verdict depends on."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

# What no verdict depends on: files by their whole path, folders with all that is in them, and a model's own words.
HARMLESS_FILES = frozenset(
    {
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        ".gitignore",
        ".editorconfig",
        ".pre-commit-config.yaml",
        ".npmrc",
        "package.json",
        "package-lock.json",
        "constraints-dev.txt",
        "constraints-release.txt",
        ".github/zizmor.yml",
        ".github/CODEOWNERS",
    }
)
HARMLESS_FOLDERS = ("docs/", "tests/", "benchmarks/", "k8s/", ".ci/", "ml/serve/")
HARMLESS_WORDS = re.compile(r"ml/models/[^/]+/README\.md")
# What every verdict depends on; `*` crosses folders, the first match counts.
SHARED = (
    ("params.yaml", "defaults for every model"),
    ("dvc.yaml", "stages of every model"),
    ("ml/*", "code that every model shares"),
    ("ci/*", "code that judges every model"),
    (".github/*", "how every model is checked"),
    ("pyproject.toml", "packages that every model runs on"),
    ("constraints.txt", "packages that every model runs on"),
    ("Makefile", "how every model's environment is made"),
    (".dvc*", "how DVC keeps every model's data"),
)
JUDGES = ("ci/", ".github/")  # they decide on what was trained, and are no part of it
UNKNOWN = "not known to be harmless"


def folder_of(path: str) -> str | None:
    """The name of the folder of ml/models that a path lies in."""
    parts = path.split("/")
    return parts[2] if len(parts) > 3 and parts[:2] == ["ml", "models"] else None


def scope(path: str, models: Sequence[str], unlisted: Collection[str] = ()) -> tuple[tuple[str, ...], str]:
    """The models that a changed path touches, and what the path is to them."""
    if path in HARMLESS_FILES or path.startswith(HARMLESS_FOLDERS) or HARMLESS_WORDS.fullmatch(path):
        return (), "harmless"
    if path == "dvc.lock" or _is_pin(path):
        return (), "told model by model"
    for model in models:
        if path.startswith((f"ml/models/{model}/", f"data/{model}/")):
            return (model,), "its own"
    if folder_of(path) in unlisted:
        return (), "of a model that params.yaml does not list"
    return tuple(models), next((why for pattern, why in SHARED if fnmatchcase(path, pattern)), UNKNOWN)


def trains_alike(changed: Iterable[str], model: str, models: Sequence[str]) -> bool:
    """Whether commits that differ in these paths give a model the same training; where that is not plain, not."""
    for path in changed:
        if path != "dvc.lock" and not path.startswith(JUDGES):
            touched, _ = scope(path, models)
            if model in touched or _is_pin(path):
                return False
    return True


def _is_pin(path: str) -> bool:
    """Whether a path is one of the `.dvc` files whose pins are compared hash by hash."""
    return path == "data.dvc" or re.fullmatch(r"data/[^/]+\.dvc", path) is not None
