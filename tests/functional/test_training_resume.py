"""Full training, killed by kill -9 and started again: it goes on, and ends with the bytes of one left alone."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.functional.training import toy

if TYPE_CHECKING:
    from pathlib import Path


def test_killed_twice_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole, killed = toy(tmp_path / "whole"), toy(tmp_path / "killed")
    whole.train()
    killed.train({"DIES": "0:4"}, code=-signal.SIGKILL)
    assert killed.checkpoints == ["checkpoint.pt"]
    assert "going on from its checkpoint: network 1, epoch 3" in killed.train({"DIES": "0:3"}, code=-signal.SIGKILL)
    assert not (killed.root / "artifacts/toy/full/model.onnx").exists()
    assert "going on from its checkpoint: network 2, epoch 1" in killed.train()
    assert killed.made == whole.made
    assert killed.checkpoints == []


def test_other_rows_start_anew_and_what_is_stale_goes(tmp_path: Path) -> None:
    mine = toy(tmp_path / "mine")
    mine.train({"DIES": "0:3"}, code=-signal.SIGKILL)
    rows = mine.root / "artifacts/toy/full/train.parquet"
    rows.write_bytes((mine.root / "artifacts/toy/full/test.parquet").read_bytes())
    assert "going on" not in mine.train()
    assert mine.checkpoints == []
