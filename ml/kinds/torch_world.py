"""The processes that fit one network together: who they are, which rows are whose, and what they add up."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import distributed, nn

from ml.kinds import torch_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ml.kinds.torch_policy import Policy


@dataclass(frozen=True)
class World:
    """Process `rank` of `size`; one alone needs nobody and sends nothing."""

    rank: int = 0
    size: int = 1

    def share(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's rows of a batch, and their weights: 1, or 0 for a row that only fills up.

        All processes get as many rows, so that they step together; each row has weight 1 in exactly one of them.
        """
        own = chosen[self.rank :: self.size]
        missing = -(-len(chosen) // self.size) - len(own)
        weights = torch.ones(len(own) + missing, device=chosen.device)
        weights[len(own) :] = 0.0
        return torch.cat([own, chosen[:missing]]), weights

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of `values` over all processes, the same in each."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def together(self, network: nn.Module) -> nn.Module:
        """`network`, starting from process 0's weights and with gradients averaged over all processes."""
        return nn.parallel.DistributedDataParallel(network) if self.size > 1 else network

    def from_first(self, content: bytes, policy: Policy) -> bytes:
        """What process 0 has for `content`."""
        if self.size == 1:
            return content
        length = torch.tensor([len(content)], device=policy.device)
        distributed.broadcast(length, 0)
        if not int(length):
            return b""
        sent = bytearray(content) if self.rank == 0 else bytearray(int(length))
        carried = torch.frombuffer(sent, dtype=torch.uint8).to(policy.device)
        distributed.broadcast(carried, 0)
        return carried.cpu().numpy().tobytes()


def here() -> World:
    """The world of this process."""
    if not distributed.is_initialized():
        return World()
    return World(distributed.get_rank(), distributed.get_world_size())


@contextmanager
def joined() -> Iterator[World]:
    """Meet the processes that torchrun started with this one (it says in the environment where); part at the end."""
    policy = torch_policy.of_machine(accelerate=True)
    if policy.device == "cpu":
        distributed.init_process_group("gloo")
    else:
        torch.cuda.set_device(policy.device)
        distributed.init_process_group("nccl", device_id=torch.device(policy.device))
    yield here()
    distributed.destroy_process_group()  # not where it failed: the others would fail of it, and tell of that first
