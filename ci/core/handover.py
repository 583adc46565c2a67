"""What a training job hands over to the job that may write: a dvc.lock, of which a model's full stages are taken."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from ci.core.errors import ConfigurationError
from ci.core.lineage import all_entries_of, of_lock
from ci.core.loglines import quiet
from ci.core.records import Part
from ci.core.training import broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _inside(path: str) -> str:
    if any(step in {"", ".", ".."} for step in path.split("/")):
        raise ValueError("a path from the repository's root, without . and ..")
    return path


Word = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
Inside = Annotated[Word, AfterValidator(_inside)]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}(\.dir)?$")]
Count = Annotated[int, Field(ge=0, lt=2**63)]
LARGEST = 4 << 20  # a real lock has some 30 KiB for each model
DEEPEST = 32
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # safe both, and the one in C is quick


class File(Part):
    """A file or folder that a stage read or wrote, by its path from the root."""

    path: Inside
    hash: Annotated[str, StringConstraints(pattern=r"^md5$")]
    md5: Md5
    size: Count
    nfiles: Count | None = None
    isexec: bool | None = None


class Entry(Part):
    """What dvc.lock says of one stage."""

    cmd: Word
    deps: tuple[File, ...]
    outs: tuple[File, ...]
    params: dict[Inside, dict[Word, Any]] = Field(default_factory=dict)


def entries(text: str, model: str, file: str) -> dict[str, Any]:
    """The entries of the full stages of `model` in a dvc.lock that nobody vouches for, held to their shape.

    Raises ConfigurationError for what DVC would not have written of these stages; what else is in it is not looked at.
    """
    try:
        found = _stages(text, model, file)
        if not _plain(found):
            raise _refused(file, "it has something other in it than text, finite numbers, lists and keys")
        made = {name: Entry.model_validate(entry) for name, entry in found.items()}
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step)[:64] for step in first["loc"][:6])
        raise _refused(file, f"{where}: {first['msg'][:200]}") from None
    for name, entry in made.items():
        for out in entry.outs:
            if not out.path.startswith(f"artifacts/{model}/"):
                raise _refused(file, f"{name} writes {out.path}, which is not of {model}")
    if gap := next(broken(found), None):
        raise _refused(file, gap)
    if of_lock(found, model, "") is None:
        raise _refused(file, f"it lacks the data, the environment, the model or the predictions of {model}")
    return found


def merged(stages: Mapping[str, Any], entries: Mapping[str, Any]) -> str:
    """A dvc.lock of these stages, as DVC writes it, with `entries` in place of theirs or behind the others."""
    return yaml.safe_dump({"schema": "2.0", "stages": {**stages, **entries}}, sort_keys=False)


def _stages(text: str, model: str, file: str) -> dict[str, Any]:
    try:
        if unlike := next(_unlike(text), None):
            raise _refused(file, unlike)
        stages = yaml.load(text, Loader=Loader)["stages"]  # noqa: S506 - a safe loader
        found = all_entries_of(stages, model)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError):
        raise _refused(file, "it is not YAML with the key 'stages'") from None
    if not found:
        raise _refused(file, f"it does not hold every stage of the full training of {model}")
    return found


def _unlike(text: str) -> Iterator[str]:
    """What DVC never writes, found before anything is built of it."""
    if len(text) > LARGEST:
        yield f"it has {len(text):,} characters, and a lock at most {LARGEST:,}"
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            yield f"it is nested more than {DEEPEST} deep"
        # A reference can stand for a reference, and a few lines for more than any memory holds.
        if isinstance(event, yaml.AliasEvent):
            yield "it has references in it, which DVC never writes"
        if getattr(event, "tag", None) is not None:
            yield "it has tags in it, which DVC never writes"


def _plain(value: object) -> bool:
    """Whether JSON and UTF-8 have a way to say it, so that it can be hashed and written."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(key) and _plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) < 2**64)


def _refused(file: str, words: str) -> ConfigurationError:
    return ConfigurationError(quiet(f"{file} is not taken over: {words}; train again."), file=quiet(file))
