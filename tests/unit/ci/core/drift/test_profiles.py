"""profile.json, read: what does not add up is no profile."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ci.core.drift.profiles import parse_profile
from ci.core.errors import ConfigurationError
from tests.unit.ci.core.drift.samples import profile

SCORE = np.linspace(0, 1, 50)
WHOLE = profile({"x": [1.0, 2.0, None] * 20, "k": ["a", "b", "a"] * 20})
REFERENCE = profile({"x": SCORE}, score=SCORE, label=SCORE > 0.5)
WINDOW = profile({"x": SCORE[:20]}, score=SCORE[:20], label=SCORE[:20] > 0.2, reference=REFERENCE)


def broken(*path: Any, value: Any, of: Any = WHOLE) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(of.model_dump_json())
    at: Any = data
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return data


def test_what_ml_writes_is_read() -> None:
    assert parse_profile(json.loads(WHOLE.model_dump_json()), "p") == WHOLE
    column = WHOLE.columns["x"]
    assert (column.missing, column.cells.total, column.rows, column.min, column.max) == (20, 40, 60, 1.0, 2.0)
    assert WHOLE.columns["k"].cells.names == ("a", "b") or WHOLE.columns["k"].cells.names == ("b", "a")
    assert (REFERENCE.labelled, WINDOW.labelled) == (50, 20)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (broken("schema_version", value=2), "profile.json is a profile of schema_version 2, and this code reads 1"),
        (broken("rows", value=59), "in the whole, column k counts 60 rows of 59"),
        (broken("columns", "x", "missing", value=-1), "in columns.x.missing"),
        (broken("columns", "x", "missing", value=21), "column x counts 61 rows of 60"),
        (broken("columns", "x", "cells", "counts", value=[3]), "in columns.x.cells, 2 cells have 1 counts"),
        (broken("columns", "x", "cells", "counts", value=[0, 3]), "in columns.x.cells.counts.0"),
        (broken("columns", "x", "cells", "keys", value=[5, 0]), "keys do not ascend"),
        (broken("columns", "x", "out_of_range", value=41), "41 values are unseen or out of range, of 40"),
        (broken("columns", "x", "kind", value="text"), "in columns.x.kind"),
        (broken("label", value=None, of=WINDOW), "joint counts more than the 0 rows with a label"),
        (broken("score", "missing", value=1, of=WINDOW), "score counts 21 rows of 20"),
        (broken("surprise", value=1), "in surprise"),
        ({}, "schema_version None"),
    ],
)
def test_what_is_no_profile_is_told(data: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_profile(data, "profile.json")
    assert words in caught.value.message
    assert caught.value.file == "profile.json"


def test_a_reference_may_have_more_test_rows_than_training_rows() -> None:
    assert parse_profile(broken("score", "missing", value=30, of=REFERENCE), "p").score is not None
