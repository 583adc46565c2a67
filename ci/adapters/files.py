"""The door to files: records and YAML are read strictly and written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ci.core.errors import ConfigurationError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R", bound=BaseModel)
Where = tuple[str | int, ...]


def write_bytes(path: Path, content: bytes) -> None:
    """Write `path` so that a reader sees the old file or the new one, never a part.

    Raises EnvironmentFault when the disk refuses.
    """
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        part = Path(name)
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        part.chmod(0o644)
        part.replace(path)
    except OSError as fault:
        if part is not None:
            part.unlink(missing_ok=True)
        raise EnvironmentFault(
            f"{path} could not be written: {fault.strerror}; free some space or mend its permissions and run again.",
            file=path,
        ) from fault


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    write_bytes(path, text.encode())


def write_record(path: Path, record: BaseModel) -> None:
    """Write a record as indented JSON, whole or not at all."""
    write_text(path, record.model_dump_json(indent=2) + "\n")


def read_record(path: Path, kind: type[R]) -> R:
    """Read a record strictly. Raises ConfigurationError when it is missing, cut off or of another shape."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError as missing:
        raise ConfigurationError(f"{path} is missing; run `trunkline check` to make it.", file=path) from missing
    except ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise ConfigurationError(
            f"{path} is not a whole {kind.__name__} record: {where}: {first['msg']}; delete it and run again.",
            file=path,
        ) from wrong


def md5(path: Path) -> str:
    """The hash DVC knows a file by."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def read_yaml(path: Path) -> tuple[Any, Callable[[Where], int | None]]:
    """Read YAML; with it comes a function from a key's path to its line, counted from 1.

    Raises ConfigurationError for a missing or unreadable file, a syntax error or a key given twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as missing:
        raise ConfigurationError(f"{path} is missing.", file=path) from missing
    except UnicodeDecodeError as wrong:
        raise ConfigurationError(f"{path} is not UTF-8 text.", file=path) from wrong
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path | str) -> tuple[Any, Callable[[Where], int | None]]:
    """As `read_yaml`, for text that came from elsewhere (an older commit); `path` is named in errors."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = _lines(node, path)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as wrong:
        line = wrong.problem_mark.line + 1 if wrong.problem_mark else None
        raise ConfigurationError(f"{path}:{line}: not YAML: {wrong.problem}.", file=path, line=line) from wrong
    except (yaml.YAMLError, ValueError, RecursionError) as wrong:  # a control character, 30 February, a loop
        words = " ".join(str(wrong).split()) or type(wrong).__name__
        raise ConfigurationError(f"{path} cannot be read as YAML: {words}.", file=path) from wrong
    return data, lines.get


def _lines(root: yaml.Node | None, path: Path | str) -> dict[Where, int]:
    lines: dict[Where, int] = {}

    def walk(node: yaml.Node, where: Where) -> None:
        lines.setdefault(where, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*where, str(key.value))
                line = key.start_mark.line + 1
                if inner in lines:
                    raise ConfigurationError(
                        f"{path}:{line}: '{key.value}' is given twice, first in line {lines[inner]}; keep one.",
                        file=path,
                        line=line,
                    )
                lines[inner] = line
                walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                walk(item, (*where, index))

    if root is not None:
        walk(root, ())
    return lines
