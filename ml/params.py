"""A model's params.yaml as the stages read it: strictly, with the nearest right name and the line of a mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from ml import mistakes, yamlfile
from ml.errors import StageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Mode = Literal["smoke", "full"]
MODES: tuple[Mode, ...] = ("smoke", "full")
LEAST_ROWS = 50  # fewer cannot be parted into rows to fit on and rows to validate on
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A mapping in params.yaml: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


S = TypeVar("S", bound=Section)


class Head(Section):
    """What a model is."""

    kind: Literal["tabular"]
    task: Literal["binary", "regression"]


class Data(Section):
    """The raw file and its columns; `keep` are carried into predictions.parquet for slices, groups and cards."""

    file: str
    id: str
    label: str
    time: str | None = None
    keep: tuple[str, ...] = ()


class TimeSplit(Section):
    """Train days, a gap in which labels are still unknown, and the last days as the test window."""

    by: Literal["time"]
    train_days: PositiveInt
    delay_days: Annotated[int, Field(ge=0)]
    test_days: PositiveInt
    history_days: PositiveInt | None = None
    """Days before the training window that features look back on; earlier rows are not read. Unset reads all."""
    exclude_known: str | None = None
    """A column whose values with a positive label known `delay_days` before a test day leave that day's test rows."""


class HashSplit(Section):
    """A stable share of the rows, by hash of the id."""

    by: Literal["hash"]
    test_fraction: Fraction


class Checks(Section):
    """The limits that smoke checks hold training to."""

    onnx_tolerance: Annotated[float, Field(gt=0)]
    base_rate_margin: Fraction
    leakage_auc: Annotated[float, Field(gt=0.5, le=1)]
    loss_fall: Fraction
    """Least share by which training must lower the loss of predicting the base rate, on train and validation rows."""
    overfit_loss: Annotated[float, Field(gt=0)] = 0.1
    """Loss that a single batch must be driven below (torch)."""


class Size(Section):
    """How much of the data one mode uses; other keys of a mode override those of `model`."""

    rows: Annotated[int, Field(ge=LEAST_ROWS)] | None = None
    test_rows: Annotated[int, Field(ge=LEAST_ROWS)] | None = None


SECTIONS = ("data", "split", "model", "modes", "checks")
OF_CI = ("gates", "card", "rollout", "drift", "serving")  # which reads them as strictly
KNOWN = (*Head.model_fields, *SECTIONS, *OF_CI)


@dataclass(frozen=True)
class Params:
    """Everything of a params.yaml but what belongs to ci, for one mode."""

    path: Path
    mode: Mode
    head: Head
    data: Data
    split: TimeSplit | HashSplit
    size: Size
    checks: Checks
    model: Mapping[str, Any]
    """Hyperparameters of every mode, still to be parsed by the model's own Section (`hyperparameters`)."""
    overrides: Mapping[Mode, Mapping[str, Any]]
    """What each mode changes of them."""
    lines: Mapping[yamlfile.Where, int]

    def hyperparameters(self, section: type[S]) -> S:
        """The `model` section as the model module understands it. Raises StageError on a mistake in any mode.

        The other mode is parsed as well: a mistake in it would else be found only when it runs, after the merge.
        """
        parsed = {
            mode: _parse({**self.model, **own}, section, self.path, self.lines, ("model",), ("modes", mode))
            for mode, own in self.overrides.items()
        }
        return parsed[self.mode]


