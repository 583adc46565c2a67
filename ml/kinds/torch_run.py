"""One torch network's training: epochs by Adam from the base rate on, ended by patience or by what is not finite."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import nn

from ml.kinds import LossPoint
from ml.params import Section

if TYPE_CHECKING:
    from ml.kinds import Tick

Network = Callable[[int], nn.Module]


class Settings(Section):
    """How a network is fitted, by Adam on binary cross-entropy.

    `members` networks are averaged; each is validated on its own one of `folds` parts of the rows and, with
    `patience`, goes back to its best epoch after that many epochs without a better validation loss.
    """

    epochs: PositiveInt
    batch_rows: PositiveInt
    learning_rate: NonNegativeFloat
    patience: PositiveInt | None = None
    members: PositiveInt = 1
    folds: PositiveInt = 5


class Run:
    """One member's training: its network, its history, and the fault that ended it, if any."""

    def __init__(
        self, network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, held_out: torch.Tensor, settings: Settings
    ) -> None:
        self.network, self.settings = network, settings
        self.train_inputs, self.train_labels = inputs[~held_out], labels[~held_out]
        self.other_inputs, self.other_labels = inputs[held_out], labels[held_out]
        self.optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
        self.loss: list[LossPoint] = []
        self.fault, self.steps = "", 0

    def train(self, tick: Tick) -> None:
        """All epochs, or fewer: until patience ends or something is not finite."""
        best = self._measure(0)
        kept, since = copy.deepcopy(self.network.state_dict()), 0
        for epoch in range(1, self.settings.epochs + 1):
            if self.fault or not self._epoch(epoch) or (now := self._measure(epoch)) is None:
                break
            tick(epoch, self.loss[-1].train, self.loss[-1].validation)
            patience = self.settings.patience
            if patience is None or best is None or now < best:
                best, kept, since = now, copy.deepcopy(self.network.state_dict()), 0
            elif (since := since + 1) >= patience:
                break
        self.network.load_state_dict(kept)

    def _epoch(self, epoch: int) -> bool:
        self.network.train()
        order = torch.randperm(len(self.train_labels))
        for chosen in torch.split(order, self.settings.batch_rows):
            self.optimiser.zero_grad()
            loss = loss_of(self.network(self.train_inputs[chosen]), self.train_labels[chosen])
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            for name, weights in self.network.named_parameters():
                if weights.grad is not None and not bool(torch.isfinite(weights.grad).all()):
                    self.fault = (
                        f"the gradient of {name} is NaN or infinite in epoch {epoch}, loss {float(loss.detach()):.4g}"
                    )
                    return False
            self.optimiser.step()
            self.steps += 1
        return True

    def _measure(self, epoch: int) -> float | None:
        """Mean loss without dropout: of the validation rows, or of the training rows where none are held out."""
        self.network.eval()
        with torch.no_grad():
            train = float(loss_of(self.network(self.train_inputs), self.train_labels))
            other = (
                float(loss_of(self.network(self.other_inputs), self.other_labels)) if len(self.other_labels) else None
            )
        watched = train if other is None else other
        if not (math.isfinite(train) and math.isfinite(watched)):
            self.fault = f"the loss is {train:.4g} after epoch {epoch}"
            return None
        self.loss.append(LossPoint(epoch, round(train, 9), None if other is None else round(other, 9)))
        return watched


def untrained(network: Network, inputs: torch.Tensor, labels: torch.Tensor, seed: int) -> nn.Module:
    """An untrained network that predicts the base rate: so that a fall of the loss is something learned."""
    torch.manual_seed(seed)
    model = network(inputs.shape[1])
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, float(torch.logit(labels.double().mean(), eps=1e-6)))
    return model


def loss_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy, in nats, of logits [n, 1] for labels [n]."""
    return nn.functional.binary_cross_entropy_with_logits(logits.reshape(-1), labels)
