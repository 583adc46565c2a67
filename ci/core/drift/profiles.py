"""profile.json as `ml` writes it: strictly read, its counts held to each other."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ci.core.errors import ConfigurationError
from ci.core.records import Part, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_VERSION = 1
HALF = 2**63

Count = Annotated[int, Field(ge=0)]
ColumnKind = Literal["number", "category", "boolean"]


class Cells(Part):
    """A mergeable histogram: ascending keys, as the first and then differences, and how many values each cell has.

    A number's key is its bits in an order that is the numbers' own, a category's the first 8 bytes of its hash, both
    without their last `shift` bits. `names` are the categories where each cell is one; there are no keys then.
    """

    shift: Annotated[int, Field(ge=0, le=63)]
    keys: tuple[int, ...]
    counts: tuple[Annotated[int, Field(ge=1)], ...]
    names: tuple[str, ...] | None = None

    @property
    def total(self) -> int:
        """How many values were counted."""
        return sum(self.counts)

    @property
    def ascending(self) -> tuple[int, ...]:
        """The keys themselves; a difference that 64 bits cannot hold was written as what is left of it in them."""
        keys = tuple(accumulate(self.keys))
        if all(step > 0 for step in self.keys[1:]):
            return keys
        return tuple((key + HALF) % (2 * HALF) - HALF for key in keys)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        cells = len(self.keys if self.names is None else self.names)
        if cells != len(self.counts):
            raise ValueError(f"{cells} cells have {len(self.counts)} counts")
        if any(one >= two for one, two in pairwise(self.ascending)):
            raise ValueError("keys do not ascend")
        return self


class Column(Part):
    """One column: `cells` count what is neither missing nor infinite.

    `unseen` and `out_of_range` count what the reference lacks: its categories, its least and greatest number.
    """

    kind: ColumnKind
    dtype: str
    missing: Count = 0
    infinite: Count = 0
    unseen: Count = 0
    out_of_range: Count = 0
    min: float | None = None
    max: float | None = None
    cells: Cells

    @property
    def rows(self) -> int:
        """All that were looked at."""
        return self.missing + self.infinite + self.cells.total

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        beyond = self.unseen + self.out_of_range
        if beyond > self.cells.total:
            raise ValueError(f"{beyond} values are unseen or out of range, of {self.cells.total}")
        return self


class Times(Part):
    """Event times, ISO 8601 in UTC; `per_hour` counts rows by the hour, or by the day where hours are too many."""

    first: str | None
    last: str | None
    per_hour: dict[str, Count]
    future: Count = 0
    missing: Count = 0


class Sample(Part):
    """Hashes of rows below 2**(64 - shift), with how often each was there: what tells of duplicates."""

    shift: Annotated[int, Field(ge=0, le=64)]
    keys: tuple[int, ...]
    counts: tuple[Annotated[int, Field(ge=1)], ...]


class Slice(Part):
    """The rows of one value of a column: scores, and scores by label."""

    rows: Count
    score: Cells | None
    joint: tuple[Cells, Cells] | None


class Grouped(Part):
    """A distribution by stretch of time: `counts` of groups of values in each, and in `whole`, what they are held to.

    Numbers of a group lie from `lower` to `upper`, which are alike where it is one number; categories have none.
    """

    lower: tuple[float, ...] | None
    upper: tuple[float, ...] | None
    whole: tuple[Count, ...]
    counts: tuple[tuple[Count, ...], ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for one in (self.lower, self.upper, *self.counts):
            if one is not None and len(one) != len(self.whole):
                raise ValueError(f"{len(self.whole)} groups have {len(one)} counts or ends")
        if self.lower is not None and any(one >= two for one, two in pairwise(self.lower)):
            raise ValueError("groups do not ascend")
        return self


class Seasons(Part):
    """Training rows in stretches of `days`, each with its first day and its rows.

    Features are held to all training rows; scores, labels and slices to those of the test rows, as windows are. `joint`
    are the test rows' scores of label 0 and of label 1, in stretches of the test rows.
    """

    days: Annotated[int, Field(ge=1)]
    starts: tuple[str, ...]
    rows: tuple[Count, ...]
    columns: dict[str, Grouped]
    score: Grouped
    label: Grouped
    slices: dict[str, dict[str, Grouped]]
    joint: tuple[Grouped, Grouped] | None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        of_slices = [one for values in self.slices.values() for one in values.values()]
        for grouped in (*self.columns.values(), self.score, self.label, *of_slices):
            if len(grouped.counts) != len(self.rows) or len(self.starts) != len(self.rows):
                raise ValueError(f"{len(self.rows)} stretches have {len(grouped.counts)} rows of counts")
            for rows, counts in zip(self.rows, grouped.counts, strict=True):
                if sum(counts) > rows:
                    raise ValueError(f"a stretch counts {sum(counts):,} values of {rows:,} rows")
        if self.joint and (len(self.joint[0].whole), len(self.joint[0].counts)) != (
            len(self.joint[1].whole),
            len(self.joint[1].counts),
        ):
            raise ValueError("both labels are not in the same groups and stretches")
        return self


class Profile(Record):
    """profile.json: the summary of a reference or of a window.

    `joint` are the scores of the rows with label 0 and of those with label 1. `hidden` are features that the inference
    log keeps back, `extra` columns that the reference lacks. Scores, labels and slices of a reference are those of test
    rows, which `rows` does not count: what a model says of its training rows is no measure of it.
    """

    made_of: Literal["train", "window"]
    model_hash: str | None = None
    rows: Count
    time: Times | None = None
    duplicates: Sample
    columns: dict[str, Column]
    score: Column | None = None
    label: Column | None = None
    joint: tuple[Cells, Cells] | None = None
    slices: dict[str, dict[str, Slice]] = Field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    seasons: Seasons | None = None

    @property
    def labelled(self) -> int:
        """Rows whose label is known."""
        return self.label.cells.total if self.label else 0

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        counts = {f"column {name}": column.rows for name, column in self.columns.items()}
        if self.made_of == "window":
            counts |= {name: column.rows for name, column in (("score", self.score), ("label", self.label)) if column}
            for name, values in self.slices.items():
                counts[f"slices of {name}"] = sum(one.rows for one in values.values())
        if self.joint and sum(cells.total for cells in self.joint) > self.labelled:
            raise ValueError(f"joint counts more than the {self.labelled:,} rows with a label")
        for name, count in counts.items():
            if count > self.rows:
                raise ValueError(f"{name} counts {count:,} rows of {self.rows:,}")
        return self


def parse_profile(data: Mapping[str, Any], file: str) -> Profile:
    """A profile read from `file`. Raises ConfigurationError where it is of another schema version, or none."""
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ConfigurationError(
            f"{file} is a profile of schema_version {version!r}, and this code reads {SCHEMA_VERSION}; "
            "make it again with this code: dvc repro, or trunkline train.",
            file=file,
        )
    try:
        return Profile.model_validate(data)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the whole"
        words = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{file} is no profile: in {where}, {words}; make it again.", file=file) from wrong
