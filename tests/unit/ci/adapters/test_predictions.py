from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from ci.adapters.predictions import read
from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

TABLE = {
    "row_id": [3, 1, 2],
    "label": pl.Series([1, 0, 0], dtype=pl.Int8),
    "score": [0.9, 0.2, 0.4],
    "BAND": ["low", None, "high"],
    "CARD": [7, 7, 8],
    "TIME": [datetime(2026, 1, 1), datetime(2026, 1, 1, 23, 59), datetime(2026, 1, 2)],  # noqa: DTZ001 - as stored
}


def write(tmp_path: Path, **changed: Any) -> Path:
    path = tmp_path / "predictions.parquet"
    table = {name: column for name, column in (TABLE | changed).items() if column is not None}
    pl.DataFrame(table).write_parquet(path)
    return path


def test_rows_are_read_in_order_with_the_columns_asked_for(tmp_path: Path) -> None:
    rows = read(write(tmp_path), words={"BAND", "CARD"}, days={"TIME"})
    assert rows.ids.tolist() == [3, 1, 2]
    assert rows.label.tolist() == [1, 0, 0]
    assert rows.score.tolist() == [0.9, 0.2, 0.4]
    band, card = rows.columns["BAND"], rows.columns["CARD"]
    assert [band.values[code] for code in band.codes] == ["low", "null", "high"]
    assert [card.values[code] for code in card.codes] == ["7", "7", "8"]
    assert np.diff(rows.days["TIME"]).tolist() == [0, 1]


def test_ids_may_be_text_and_days_whole_numbers(tmp_path: Path) -> None:
    rows = read(write(tmp_path, row_id=["b", "c", "a"], TIME=[5, 5, 9]), days=["TIME"])
    assert rows.ids.tolist() == ["b", "c", "a"]
    assert rows.days["TIME"].tolist() == [5, 5, 9]


def test_nan_scores_are_left_to_the_gates(tmp_path: Path) -> None:
    assert np.isnan(read(write(tmp_path, score=[0.1, float("nan"), 0.2])).score[1])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"score": None}, "column score is missing; delete the file and run `trunkline check`"),
        (
            {"BAND": None},
            "column BAND, which a gate reads, is missing; add it to data.keep in params.yaml, or known are",
        ),
        ({"BAND": None, "BANDS": ["a", "b", "c"]}, "did you mean 'BANDS'?"),
        ({"score": ["0.1", "0.2", "0.3"]}, "column score is of type String; expected numbers"),
        ({"score": [0.1, None, 0.3]}, "column score has 1 empty cells"),
        ({"label": [True, None, None]}, "column label has 2 empty cells"),
        ({"row_id": [1, 2, 1]}, "column row_id repeats itself in 1 rows, first 1"),
        ({"row_id": [1.5, 2.5, 3.5]}, "column row_id is of type Float64; expected whole numbers or text"),
        ({"TIME": ["a", "b", "c"]}, "column TIME is of type String; expected dates, times or whole days"),
        ({"TIME": [1, None, 3]}, "column TIME has 1 empty cells"),
        ({name: [] for name in TABLE}, "it has no rows"),
    ],
)
def test_oddities_are_told_in_a_sentence(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    path = write(tmp_path, **changed)
    with pytest.raises(ConfigurationError) as caught:
        read(path, words=["BAND"], days=["TIME"])
    assert words in caught.value.message
    assert caught.value.message.startswith(f"{path}: ")
    assert caught.value.file == str(path)


def test_a_missing_and_a_truncated_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is missing; run `trunkline check`"):
        read(tmp_path / "none.parquet")
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigurationError, match="not a whole Parquet file"):
        read(path)
