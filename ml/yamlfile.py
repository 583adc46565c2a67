"""YAML read with the line of every key, so that an error can point at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from ml.errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

Where = tuple[str | int, ...]


def read(path: Path) -> tuple[dict[str, Any], dict[Where, int]]:
    """A YAML mapping and the line (from 1) of each key by its path.

    Raises StageError for a missing file, a syntax error, a value that cannot be, a key given twice, or anything but a
    mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StageError(f"{path} is missing; write it, as docs/gates.md shows", file=path) from error
    except UnicodeDecodeError as error:
        raise StageError(f"{path} is not UTF-8 text; save it as UTF-8", file=path) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Where, int] = {}
        _walk(node, (), lines, path)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _no_yaml(path, text, error) from error
    except RecursionError as error:
        message = f"{path} is nested too deeply, or a part of it holds itself; write it flat, without such an alias"
        raise StageError(message, file=path) from error
    if not isinstance(data, dict):
        raise StageError(f"{path} holds no keys; expected a mapping such as 'kind: tabular'", file=path, line=1)
    return data, lines


def _no_yaml(path: Path, text: str, error: yaml.YAMLError) -> StageError:
    line, problem = None, str(error).splitlines()[0]
    if isinstance(error, yaml.MarkedYAMLError):
        line = error.problem_mark.line + 1 if error.problem_mark else None
        problem = error.problem or problem
    elif isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        problem = f"the character {text[error.position]!a} is not allowed in it"
    place = f"{path}:{line}" if line else str(path)
    return StageError(f"{place}: not YAML ({problem}); mend the syntax", file=path, line=line)


def _walk(node: yaml.Node | None, where: Where, lines: dict[Where, int], path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                _require_value(key, path)
            inner = (*where, str(key.value))
            line = key.start_mark.line + 1
            if inner in lines:
                message = f"{path}:{line}: '{key.value}' is given twice, first in line {lines[inner]}; keep one"
                raise StageError(message, file=path, line=line)
            lines[inner] = line
            _walk(value, inner, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[*where, index] = item.start_mark.line + 1
            _walk(item, (*where, index), lines, path)
    elif isinstance(node, yaml.ScalarNode):
        _require_value(node, path)


def _require_value(node: yaml.ScalarNode, path: Path) -> None:
    """Raise StageError for a scalar that looks like a date or number and is none, such as 2026-02-30."""
    try:
        yaml.SafeLoader("").construct_object(node)
    except (ValueError, LookupError, AttributeError) as error:
        line = node.start_mark.line + 1
        what = node.tag.rpartition(":")[2]
        message = f"{path}:{line}: {node.value[:40]!r} is no {what} that exists; correct it, or put it in quotes"
        raise StageError(message, file=path, line=line) from error
