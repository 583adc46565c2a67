"""The files a window leaves behind: profile.json, window.json and, where labels are known, predictions.parquet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.files import replacing, write_json
from ml.profiles.cells import Cells
from ml.profiles.columns import Column
from ml.windows import part as parts
from ml.windows.labels import unknown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from ml.profiles.profile import Profile
    from ml.windows.labels import Labels
    from ml.windows.part import Part
    from ml.windows.task import Task


def write(
    out: Path, task: Task, part: Part, source: str, labels: Labels | None, elsewhere: Iterable[NDArray[np.uint64]]
) -> None:
    """Write them all; a predictions.parquet of an earlier window does not stay. `elsewhere`: as `labels.unknown`."""
    profile = part.profile if part.profile.rows else without_rows(part.profile, task.reference)
    profile.write(out / "profile.json")
    table = parts.table(part)
    path = out / "predictions.parquet"
    if table is None:
        path.unlink(missing_ok=True)
    else:
        with replacing(path) as temporary:
            table.write_parquet(temporary)
    strange = 0 if labels is None else unknown(labels, used(part, labels), task.start, elsewhere)
    write_json(out / "window.json", told(task, part, source, labels, strange, 0 if table is None else table.height))


def told(task: Task, part: Part, source: str, labels: Labels | None, strange: int, predictions: int) -> dict[str, Any]:
    """window.json: what was read, and what is odd about it."""
    overlapping = part.files.repeats
    damaged = {**part.damaged, **(labels.damaged if labels else {})}
    return {
        "schema_version": 1,
        "model": task.model,
        "start": task.start.isoformat(),
        "end": task.end.isoformat(),
        "source": source,
        "rows": part.profile.rows,
        "scored": part.scored,
        "labelled": part.labelled,
        "predictions": predictions,
        "labels": None if labels is None else {"read": labels.read, "unknown": strange},
        "duplicated_ids": part.ids.repeats - overlapping,
        "overlapping_ids": overlapping,
        "other_models": part.others,
        "files": part.files_read,
        "damaged": [{"file": name, "reason": reason} for name, reason in sorted(damaged.items())],
    }


def used(part: Part, labels: Labels) -> NDArray[np.bool_]:
    """Which of the labels [labels] are of rows of the window."""
    if part.used is None:
        return np.zeros(labels.keys.size, bool)
    return np.unpackbits(part.used, count=labels.keys.size).astype(bool)


def without_rows(profile: Profile, reference: Profile) -> Profile:
    """A profile of no rows, with the columns it would have had: that they are lacking is no finding."""
    columns = {
        name: Column(known.kind, known.dtype, 0, 0, 0, 0, None, None, Cells.empty(categories=known.kind == "category"))
        for name, known in reference.columns.items()
    }
    return replace(profile, columns=columns)
