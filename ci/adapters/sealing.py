"""The door to saved images: rewrites what `docker save` wrote so that the same files always make the same image."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from posixpath import normpath
from typing import IO, TYPE_CHECKING, Any

from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.image import sealed
from ci.core.image.scan import refusal, refused_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

WHITEOUT = ".wh."
METADATA = ".dist-info/METADATA"
BASE_TEXTS = {"var/lib/dpkg/status": "debian", "usr/lib/os-release": "os_release", "etc/os-release": "os_release"}
SHOWN = 5


@dataclass(frozen=True)
class Found:
    """What an image turned out to hold, for its bill of materials."""

    hashes: dict[str, str] = field(default_factory=dict)
    """sha256 of each file above the base, by path."""
    python: list[str] = field(default_factory=list)
    """METADATA of each Python distribution above the base."""
    base: dict[str, str] = field(default_factory=dict)
    """Texts of the base, by their names in BASE_TEXTS."""


@dataclass(frozen=True)
class Plan:
    """How an image is sealed: on what base, made when, as what, and what is added once its files are known."""

    base: sealed.Base
    created: str
    labels: Mapping[str, str]
    add: Callable[[Found], Mapping[str, bytes]]


@dataclass(frozen=True)
class _Entry:
    """A folder, a file (`read` gives its bytes) or a symbolic link (to `target`) of an image."""

    mode: int
    read: Callable[[], bytes] | None = None
    target: str = ""


def seal(saved: Path, out: Path, plan: Plan) -> sealed.Sealed:
    """Write the image in `saved` to `out` for `docker load`: sorted layers on the base's, and nothing of the day.

    Raises ConfigurationError that tells what may not be in an image, and EnvironmentFault for an archive that is not
    an image on the base.
    """
    found, names = Found(), []
    with ExitStack() as opened, tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as target:
        archive = opened.enter_context(tarfile.open(saved))
        manifest = json.loads(_opened(archive, "manifest.json").read())[0]
        built = json.loads(_opened(archive, manifest["Config"]).read())
        for number, name in enumerate(manifest["Layers"][: plan.base.layers]):
            _note_base(_opened(archive, name), found.base)
            names.append(_add(target, f"base-{number}.tar", _opened(archive, name)))
        entries: dict[str, _Entry] = {}
        for name in manifest["Layers"][plan.base.layers :]:
            layer = opened.enter_context(tarfile.open(fileobj=_opened(archive, name)))
            entries |= dict(_entries(layer))
        _note(entries, found)
        entries |= {path: _file(content) for path, content in plan.add(found).items()}
        diff_ids, size = [], 0
        for number in range(len(sealed.LAYERS)):
            path = out.with_name(f"layer-{number}.tar")
            diff_ids.append(_write(path, _with_folders(entries, number)))
            size += path.stat().st_size
            with path.open("rb") as content:
                names.append(_add(target, path.name, content))
            path.unlink()
        made = sealed.config(built, plan.base, diff_ids, plan.created, plan.labels)
        _require_open(made["config"])
        config = _json(made)
        _add(target, "config.json", io.BytesIO(config))
        _add(target, "manifest.json", io.BytesIO(_json([{"Config": "config.json", "RepoTags": None, "Layers": names}])))
    return sealed.Sealed(f"sha256:{hashlib.sha256(config).hexdigest()}", found.hashes, size)


def _entries(layer: tarfile.TarFile) -> Iterator[tuple[str, _Entry]]:
    """What one layer adds, by path. Raises ConfigurationError for what only a careless Dockerfile makes."""
    for member in layer:
        path = normpath(f"/{member.name}").strip("/")
        if not path:
            continue
        if path.rpartition("/")[2].startswith(WHITEOUT):
            raise ConfigurationError(
                f"ml/serve/Dockerfile takes {path.replace(WHITEOUT, '')} away in its last stage, which leaves it in "
                "the layer below; take it away in the stage that makes it."
            )
        if member.isdir():
            yield path, _Entry(0o755)
        elif member.issym():
            yield path, _Entry(0o777, target=member.linkname)
        elif member.isreg() or member.islnk():
            yield path, _Entry(0o755 if member.mode & 0o111 else 0o644, _reader(layer, member))
        else:
            raise ConfigurationError(f"ml/serve/Dockerfile makes {path}, which is no file, folder or link.")


def _note(entries: Mapping[str, _Entry], found: Found) -> None:
    """Hash and scan each file. Raises ConfigurationError with all that may not be in an image."""
    refused = []
    for path, entry in sorted(entries.items()):
        if entry.read is None:
            continue
        content = entry.read()
        found.hashes[path] = hashlib.sha256(content).hexdigest()
        if path.endswith(METADATA):
            found.python.append(content.decode(errors="replace"))
        if why := refusal(path, content):
            refused.append(f"/{path} ({why})")
    if refused:
        more = f" and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
        raise ConfigurationError(
            f"The image would hold what may not be in one: {', '.join(refused[:SHOWN])}{more}; take it out of "
            "ml/serve, or remove it in ml/serve/Dockerfile's first stage."
        )


def _require_open(settings: Mapping[str, Any]) -> None:
    """Raise ConfigurationError where a variable or a label of an image is a secret: whoever pulls it can read both."""
    variables = [("ENV", *each.partition("=")[::2]) for each in settings.get("Env") or ()]
    for kind, name, value in [*variables, *(("LABEL", *each) for each in (settings.get("Labels") or {}).items())]:
        if why := refused_setting(name, value):
            raise ConfigurationError(
                f"The image's configuration would hold what may not be in one: {kind} {name} ({why}); take it out of "
                "ml/serve/Dockerfile, or the base."
            )


def _note_base(layer: IO[bytes], texts: dict[str, str]) -> None:
    """Keep the texts that tell what the base consists of; a later layer's replace an earlier one's."""
    with tarfile.open(fileobj=layer) as members:
        for member in members:
            name = BASE_TEXTS.get(member.name.removeprefix("./"))
            if name and member.isreg():
                texts[name] = _reader(members, member)().decode(errors="replace")


def _with_folders(entries: Mapping[str, _Entry], number: int) -> dict[str, _Entry]:
    """The entries of one of our layers, and the folders they are in."""
    kept = {path: entry for path, entry in entries.items() if sealed.layer_of(path) == number and not _is_folder(entry)}
    parents = {path[:end] for path in kept for end in range(len(path)) if path[end] == "/"}
    return {parent: _Entry(0o755) for parent in parents} | kept


def _write(path: Path, entries: Mapping[str, _Entry]) -> str:
    """Write a layer, sorted, owned by root and without times; returns its digest."""
    with path.open("wb") as out, tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as layer:
        for name, entry in sorted(entries.items()):
            header = tarfile.TarInfo(name)
            header.mode = entry.mode
            content = b""
            if entry.read is not None:
                content = entry.read()
                header.size = len(content)
            elif entry.target:
                header.type, header.linkname = tarfile.SYMTYPE, entry.target
            else:
                header.type = tarfile.DIRTYPE
            layer.addfile(header, io.BytesIO(content))
    with path.open("rb") as written:
        return f"sha256:{hashlib.file_digest(written, 'sha256').hexdigest()}"


def _add(target: tarfile.TarFile, name: str, content: IO[bytes]) -> str:
    header = tarfile.TarInfo(name)
    header.size = content.seek(0, io.SEEK_END)
    content.seek(0)
    target.addfile(header, content)
    return name


def _opened(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """A member of the archive, links followed. Raises EnvironmentFault where there is none."""
    try:
        content = archive.extractfile(name)
    except KeyError:
        content = None
    if content is None:
        raise EnvironmentFault(f"The docker daemon saved an image without {name}; update docker and run again.")
    return content


def _reader(layer: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        content = layer.extractfile(member)
        assert content is not None  # noqa: S101 - members that are no files are not asked
        return content.read()

    return read


def _file(content: bytes) -> _Entry:
    return _Entry(0o644, lambda: content)


def _is_folder(entry: _Entry) -> bool:
    return entry.read is None and not entry.target


def _json(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
