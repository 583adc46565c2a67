"""Where a training of networks stands after each epoch, kept so that it can go on from there after a kill."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ml.errors import StageError
from ml.files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ml.kinds import Session
    from ml.kinds.torch_policy import Policy
    from ml.kinds.torch_world import World

NAME = "checkpoint.pt"
State = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """The file, which process 0 alone reads and writes; without a folder in the session there is none."""

    session: Session
    policy: Policy
    world: World

    def load(self) -> list[State]:
        """The members' states, the last one perhaps half-way; empty where there is nothing to go on from.

        Raises StageError when the processes are not about to do the same work.
        """
        folder = self.session.checkpoints
        if folder is None:
            return []
        if self.world.from_first(folder.name.encode(), self.policy) != folder.name.encode():
            raise StageError(
                f"process {self.world.rank} has other rows, parameters or code than process 0; give every node the "
                "same commit and the same prepared rows"
            )
        return self._read(self.world.from_first(self._content(folder), self.policy))

    def save(self, states: Sequence[State]) -> None:
        """Replace the file, whole. Raises OSError when the disk is full."""
        if self.session.checkpoints is not None and self.world.rank == 0:
            with replacing(self.session.checkpoints / NAME) as path:
                torch.save({"made_by": self._maker, "states": list(states)}, path)

    @property
    def _maker(self) -> str:
        return f"torch {torch.__version__}, {self.policy.words}"

    def _content(self, folder: Path) -> bytes:
        path = folder / NAME
        return path.read_bytes() if self.world.rank == 0 and path.is_file() else b""

    def _read(self, content: bytes) -> list[State]:
        if not content:
            return []
        if not zipfile.is_zipfile(io.BytesIO(content)):
            self.session.tell("its checkpoint is damaged: starting anew")
            return []
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if found["made_by"] != self._maker:
            self.session.tell(f"its checkpoint was made by {found['made_by']}, this is {self._maker}: starting anew")
            return []
        states: list[State] = found["states"]
        self.session.tell(f"going on from its checkpoint: network {len(states)}, epoch {states[-1]['epoch']}")
        return states