def load(path: Path, mode: Mode) -> Params:
    """Read a model's params.yaml for one mode. Raises StageError with the line of the first mistake."""
    raw, lines = yamlfile.read(path)
    for key in raw:
        if key not in KNOWN:
            raise _error(path, lines.get((str(key),)), f"unknown key '{key}'; {did_you_mean(str(key), KNOWN)}")
    sections = {name: _mapping(raw, name, path, lines) for name in SECTIONS}
    modes = sections["modes"]
    for key in modes:
        if key not in MODES:
            raise _error(path, lines.get(("modes", str(key))), f"unknown mode '{key}'; {did_you_mean(str(key), MODES)}")
    sizes, overrides = {}, {}
    for each in MODES:  # both: a mistake in the other mode is told as well
        own = _mapping(modes, each, path, lines, ("modes",))
        size = {key: value for key, value in own.items() if key in Size.model_fields}
        sizes[each] = _parse(size, Size, path, lines, ("modes", each))
        overrides[each] = {key: value for key, value in own.items() if key not in size}
    head = {key: raw[key] for key in Head.model_fields if key in raw}
    return Params(
        path=path,
        mode=mode,
        head=_parse(head, Head, path, lines, ()),
        data=_parse(sections["data"], Data, path, lines, ("data",)),
        split=_split(sections["split"], path, lines),
        size=sizes[mode],
        checks=_parse(sections["checks"], Checks, path, lines, ("checks",)),
        model=sections["model"],
        overrides=overrides,
        lines=lines,
    )


def seed(path: Path) -> int:
    """`defaults.seed` of the root params.yaml. Raises StageError."""
    raw, lines = yamlfile.read(path)
    value = _mapping(raw, "defaults", path, lines).get("seed")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**32:
        line = lines.get(("defaults", "seed"), lines.get(("defaults",)))
        raise _error(path, line, f"'defaults.seed' is {value!r}; expected a whole number from 0 to 4294967295")
    return value


def _split(raw: Mapping[str, Any], path: Path, lines: Mapping[yamlfile.Where, int]) -> TimeSplit | HashSplit:
    by = raw.get("by")
    if by == "time":
        return _parse(raw, TimeSplit, path, lines, ("split",))
    if by == "hash":
        return _parse(raw, HashSplit, path, lines, ("split",))
    line = lines.get(("split", "by"), lines.get(("split",)))
    raise _error(path, line, f"'split.by' is {by!r}; expected 'time' or 'hash'")


def _mapping(
    raw: Mapping[str, Any], name: str, path: Path, lines: Mapping[yamlfile.Where, int], parent: yamlfile.Where = ()
) -> dict[str, Any]:
    dotted = ".".join(str(step) for step in (*parent, name))
    if name not in raw:
        raise _error(path, lines.get(parent), f"'{dotted}' is missing; add it, as the other models have it")
    value = raw[name]
    if not isinstance(value, dict):
        raise _error(path, lines.get((*parent, name)), f"'{dotted}' is {value!r}; expected keys with values under it")
    return value


def _parse(
    raw: Mapping[str, Any],
    section: type[S],
    path: Path,
    lines: Mapping[yamlfile.Where, int],
    *places: yamlfile.Where,
) -> S:
    """`raw` as `section`; `places` are where its keys may stand in the file, the last being the strongest."""
    try:
        return section.model_validate(dict(raw))
    except ValidationError as error:
        # An unknown key explains a missing one: it is told first.
        first = min(error.errors(), key=lambda wrong: wrong["type"] not in mistakes.UNKNOWN)
        inner = (*(str(key) for key in first["loc"][:1]), *first["loc"][1:])  # keys of a section are texts in `lines`
        home = next((place for place in reversed(places) if (*place, *inner[:1]) in lines), places[0])
        line = lines.get((*home, *inner), lines.get((*home, *inner[:1]), lines.get(places[0])))
        known = {*section.model_fields, *(Size.model_fields if home[:1] == ("modes",) else ())}
        raise _error(path, line, mistakes.told(first, _dotted(home, inner), known)) from error


def _dotted(place: yamlfile.Where, inner: yamlfile.Where) -> str:
    keys = ".".join(str(step) for step in (*place, *inner) if isinstance(step, str))
    return keys + "".join(f"[{step}]" for step in inner if isinstance(step, int))


def _error(path: Path, line: int | None, words: str) -> StageError:
    place = f"{path}:{line}" if line else str(path)
    return StageError(f"{place}: {words}", file=path, line=line)
