"""Profiles of arrays in few words, as `ml` writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ci.core.drift.cells import Common, of_columns
from ci.core.drift.profiles import Column, Profile, parse_profile
from ml.profiles import profile as made
from ml.profiles.columns import Column as Made
from ml.profiles.seasons import Scored, Seasons

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def column(values: Any, reference: Any = None) -> Column:
    """The profile of one column."""
    own = None if reference is None else Made.of(pl.Series("x", reference))
    return Column.model_validate(json.loads(json.dumps(Made.of(pl.Series("x", values), own).record())))


def common(reference: Any, window: Any) -> Common:
    """Two columns in common cells."""
    return of_columns(column(reference), column(window, reference))


def profile(
    values: Mapping[str, Any],
    *,
    score: Any = None,
    label: Any = None,
    reference: Profile | None = None,
    times: list[datetime] | None = None,
    now: datetime | None = None,
    slices: tuple[str, ...] = (),
    model_hash: str | None = None,
    days: int | None = None,
) -> Profile:
    """The profile of a table, through the bytes of profile.json; a window where there is a reference.

    Of a reference with `times`, `days` is how long the stretches of its seasons are; all of its rows are test rows too.
    """
    frame = pl.DataFrame(values)
    start = made.Profile("a", "window" if reference else "train", model_hash)
    known = made.parsed(json.loads(reference.model_dump_json()), "profile.json") if reference else None  # type: ignore[arg-type]
    found = start.with_rows(
        frame,
        frame.columns,
        reference=known,
        time=None if times is None else pl.Series("time", times),
        now=now,
    )
    values_of = {name: tuple(map(str, frame.get_column(name).unique())) for name in slices}
    if score is not None:
        found = found.with_scores(
            np.asarray(score, np.float64),
            None if label is None else np.asarray(label, np.float64),
            binary=True,
            beside=frame,
            values=values_of,
        )
    if days is not None:
        none = np.full(frame.height, np.nan)
        said, known_labels = (none if one is None else np.asarray(one, np.float64) for one in (score, label))
        scored = Scored(pl.Series("time", times), said, known_labels, frame)
        own = Seasons.of(frame, found.columns, scored, scored, days, values_of, binary=label is not None)
        found = replace(found, seasons=own)
    return parse_profile(json.loads(found.to_json()), "profile.json")
