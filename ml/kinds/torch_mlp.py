"""A torch network for a binary label on a float matrix: fitted on one thread and exported with its scaling inside."""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from ml.kinds import LossPoint, onnx_file, torch_policy, torch_world
from ml.kinds.checks import Check
from ml.kinds.torch_checkpoint import Checkpoint
from ml.kinds.torch_run import Network, Part, Run, Settings, losses, untrained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ml.kinds import Session
    from ml.kinds.fitting import Table
    from ml.kinds.torch_policy import Policy

INPUT = "features"
BATCH_OF_CHECK = 32
STEPS_OF_CHECK = 1000


class Scaled(nn.Module):
    """Raw features [n, columns] → probability [n, 1]: standardise, ask each member, average."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, mean: torch.Tensor, deviation: torch.Tensor, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.members = nn.ModuleList(members)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Probability of class 1, the members' mean."""
        scaled = (features - self.mean) / self.deviation
        return torch.stack([torch.sigmoid(member(scaled)) for member in self.members]).mean(dim=0)


@dataclass(frozen=True)
class FittedNetwork:
    """A trained ensemble with its history (the mean over the members still training) and its checks."""

    module: Scaled
    features: tuple[str, ...]
    loss: tuple[LossPoint, ...]
    checks: tuple[Check, ...]

    def predict(self, table: Table) -> NDArray[np.float64]:
        """Probability of class 1, shape [n]."""
        with torch.no_grad():
            scores: NDArray[np.float64] = self.module(torch.from_numpy(table.matrix())).double().numpy().reshape(-1)
        return scores

    def export(self) -> bytes:
        """ONNX with one float32 matrix input, whose columns are in the metadata, and the output `score` [n, 1]."""
        example = (torch.zeros(2, len(self.features)),)
        exporter = logging.getLogger("torch.onnx")
        level = exporter.level
        exporter.setLevel(logging.ERROR)  # it warns of every optional library that is not installed
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # torch's own calls of what it has deprecated
                program = torch.onnx.export(
                    self.module,
                    example,
                    dynamo=True,
                    verbose=False,
                    input_names=[INPUT],
                    output_names=["score"],
                    dynamic_shapes=({0: torch.export.Dim("n")},),
                )
        finally:
            exporter.setLevel(level)
        if program is None:
            raise RuntimeError("torch.onnx.export gave no program")
        return onnx_file.clean(program.model_proto.SerializeToString(), {INPUT: self.features})


def fit(
    table: Table, settings: Settings, network: Network, seed: int, session: Session, policy: Policy | None = None
) -> FittedNetwork:
    """Fit `settings.members` networks; `network(columns)` makes an untrained one ending in a single logit.

    Every process of a world fits the same networks, each on its share of every batch, and gets the same result. It goes
    on from the session's checkpoint. A gradient that is not finite ends the training with the weights of the last good
    epoch and a failed check. `policy` is the machine's where none is given.
    """
    torch.set_num_threads(1)  # measured: two threads are four times slower on so small a network
    policy, world = policy or torch_policy.of_machine(accelerate=session.accelerate), torch_world.here()
    matrix = torch.from_numpy(table.matrix())
    mean, deviation = matrix.double().mean(dim=0), matrix.double().std(dim=0)
    deviation[deviation == 0] = 1.0
    mean, deviation = mean.float(), deviation.float()
    rows = Part((matrix - mean) / deviation, torch.from_numpy(table.labels()).float())
    checkpoint = Checkpoint(session, policy, world)
    states = checkpoint.load()
    runs: list[Run] = []
    for member in range(settings.members):
        held_out = torch.from_numpy(np.floor(table.fold * settings.folds).astype(np.int64) == member % settings.folds)
        made = untrained(network, rows, seed + member)
        run = Run(made, rows, held_out, settings, seed=seed + member, policy=policy, world=world)
        if member < len(states):
            run.restore(states[member])
        runs.append(run)
        run.train(session, lambda: checkpoint.save([run.state() for run in runs]))
    module = Scaled(mean, deviation, [run.network.cpu() for run in runs]).eval()
    faults = [run.fault for run in runs if run.fault]
    finite = Check(
        "gradients_finite",
        passed=not faults,
        value=float(len(faults)),
        limit=0.0,
        detail=faults[0] if faults else f"all gradients of {sum(run.steps for run in runs):,} steps are finite",
    )
    return FittedNetwork(module, table.numeric, _mean_loss([run.loss for run in runs]), (finite,))


def overfits_one_batch(table: Table, settings: Settings, network: Network, seed: int, limit: float) -> Check:
    """Whether one balanced batch of 32 rows can be learned by heart: a network that cannot is wired wrongly."""
    torch.set_num_threads(1)
    labels = table.labels()
    half = BATCH_OF_CHECK // 2
    chosen = np.concatenate([np.flatnonzero(labels == value)[:half] for value in (0, 1)])
    batch = torch.from_numpy(table.matrix()[chosen])
    spread = batch.std(dim=0)
    batch, target = (batch - batch.mean(dim=0)) / torch.where(spread > 0, spread, 1.0), torch.from_numpy(labels[chosen])
    model = untrained(network, Part(batch, target), seed).eval()  # no dropout: memory is what is asked for
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    loss = math.inf
    for _ in range(STEPS_OF_CHECK):
        optimiser.zero_grad()
        value = losses(model(batch), target.float()).mean()
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        loss = float(value.detach())
        if not loss > limit:
            break
    detail = f"loss of one batch of {len(chosen)} rows after at most {STEPS_OF_CHECK} steps: {loss:.4g}"
    shown = round(loss, 6) if math.isfinite(loss) else None
    return Check("overfits_one_batch", passed=loss <= limit, value=shown, limit=limit, detail=detail)


def _mean_loss(histories: Sequence[Sequence[LossPoint]]) -> tuple[LossPoint, ...]:
    points = []
    for step in range(max(len(history) for history in histories)):
        here = [history[step] for history in histories if step < len(history)]
        others = [point.validation for point in here if point.validation is not None]
        validation = round(sum(others) / len(others), 9) if others else None
        points.append(LossPoint(step, round(sum(point.train for point in here) / len(here), 9), validation))
    return tuple(points)
