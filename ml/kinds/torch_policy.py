"""How a network is computed: on which device, in which precision, compiled or as it is written."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch

from ml.errors import ENVIRONMENT, StageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


@dataclass(frozen=True)
class Policy:
    """Weights stay float32 under every policy; only the steps of training are computed in bfloat16."""

    device: str = "cpu"
    bfloat16: bool = False
    compiled: bool = False

    @property
    def words(self) -> str:
        """The policy for a person, without the number of a GPU."""
        parts = (self.device.partition(":")[0], "bfloat16" * self.bfloat16, "compiled" * self.compiled)
        return " ".join(filter(None, parts))

    def autocast(self) -> torch.autocast:
        """The precision of a training step; bfloat16 has float32's range, so that no loss needs scaling."""
        return torch.autocast(self.device.partition(":")[0], dtype=torch.bfloat16, enabled=self.bfloat16)

    def ready(self, network: nn.Module, example: torch.Tensor, tell: Callable[[str], None]) -> nn.Module:
        """`network`, or what computes the same faster, tried on an `example` of its inputs; told where it cannot be."""
        if not self.compiled:
            return network
        before = copy.deepcopy(network.state_dict())
        compiled = cast("nn.Module", torch.compile(network.train()))
        try:
            with self.autocast():
                compiled(example).sum().backward()
        except Exception as error:  # noqa: BLE001 - what the network itself raises it will raise again
            reason = str(getattr(error, "inner_exception", error)).strip().partition("\n")[0]
            tell(f"torch.compile cannot be used ({reason}): going on without it")
            return network
        finally:
            network.zero_grad()
            network.load_state_dict(before)
        return compiled


def of_machine(*, accelerate: bool) -> Policy:
    """What this process computes with: a GPU of its own, or the CPU. Raises StageError where GPUs are too few."""
    if not (accelerate and torch.cuda.is_available()):
        return Policy()
    index, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if index >= there:
        words = f"process {index + 1} of this machine finds {there} GPUs; start one process for each GPU"
        raise StageError(words, exit_code=ENVIRONMENT)
    return Policy(f"cuda:{index}", torch.cuda.is_bf16_supported(including_emulation=False), compiled=True)
