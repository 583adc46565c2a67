"""The files a window leaves behind: profile.json, window.json and, where labels are known, predictions.parquet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.files import replacing, write_json
from ml.profiles.cells import Cells
from ml.profiles.columns import Column
from ml.windows import part as parts

if TYPE_CHECKING:
    from pathlib import Path

    from ml.profiles.profile import Profile
    from ml.windows.labels import Labels
    from ml.windows.part import Part
    from ml.windows.task import Task


def write(out: Path, task: Task, part: Part, source: str, labels: Labels | None) -> None:
    """Write them all; a predictions.parquet of an earlier window does not stay."""
    profile = part.profile if part.profile.rows else without_rows(part.profile, task.reference)
    profile.write(out / "profile.json")
    table = parts.table(part)
    path = out / "predictions.parquet"
    if table is None:
        path.unlink(missing_ok=True)
    else:
        with replacing(path) as temporary:
            table.write_parquet(temporary)
    write_json(out / "window.json", told(task, part, source, labels, 0 if table is None else table.height))


def told(task: Task, part: Part, source: str, labels: Labels | None, predictions: int) -> dict[str, Any]:
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
        "labels": None if labels is None else {"read": labels.read, "unknown": labels.keys.size - used(part, labels)},
        "duplicated_ids": part.ids.repeats - overlapping,
        "overlapping_ids": overlapping,
        "other_models": part.others,
        "files": part.files_read,
        "damaged": [{"file": name, "reason": reason} for name, reason in sorted(damaged.items())],
    }


def used(part: Part, labels: Labels) -> int:
    """How many of the labels are of rows of the window."""
    return 0 if part.used is None else int(np.unpackbits(part.used, count=labels.keys.size).sum())


def without_rows(profile: Profile, reference: Profile) -> Profile:
    """A profile of no rows, with the columns it would have had: that they are lacking is no finding."""
    columns = {
        name: Column(known.kind, known.dtype, 0, 0, 0, 0, None, None, Cells.empty(categories=known.kind == "category"))
        for name, known in reference.columns.items()
    }
    return replace(profile, columns=columns)
