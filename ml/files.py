"""Files that stages leave behind: written whole or not at all, and known by their md5 (DVC's own hash)."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)  # mkstemp's 0600 would hide the file from DVC's other users
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` atomically. Raises OSError when the disk is full; `path` is then as it was."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as JSON, atomically. Raises StageError on NaN or infinity, which JSON cannot say."""
    try:
        text = json.dumps(record, indent=1, allow_nan=False)
    except ValueError as error:
        message = f"{path}: a number in it is NaN or infinite; find the stage's input that makes it so"
        raise StageError(message, file=path) from error
    write_bytes(path, f"{text}\n".encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a record. Raises StageError when it is missing or not a JSON object."""
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StageError(f"{path} is missing; run the stage that writes it: dvc repro", file=path) from error
    except ValueError as error:
        raise StageError(f"{path} is not JSON ({error}); delete it and run: dvc repro", file=path) from error
    if not isinstance(record, dict):
        raise StageError(f"{path} holds a {type(record).__name__}, not a JSON object; delete it and run: dvc repro")
    return record


def md5(path: Path) -> str:
    """Hex md5 of a file's bytes, as DVC computes it."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
