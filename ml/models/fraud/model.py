"""The fraud model: a small torch network on the Handbook's features, after its chapter 7."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt
from torch import nn

from ml.kinds import torch_mlp, torch_run

if TYPE_CHECKING:
    from ml.kinds import Session
    from ml.kinds.checks import Check
    from ml.kinds.fitting import Table
    from ml.params import Checks


class Hyperparameters(torch_run.Settings):
    """The shape of the network beside how it is fitted."""

    hidden: tuple[PositiveInt, ...]
    dropout: float = Field(ge=0, lt=1)


def network(columns: int, params: Hyperparameters) -> nn.Module:
    """Standardised features [n, columns] → logit [n, 1], through hidden layers with ReLU and dropout."""
    layers: list[nn.Module] = []
    for width in params.hidden:
        layers += [nn.Linear(columns, width), nn.ReLU(), nn.Dropout(params.dropout)]
        columns = width
    return nn.Sequential(*layers, nn.Linear(columns, 1))


def fit(table: Table, params: Hyperparameters, seed: int, session: Session) -> torch_mlp.FittedNetwork:
    """Train the ensemble of networks."""
    return torch_mlp.fit(table, params, lambda columns: network(columns, params), seed, session)


def smoke_checks(table: Table, params: Hyperparameters, seed: int, limits: Checks) -> tuple[Check, ...]:
    """Whether one batch can be learned by heart."""
    return (
        torch_mlp.overfits_one_batch(
            table, params, lambda columns: network(columns, params), seed, limits.overfit_loss
        ),
    )
