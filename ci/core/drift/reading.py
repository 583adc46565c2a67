"""window.json as `ml` writes it: what was read of a window, and what is odd about that, in words."""

from __future__ import annotations

from typing import Literal

from ci.core.records import Part
from ci.core.reporting.markdown import clip
from ci.core.reporting.show import count, plural

MOST = 5  # damaged files that are named


class Damaged(Part):
    """A file that cannot be read to its end."""

    file: str
    reason: str


class Labels(Part):
    """How many labels there are, and how many of them are of ids that no row has, of this window or around it."""

    read: int
    unknown: int


class Reading(Part):
    """window.json. Rows are `scored` where the reference's model answered them; `other_models` counts the rest."""

    schema_version: Literal[1]
    model: str
    start: str
    end: str
    source: str
    rows: int
    scored: int
    labelled: int
    predictions: int
    labels: Labels | None
    duplicated_ids: int
    overlapping_ids: int
    other_models: dict[str, int]
    files: int
    damaged: tuple[Damaged, ...]


def notes(read: Reading) -> tuple[str, ...]:
    """A sentence for each thing that is odd about a window's files."""
    told = []
    if read.damaged:
        named = "; ".join(f"{clip(one.file, 120)} ({clip(one.reason, 160)})" for one in read.damaged[:MOST])
        more = f"; and {len(read.damaged) - MOST} more" if len(read.damaged) > MOST else ""
        lost = plural(len(read.damaged), "file")
        told.append(f"{lost} cannot be read to the end, and nothing of them was counted: {named}{more}.")
    if read.other_models:
        others = sum(read.other_models.values())
        told.append(
            f"{plural(others, 'row')} were answered by {plural(len(read.other_models), 'other version')}: their "
            "features are counted, their scores are not."
        )
    if read.labels is not None and read.labels.unknown:
        told.append(
            f"{count(read.labels.unknown)} of {plural(read.labels.read, 'label')} are of ids that no row has, of this "
            "window or around it."
        )
    if read.duplicated_ids:
        told.append(f"{plural(read.duplicated_ids, 'row')} have an id that another row of the same file has.")
    if read.overlapping_ids:
        told.append(
            f"{plural(read.overlapping_ids, 'row')} have an id that a row of another file has: the log was written "
            "twice, or ids were used again."
        )
    return tuple(told)
