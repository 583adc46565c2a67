"""One torch network's training: epochs by Adam from the base rate on, ended by patience or by what is not finite."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import nn

from ml.kinds import LossPoint
from ml.params import Section

if TYPE_CHECKING:
    from ml.kinds import Session, Tick
    from ml.kinds.torch_checkpoint import State
    from ml.kinds.torch_policy import Policy
    from ml.kinds.torch_world import World

Network = Callable[[int], nn.Module]
MEASURED_ROWS = 65_536  # at once, so that measuring a large table does not fill the device


class Settings(Section):
    """How a network is fitted, by Adam on binary cross-entropy.

    `members` networks are averaged; each is validated on its own one of `folds` parts of the rows and, with
    `patience`, goes back to its best epoch after that many epochs without a better validation loss.
    """

    distributed: ClassVar[bool] = True
    """Several processes can fit it together."""

    epochs: PositiveInt
    batch_rows: PositiveInt
    learning_rate: NonNegativeFloat
    patience: PositiveInt | None = None
    members: PositiveInt = 1
    folds: PositiveInt = 5


@dataclass(frozen=True)
class Part:
    """Rows on the device: inputs [n, columns] and labels [n]."""

    inputs: torch.Tensor
    labels: torch.Tensor

    def of(self, chosen: torch.Tensor) -> Part:
        """Some of the rows: by number, or by a mask."""
        return Part(self.inputs[chosen], self.labels[chosen])

    def to(self, device: str) -> Part:
        """The same on another device."""
        return Part(self.inputs.to(device), self.labels.to(device))


class Run:
    """One member's training: its network, its history, and the fault that ended it, if any.

    Its random numbers are drawn anew for each epoch from (seed, epoch), so that it can go on after any of them.
    """

    def __init__(
        self,
        network: nn.Module,
        rows: Part,
        held_out: torch.Tensor,
        settings: Settings,
        *,
        seed: int,
        policy: Policy,
        world: World,
    ) -> None:
        self.network, self.settings, self.seed = network.to(policy.device), settings, seed
        self.policy, self.world = policy, world
        self.train_rows, self.other_rows = (rows.of(part).to(policy.device) for part in (~held_out, held_out))
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)
        self.loss: list[LossPoint] = []
        self.fault, self.steps, self.epoch, self.ended = "", 0, 0, False
        self.best: float | None = None
        self.kept: dict[str, torch.Tensor] = {}
        self.since = 0

    def state(self) -> State:
        """All that decides how it goes on, as plain values and tensors."""
        return {
            "epoch": self.epoch,
            "ended": self.ended,
            "fault": self.fault,
            "steps": self.steps,
            "best": self.best,
            "since": self.since,
            "loss": [dataclasses.astuple(point) for point in self.loss],
            "kept": self.kept,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: State) -> None:
        """Stand where `state` was taken."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.loss = [LossPoint(*point) for point in state["loss"]]
        for name in ("epoch", "ended", "fault", "steps", "best", "since", "kept"):
            setattr(self, name, state[name])

    def train(self, session: Session, save: Callable[[], None]) -> None:
        """All epochs that are left, or fewer: until patience ends or something is not finite. `save` after each."""
        if not self.kept:
            self._judge(self._measure())
        if not (self.ended or self.fault):
            batch = self.world.share(torch.arange(min(self.settings.batch_rows, len(self.train_rows.labels))))[0]
            ready = self.policy.ready(self.network, self.train_rows.inputs[batch], session.tell)
            self._epochs(self.world.together(ready), session.tick, save)
        self.ended = True
        self.network.load_state_dict(self.kept)
        save()

    def _epochs(self, forward: nn.Module, tick: Tick, save: Callable[[], None]) -> None:
        while self.epoch < self.settings.epochs and not self.ended:
            self.epoch += 1
            if not self._epoch(forward) or (now := self._measure()) is None:
                return
            self._judge(now)
            tick(self.epoch, self.loss[-1].train, self.loss[-1].validation)
            save()

    def _judge(self, now: float | None) -> None:
        """Keep the weights of the best epoch, or of the last one where there is no patience."""
        patience = self.settings.patience
        if patience is None or self.best is None or (now is not None and now < self.best):
            self.best, self.kept, self.since = now, copy.deepcopy(self.network.state_dict()), 0
        else:
            self.since += 1
            self.ended = self.since >= patience

    def _epoch(self, forward: nn.Module) -> bool:
        forward.train()
        torch.manual_seed(stream(self.seed, self.epoch, 1 + self.world.rank))  # of dropout
        order = torch.Generator().manual_seed(stream(self.seed, self.epoch, 0))
        numbers = torch.randperm(len(self.train_rows.labels), generator=order).to(self.policy.device)
        for chosen in torch.split(numbers, self.settings.batch_rows):
            own, weights = self.world.share(chosen)
            rows = self.train_rows.of(own)
            self.optimiser.zero_grad()
            with self.policy.autocast():
                logits = forward(rows.inputs)
            # The gradients are averaged over the processes: times `size`, that is the mean over the batch's rows.
            loss = (losses(logits, rows.labels) * weights).sum() * (self.world.size / len(chosen))
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            if fault := self._not_finite():
                mean = float(self.world.total(loss.detach()) / self.world.size)
                self.fault = f"the gradient of {fault} is NaN or infinite in epoch {self.epoch}, loss {mean:.4g}"
                return False
            self.optimiser.step()
            self.steps += 1
        return True

    def _not_finite(self) -> str:
        """The first weights whose gradient is not finite; empty where all are. One look at the device a step."""
        gradients = {name: each.grad for name, each in self.network.named_parameters() if each.grad is not None}
        finite = torch.stack([torch.isfinite(gradient).all() for gradient in gradients.values()])
        if bool(finite.all()):
            return ""
        return list(gradients)[int(finite.int().argmin())]

    def _measure(self) -> float | None:
        """Mean loss without dropout: of the validation rows, or of the training rows where none are held out."""
        self.network.eval()
        parts = (self.train_rows, self.other_rows)
        sums = self.world.total(torch.stack([self._sum(part) for part in parts])).cpu()
        train, validation = map(float, sums / torch.tensor([len(part.labels) for part in parts]))
        other = validation if len(self.other_rows.labels) else None
        watched = train if other is None else other
        if not (math.isfinite(train) and math.isfinite(watched)):
            self.fault = f"the loss is {train:.4g} after epoch {self.epoch}"
            return None
        self.loss.append(LossPoint(self.epoch, round(train, 9), None if other is None else round(other, 9)))
        return watched

    def _sum(self, part: Part) -> torch.Tensor:
        """The loss summed over this process's rows of a part, in the precision that is exported."""
        own = torch.arange(self.world.rank, len(part.labels), self.world.size, device=self.policy.device)
        found = torch.zeros((), dtype=torch.float64, device=self.policy.device)
        with torch.no_grad():
            for chosen in torch.split(own, MEASURED_ROWS):
                rows = part.of(chosen)
                found += losses(self.network(rows.inputs), rows.labels).sum(dtype=torch.float64)
        return found


def untrained(network: Network, rows: Part, seed: int) -> nn.Module:
    """An untrained network that predicts the base rate: so that a fall of the loss is something learned."""
    torch.manual_seed(seed)
    model = network(rows.inputs.shape[1])
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, float(torch.logit(rows.labels.double().mean(), eps=1e-6)))
    return model


def losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of each row, in nats, [n], of logits [n, 1] for labels [n]."""
    return nn.functional.binary_cross_entropy_with_logits(logits.float().reshape(-1), labels, reduction="none")


def stream(*keys: int) -> int:
    """A seed of its own for each sequence of keys."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0])
