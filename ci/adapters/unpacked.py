"""What is under /app in an image, as a folder: fetched from its registry without docker, and kept by digest."""

from __future__ import annotations

import json
import shutil
import sysconfig
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from backports import tarfile

from ci.adapters import locks, registry
from ci.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Mapping

APP = "app"
WHITEOUT = ".wh."
CONFIG = "config.json"
NATIVE = "*.cpython-*.so"


@dataclass(frozen=True)
class Unpacked:
    """An image's folder, and what it says to run in it, with paths of this machine."""

    workdir: Path
    env: Mapping[str, str]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]


def fetch(image: str, cache: Path, *, home: str) -> Unpacked:
    """Unpack an image that is named by digest, unless that was done before. `home` as for `registry.login`.

    Raises EnvironmentFault where the registry does not give it, and where its libraries are for another Python.
    """
    place = cache / image.rpartition("@")[2].removeprefix("sha256:")
    with locks.exclusive(cache / "lock", "another preview that fetches an image"):
        if not place.exists():
            _fetch(image, cache, place, home)
    return _described(place, json.loads((place / CONFIG).read_text()))


def _fetch(image: str, cache: Path, place: Path, home: str) -> None:
    blobs, part = cache / "blobs", place.with_suffix(".part")
    empty = cache / "empty"  # layers that have nothing under /app, as a base's: each a file of that name
    for folder in (blobs, empty):
        folder.mkdir(exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    without = {path.name for path in empty.iterdir()}
    config, layers = registry.download(image, blobs, home=home, without=without)
    for layer in layers:
        if layer not in without and not _unpack(blobs / layer, part):
            (empty / layer).touch()
    _require_python(part / APP, image)
    (part / CONFIG).write_text(json.dumps(config.get("config") or {}))
    part.replace(place)
    shutil.rmtree(blobs)


def _described(place: Path, config: Mapping[str, Any]) -> Unpacked:
    def here(text: str) -> str:
        parts = text.split(":")
        return ":".join(f"{place.resolve()}{part}" if _is_app(part) else part for part in parts)

    said = dict(str(one).split("=", 1) for one in config.get("Env") or ())
    return Unpacked(
        workdir=Path(here(str(config.get("WorkingDir") or f"/{APP}"))),
        env={key: here(value) for key, value in said.items()},
        entrypoint=tuple(config.get("Entrypoint") or ()),
        cmd=tuple(config.get("Cmd") or ()),
    )


def _unpack(layer: Path, into: Path) -> bool:
    """Unpack what a layer has under /app over what is there; gives whether it has anything."""
    found = False
    with tarfile.open(layer) as archive:
        for member in archive:
            path = PurePosixPath(member.name.removeprefix("./"))
            if path.parts[:1] != (APP,):
                continue
            found = True
            if path.name.startswith(WHITEOUT):
                _remove(into / path.with_name(path.name.removeprefix(WHITEOUT)))
                continue
            if not member.isdir():
                _remove(into / path)
            archive.extract(member, into, filter="data")
    return found


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def _require_python(app: Path, image: str) -> None:
    """Raise EnvironmentFault where a library is for another version of Python than this one."""
    mine = str(sysconfig.get_config_var("EXT_SUFFIX"))
    for path in app.rglob(NATIVE):
        if not path.name.endswith(mine):
            raise EnvironmentFault(
                f"{image} holds {path.name}, and Python takes *{mine} alone here; run the preview with docker."
            )


def _is_app(path: str) -> bool:
    return PurePosixPath(path).parts[:2] == ("/", APP)
