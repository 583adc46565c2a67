"""Whether a version was trained again: the same bytes, or else the same metrics within a tolerance."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Literal

from ci.core.records import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.core.lineage import Lineage

How = Literal["bytes", "metrics", "not"]
TOLERANCE = 1e-3


class Compared(Part):
    """One metric of the version and of what was trained again."""

    metric: str
    before: float
    after: float | None
    within: bool


class Reproduction(Part):
    """What came of training a version again; `metrics` is empty where there was nothing to compare them with."""

    how: How
    words: str
    metrics: tuple[Compared, ...] = ()


def compare(
    lineage: Lineage,
    model_hash: str,
    before: Mapping[str, float],
    after: Mapping[str, float],
    *,
    tolerance: float = TOLERANCE,
) -> Reproduction:
    """Hold what was trained again to a version. A metric may differ by `tolerance`, times its size above 1.

    The same bytes need no metrics.
    """
    who = f"{lineage.model} of commit {lineage.commit[:12]}"
    if model_hash == lineage.model_hash:
        return Reproduction(how="bytes", words=f"{who} is reproduced byte for byte: model {model_hash}.")
    other = f"model {model_hash} instead of {lineage.model_hash}"
    if not before:
        words = f"{who} is not reproduced: {other}, and its metrics are kept nowhere that could be reached."
        return Reproduction(how="not", words=words)
    rows = tuple(_compared(name, value, after.get(name), tolerance) for name, value in sorted(before.items()))
    beyond = [row.metric for row in rows if not row.within]
    if beyond:
        words = f"{who} is not reproduced: {other}, and beyond {tolerance:g}: {', '.join(beyond)}."
        return Reproduction(how="not", words=words, metrics=rows)
    words = f"{who} is reproduced in its metrics, each within {tolerance:g}, but not in its bytes: {other}."
    return Reproduction(how="metrics", words=words, metrics=rows)


def _compared(name: str, before: float, after: float | None, tolerance: float) -> Compared:
    known = after if after is not None and isfinite(after) else None
    within = known is not None and abs(known - before) <= tolerance * max(1.0, abs(before))
    return Compared(metric=name, before=before, after=known, within=within)
