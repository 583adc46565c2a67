"""Checkpoints: a training killed after any epoch goes on to the very weights of one that was never killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from ml.errors import StageError
from ml.kinds import Session, torch_mlp
from ml.kinds.torch_checkpoint import NAME, Checkpoint
from ml.kinds.torch_policy import Policy
from ml.kinds.torch_run import Settings
from ml.kinds.torch_world import World
from tests.unit.ml.kinds.tables import numeric, signal

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = Settings(epochs=9, batch_rows=50, learning_rate=0.3, patience=3, members=2, folds=4)


class Killed(BaseException):
    """As a kill is: nothing is tidied up after it."""


def network(columns: int) -> nn.Module:
    return nn.Sequential(nn.Linear(columns, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))


def fit(folder: Path | None, settings: Settings = SETTINGS, *, last: int = 0) -> tuple[torch_mlp.FittedNetwork, str]:
    """A training killed at its epoch number `last`, before that was saved; and what it told."""
    told, left = [""], [last]

    def tick(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    found = torch_mlp.fit(numeric(signal()), settings, network, 1, Session(tick, told.append, folder))
    return found, told[-1]


def weights(found: torch_mlp.FittedNetwork) -> dict[str, bytes]:
    return {name: each.numpy().tobytes() for name, each in found.module.state_dict().items()}


def test_killed_after_any_epoch_the_weights_are_the_same(tmp_path: Path) -> None:
    whole = fit(None)[0]
    epochs = 0
    for last in range(1, 100):
        folder = tmp_path / str(last)
        try:
            fit(folder, last=last)
            break
        except Killed:
            epochs = last
        found, told = fit(folder)
        assert ("going on from its checkpoint" in told) == (last > 1)
        assert weights(found) == weights(whole), last
        assert (found.loss, found.checks) == (whole.loss, whole.checks), last
    assert 6 <= epochs < 18  # of both members, one of them out of patience


def test_killed_again_and_again_it_ends(tmp_path: Path) -> None:
    kills = 0
    while True:
        try:
            found, told = fit(tmp_path, last=2)  # one epoch more each time
            break
        except Killed:
            kills += 1
    assert kills >= 5
    assert "network 2, epoch" in told
    assert weights(found) == weights(fit(None)[0])


def test_a_training_that_had_ended_is_not_trained_again(tmp_path: Path) -> None:
    whole, _ = fit(tmp_path)
    assert weights(fit(tmp_path, last=1)[0]) == weights(whole)


def test_a_fault_is_remembered(tmp_path: Path) -> None:
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30})
    first, again = fit(tmp_path, wild)[0], fit(tmp_path, wild)[0]
    assert not first.checks[0].passed
    assert first.checks == again.checks
    assert weights(first) == weights(again)


def test_what_is_kept_can_be_read_without_running_code(tmp_path: Path) -> None:
    fit(tmp_path)
    found = torch.load(tmp_path / NAME, weights_only=True)
    assert set(found) == {"made_by", "states"}
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("damage", [b"", b"PK no archive", None])
def test_a_damaged_checkpoint_is_told_and_not_used(tmp_path: Path, damage: bytes | None) -> None:
    whole, _ = fit(tmp_path)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    found, told = fit(tmp_path)
    assert told == ("its checkpoint is damaged: starting anew" if damage != b"" else "")
    assert weights(found) == weights(whole)


def test_a_checkpoint_of_another_torch_or_device_is_told_and_not_used(tmp_path: Path) -> None:
    fit(tmp_path)
    content = torch.load(tmp_path / NAME, weights_only=True)
    torch.save(content | {"made_by": "torch 1.0, cuda bfloat16 compiled"}, tmp_path / NAME)
    told = fit(tmp_path)[1]
    assert told.startswith("its checkpoint was made by torch 1.0, cuda bfloat16 compiled, this is torch ")


def test_only_the_first_process_reads_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Checkpoint(Session(checkpoints=tmp_path), Policy(), World(1, 2))
    other.save([{"epoch": 1}])
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(World, "from_first", lambda *_: b"the folder of other inputs")
    with pytest.raises(StageError, match="process 1 has other rows, parameters or code than process 0; give every"):
        other.load()
