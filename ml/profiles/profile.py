"""The profile of a table: made of parts in any order, written to and read from profile.json."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from ml.errors import StageError
from ml.files import read_json, write_bytes
from ml.profiles import cells as celled
from ml.profiles import columns as columned
from ml.profiles import samples, slices, times
from ml.profiles.columns import Column
from ml.profiles.samples import Sample
from ml.profiles.slices import Joint, Slice, Slices
from ml.profiles.times import Times

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from ml.profiles.seasons import Seasons

SCHEMA_VERSION = 1
MadeOf = Literal["train", "window"]
AT_ONCE = 2
"""Columns looked at at a time: numpy and polars let go of Python's lock, but the data is in one memory."""


@dataclass(frozen=True)
class Profile:
    """What is known of the rows of one model; equal rows give equal bytes, whatever parts they came in.

    `hidden` are features whose values the inference log keeps back, `extra` columns that the reference has not.
    `seasons` are written alone: who judges reads them, and profiles that are read or merged have none.
    """

    model: str
    made_of: MadeOf
    model_hash: str | None = None
    rows: int = 0
    time: Times | None = None
    duplicates: Sample = field(default_factory=Sample.empty)
    columns: Mapping[str, Column] = field(default_factory=dict)
    score: Column | None = None
    label: Column | None = None
    joint: Joint | None = None
    slices: Slices = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    extra: frozenset[str] = frozenset()
    seasons: Seasons | None = None

    def with_rows(
        self,
        frame: pl.DataFrame,
        columns: Sequence[str],
        *,
        reference: Profile | None = None,
        time: pl.Series | None = None,
        now: datetime | None = None,
        apart: pl.Series | None = None,
    ) -> Profile:
        """The same with these rows too; `columns` are the features among those of `frame`.

        Counts against `reference`, where given. `time` are the rows' own, of which those after `now` are counted.
        Rows that differ in `apart` are not told as duplicates of each other.
        Raises TypeError where a column holds something that has no profile, or is of another kind than before.
        """
        known = reference.columns if reference else {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            made = pool.map(lambda name: Column.of(frame.get_column(name), known.get(name)), columns)
            duplicates = Sample.of(hashes(frame.select(columns), apart)) if columns else Sample.empty()
            profiled = dict(zip(columns, made, strict=True))
        part = Profile(
            self.model,
            self.made_of,
            rows=frame.height,
            time=Times.of(time, now) if time is not None and now is not None else None,
            duplicates=duplicates,
            columns=profiled,
        )
        return merged(self, part)

    def with_scores(
        self,
        scores: NDArray[np.float64] | None,
        labels: NDArray[np.float64] | None = None,
        *,
        binary: bool = False,
        beside: pl.DataFrame | None = None,
        values: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Profile:
        """The same with these scores [n] and labels [n], NaN where one is not known.

        `values` are the slices wanted, by column of `beside`, whose rows are those of the scores.
        """
        known = None if labels is None else labels[~np.isnan(labels)]
        joint = slices.joint_of(scores, labels) if binary and scores is not None and labels is not None else None
        part = Profile(
            self.model,
            self.made_of,
            score=None if scores is None else Column.of_numbers(scores, "number", "Float64"),
            label=None if known is None else Column.of_numbers(known, "number", "Float64"),
            joint=joint,
            slices=slices.slices_of(beside, values, scores, labels if binary else None)
            if beside is not None and values
            else {},
        )
        return merged(self, part)

    def record(self) -> dict[str, Any]:
        """As in profile.json, which has no `seasons` where they are not known."""
        found = {
            "schema_version": SCHEMA_VERSION,
            "model": self.model,
            "made_of": self.made_of,
            "model_hash": self.model_hash,
            "rows": self.rows,
            "time": None if self.time is None else self.time.record(),
            "duplicates": self.duplicates.record(),
            "columns": {name: self.columns[name].record() for name in sorted(self.columns)},
            "score": None if self.score is None else self.score.record(),
            "label": None if self.label is None else self.label.record(),
            "joint": celled.records(self.joint),
            "slices": {
                name: {value: found[value].record() for value in sorted(found)}
                for name, found in sorted(self.slices.items())
            },
            "hidden": sorted(self.hidden),
            "extra": sorted(self.extra),
        }
        return found if self.seasons is None else found | {"seasons": self.seasons.record()}

    def to_json(self) -> bytes:
        """profile.json: one line, for it is read by machines and may be long."""
        return json.dumps(self.record(), separators=(",", ":"), allow_nan=False).encode() + b"\n"

    def write(self, path: Path) -> None:
        """Write profile.json atomically."""
        write_bytes(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> Profile:
        """Read profile.json. Raises StageError when it is missing, of another schema version, or no profile."""
        return parsed(read_json(path), path)


def parsed(record: Mapping[str, Any], path: Path) -> Profile:
    """The profile in a record read from `path`. Raises StageError when it is of another schema version, or none."""
    version = record.get("schema_version")
    if version != SCHEMA_VERSION:
        words = f"{path} is a profile of schema_version {version!r}; expected {SCHEMA_VERSION}"
        raise StageError(f"{words}; make it again with this code: dvc repro, or trunkline train", file=path)
    try:
        joint = celled.parsed(record["joint"])
        return Profile(
            model=str(record["model"]),
            made_of="train" if record["made_of"] == "train" else "window",
            model_hash=record["model_hash"],
            rows=int(record["rows"]),
            time=None if record["time"] is None else Times.parsed(record["time"]),
            duplicates=Sample.parsed(record["duplicates"]),
            columns={name: Column.parsed(column) for name, column in record["columns"].items()},
            score=None if record["score"] is None else Column.parsed(record["score"]),
            label=None if record["label"] is None else Column.parsed(record["label"]),
            joint=joint,
            slices={
                name: {value: Slice.parsed(each) for value, each in found.items()}
                for name, found in record["slices"].items()
            },
            hidden=frozenset(map(str, record.get("hidden", ()))),
            extra=frozenset(map(str, record.get("extra", ()))),
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        what = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
        raise StageError(f"{path} is no profile ({what}); make it again: dvc repro", file=path) from error


def merged(one: Profile, two: Profile) -> Profile:
    """Both together: associative and commutative, to the last byte of profile.json.

    Raises ValueError where they are of different models, or a column is of numbers in one and of texts in the other.
    """
    for name in ("model", "made_of"):
        if getattr(one, name) != getattr(two, name):
            raise ValueError(f"profiles with {name} {getattr(one, name)} and {getattr(two, name)} cannot be merged")
    hashes_known = {each.model_hash for each in (one, two)} - {None}
    if len(hashes_known) > 1:
        raise ValueError(f"profiles of the scores of {' and '.join(sorted(map(str, hashes_known)))} cannot be merged")
    return replace(
        one,
        model_hash=next(iter(hashes_known), None),
        rows=one.rows + two.rows,
        time=times.merged(one.time, two.time),
        duplicates=samples.merged(one.duplicates, two.duplicates),
        columns={
            name: _both(one.columns.get(name), two.columns.get(name)) for name in sorted({*one.columns, *two.columns})
        },
        score=_both(one.score, two.score),
        label=_both(one.label, two.label),
        joint=slices.merged_joint(one.joint, two.joint),
        slices=slices.merged(one.slices, two.slices),
        hidden=one.hidden | two.hidden,
        extra=one.extra | two.extra,
        seasons=None,
    )


def together(parts: Iterable[Profile], empty: Profile) -> Profile:
    """All parts, and `empty`, which says what they are of."""
    for part in parts:
        empty = merged(empty, part)
    return empty


def hashes(frame: pl.DataFrame, *more: pl.Series | None) -> NDArray[np.uint64]:
    """A hash of each row [n], alike for alike rows on machines with one version of polars."""
    others = [column.alias(f"\0{place}") for place, column in enumerate(more) if column is not None]
    found: NDArray[np.uint64] = frame.with_columns(others).hash_rows(seed=0).to_numpy()
    return found


def _both(one: Column | None, two: Column | None) -> Any:
    return columned.merged(one, two) if one is not None and two is not None else one or two
