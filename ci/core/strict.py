"""Strict parsing of what people write: a mistake is told with its place and the nearest right name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from ci.core.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pydantic_core import ErrorDetails

Where = tuple[str | int, ...]


class Declared(BaseModel):
    """A mapping that a person wrote: frozen, no unknown keys, no NaN, no text or boolean taken for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


D = TypeVar("D", bound=Declared)


class Place:
    """A node of a YAML file: knows its path and how to raise an error that points at it."""

    def __init__(self, file: str, line_of: Callable[[Where], int | None], path: Where = ()) -> None:
        self.file = file
        self.path = path
        self._line_of = line_of

    def at(self, *steps: str | int) -> Place:
        """A node below this one."""
        return Place(self.file, self._line_of, (*self.path, *steps))

    @property
    def line(self) -> int | None:
        """The line of this node, or of the nearest node around it."""
        for end in range(len(self.path), -1, -1):
            line = self._line_of(self.path[:end])
            if line is not None:
                return line
        return None

    def error(self, words: str) -> ConfigurationError:
        """A ConfigurationError that names file and line."""
        where = f"{self.file}:{self.line}" if self.line is not None else self.file
        return ConfigurationError(f"{where}: {words}", file=self.file, line=self.line)


def mapping(data: Any, place: Place, known: Collection[str]) -> dict[str, Any]:
    """`data` when it is a mapping without unknown keys. Raises ConfigurationError."""
    name = _name(place.path)
    if not isinstance(data, dict):
        raise place.error(f"{name} is {_shown(data)}; expected keys among: {', '.join(known)}.")
    for key in data:
        if key not in known:
            raise place.at(str(key)).error(f"unknown key '{key}' in {name}; {did_you_mean(str(key), known)}")
    return data


def parse(kind: type[D], data: Any, place: Place) -> D:
    """`data` as `kind`. Raises ConfigurationError that points at the first mistake."""
    mapping(data, place, kind.model_fields)
    try:
        return kind.model_validate(data)
    except ValidationError as wrong:
        # An unknown key is told first: it is often why another is missing.
        first = min(wrong.errors(), key=lambda error: error["type"] != "extra_forbidden")
        raise place.at(*first["loc"]).error(_words(kind, first, place.path)) from wrong


def over(below: D, above: D) -> D:
    """`below` with all that `above` says itself, and so on in each mapping of known keys that both have."""
    said = {}
    for name in above.model_fields_set:
        value = getattr(above, name)
        said[name] = over(getattr(below, name), value) if isinstance(value, Declared) else value
    return below.model_copy(update=said)


def _words(kind: type[BaseModel], error: ErrorDetails, at: Where) -> str:
    """What is wrong, what was found and what was expected; `at` is where `kind` itself stands."""
    name, found = _name((*at, *error["loc"])), _shown(error["input"])
    words = f"{name} is {found}; {error['msg'].replace('Input should', 'it should')}."
    match error["type"]:
        case "extra_forbidden":
            *parents, last = error["loc"]
            known = _model_at(kind, tuple(parents)).model_fields
            words = f"unknown key '{last}' in {_name((*at, *parents))}; {did_you_mean(str(last), known)}"
        case "missing":
            words = f"{name} is missing; add it."
        case "literal_error":
            expected = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            words = f"{name} is {found}; {did_you_mean(str(error['input']), expected)}"
        case "float_type" if isinstance(error["input"], str):
            words = f"{name} is the text {found}; expected a number (YAML takes 1.0e-4 for one, but not 1e-4)."
    return words


def _model_at(kind: type[BaseModel], steps: Where) -> type[BaseModel]:
    """The model that stands at `steps` below `kind`."""
    for step in steps:
        if isinstance(step, str) and step in kind.model_fields:
            kind = _model_in(kind.model_fields[step].annotation) or kind
    return kind


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)


def _name(path: Where) -> str:
    """`gates[0].no_worse_than` of a path."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"'{text.lstrip('.')}'" if text else "the file"


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
