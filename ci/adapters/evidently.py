"""The door to Evidently: its page of a window beside the reference, for people to look at.

Nothing is decided by it. Its tables are drawn from the two profiles, column by column, so no row of anyone's is read
again or lies in the page, and it takes as long for ten million rows as for a thousand.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ci.adapters import files
from ci.core.drift import cells
from ci.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ci.core.drift.cells import Common, Floats
    from ci.core.drift.profiles import Column, Profile

ROWS = 2_000  # that are drawn of either side
CATEGORIES = 30  # that keep their names
SCORE = "score"
OTHERS = "(other)"


def write_page(path: Path, reference: Profile, window: Profile) -> None:
    """Write Evidently's report of data drift as HTML. Raises EnvironmentFault where it cannot be made."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    pairs = _pairs(reference, window)
    if not pairs:
        raise EnvironmentFault("Evidently's page was not made: no column has values in reference and window.")
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), _silence():
            warnings.simplefilter("ignore")
            page = _page(pairs)
    except ImportError as error:
        raise EnvironmentFault(f"Evidently's page was not made: {error}; `make setup` brings it.") from error
    except Exception as error:  # what a library for people's eyes stumbles on is no reason to stop
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise EnvironmentFault(f"Evidently's page was not made: {said}.") from error
    files.write_text(path, page)


def _page(pairs: Mapping[str, tuple[Column, Column]]) -> str:
    import pandas as pd  # noqa: PLC0415 - what Evidently takes
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - several seconds, for a page alone
    from evidently.presets import DataDriftPreset  # noqa: PLC0415 - as above

    numbers: list[str] = []
    texts: list[str] = []
    tables: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for name, (one, other) in pairs.items():
        common = cells.of_columns(one, other)
        (texts if one.kind == "category" else numbers).append(name)
        for table, counts, column in zip(tables, (common.reference, common.window), (one, other), strict=True):
            table[name] = _drawn(common, counts, column)
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    before, after = (Dataset.from_pandas(pd.DataFrame(table), data_definition=definition) for table in tables)
    return str(Report([DataDriftPreset()]).run(after, before).get_html_str(as_iframe=False))


def _pairs(reference: Profile, window: Profile) -> dict[str, tuple[Column, Column]]:
    """The columns that both have, of one kind and with values on both sides; the score is one of them."""
    before, after = ({**one.columns, **({SCORE: one.score} if one.score else {})} for one in (reference, window))
    return {
        name: (before[name], after[name])
        for name in before
        if name in after
        and before[name].kind == after[name].kind
        and before[name].cells.total
        and after[name].cells.total
    }


def _drawn(common: Common, counts: Floats, column: Column) -> list[Any]:
    """A column of ROWS values that is distributed as the profile's: its quantiles, and missing where it is."""
    share = 1 - (column.missing + column.infinite) / max(column.rows, 1)
    present = max(round(ROWS * share), 1)
    at = (np.arange(present) + 0.5) / present * counts.sum()
    cell = np.searchsorted(np.cumsum(counts), at, side="right").clip(0, len(counts) - 1)
    if common.lower is None or common.upper is None:
        names = _names(common)
        values: list[Any] = [names[index] for index in cell]
        return values + [None] * (ROWS - present)
    inside = 1 - (np.cumsum(counts)[cell] - at) / counts[cell]
    return [*(common.lower[cell] + inside * (common.upper - common.lower)[cell]).tolist(), *[np.nan] * (ROWS - present)]


def _names(common: Common) -> list[str]:
    """What each category is called; the rarer ones, and those that a coarse profile has no name of, alike."""
    often = set(np.argsort(-(common.reference + common.window))[:CATEGORIES].tolist())
    known = common.names or [f"group {index}" for index in range(len(common.reference))]
    return [name if index in often else OTHERS for index, name in enumerate(known)]


@contextlib.contextmanager
def _silence() -> Any:
    """No log line of a library: all that went wrong is told in one sentence."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
