"""A table that cannot be used is refused in one sentence with its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from ml.errors import StageError
from ml.kinds import table

if TYPE_CHECKING:
    from pathlib import Path


def parquet(path: Path, **columns: list[object]) -> Path:
    pl.DataFrame(columns).write_parquet(path)
    return path


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"t\.parquet is missing; get it with: dvc pull"):
        table.scan(tmp_path / "t.parquet", [])


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_a_truncated_file(tmp_path: Path, keep: int) -> None:
    path = parquet(tmp_path / "t.parquet", id=[1, 2, 3])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StageError, match=r"t\.parquet is not a whole Parquet file .*make or pull") as caught:
        table.scan(path, [])
    assert "\n" not in caught.value.message


def test_damage_in_the_middle_of_a_file(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", id=list(range(10_000)))
    content = bytearray(path.read_bytes())
    content[4:64] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"t\.parquet is not a whole Parquet file"):
        table.collect(table.scan(path, []), path)


def test_an_empty_table(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"t\.parquet has 0 rows; expected at least one"):
        table.scan(parquet(tmp_path / "t.parquet", id=[]), ["id"])


def test_a_missing_column(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"t\.parquet has no column 'TX_FRAUD'; did you mean 'TX_FRUAD'\?"):
        table.scan(parquet(tmp_path / "t.parquet", TX_FRUAD=[1]), ["TX_FRAUD"])


@pytest.mark.parametrize("only", [0, 1])
def test_all_labels_one_class(tmp_path: Path, only: int) -> None:
    frame = pl.DataFrame({"label": [only] * 3})
    with pytest.raises(StageError, match=f"'label' of all 3 training rows is {only}; expected both 0 and 1"):
        table.require_both_classes(frame, "label", "training", tmp_path)


@pytest.mark.parametrize("strange", [2, None])
def test_a_label_of_another_kind(tmp_path: Path, strange: int | None) -> None:
    frame = pl.DataFrame({"label": [0, 1, strange]})
    with pytest.raises(StageError, match=f"holds {strange}; expected 0 or 1"):
        table.require_both_classes(frame, "label", "training", tmp_path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_a_feature_that_is_not_finite(tmp_path: Path, bad: float | None) -> None:
    frame = pl.DataFrame({"id": [7, 8], "fine": [1, 2], "risk": [0.5, bad]})
    with pytest.raises(
        StageError, match=r"column 'risk' is null, NaN or infinite .* in 1 of 2 rows, first where id is 8"
    ):
        table.require_finite(frame, ["fine", "risk"], "id", tmp_path)
