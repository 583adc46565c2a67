"""How a network is computed: a GPU's policy is the same code on a CPU, and comes to the same within its precision."""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from ml.errors import StageError
from ml.kinds import Session, torch_mlp, torch_policy
from ml.kinds.torch_policy import Policy
from ml.kinds.torch_run import Settings
from tests.unit.ml.kinds.tables import numeric, signal

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = Settings(epochs=4, batch_rows=100, learning_rate=0.01)
GPU = Policy(bfloat16=True, compiled=True)


class Watched(nn.Module):
    """A network that notes the precision its layers compute in while it trains."""

    def __init__(self, columns: int, seen: set[torch.dtype]) -> None:
        super().__init__()
        self.inner, self.norm, self.last = nn.Linear(columns, 16), nn.BatchNorm1d(16), nn.Linear(16, 1)
        self.seen = seen

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden = self.inner(features)
        if self.training:
            self.seen.add(hidden.dtype)
        result: torch.Tensor = self.last(torch.relu(self.norm(hidden)))
        return result


def plain(columns: int) -> nn.Module:
    return nn.Sequential(nn.Linear(columns, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))


def fit(policy: Policy, network: Callable[[int], nn.Module] = plain, **session: Any) -> torch_mlp.FittedNetwork:
    return torch_mlp.fit(numeric(signal()), SETTINGS, network, 1, Session(**session), policy)


def test_bfloat16_is_for_the_steps_alone() -> None:
    seen: set[torch.dtype] = set()
    found = fit(Policy(bfloat16=True), lambda columns: Watched(columns, seen))
    assert seen == {torch.bfloat16}
    assert {weights.dtype for weights in found.module.parameters()} == {torch.float32}
    whole = fit(Policy(), lambda columns: Watched(columns, seen))
    assert seen == {torch.bfloat16, torch.float32}
    assert found.loss[0] == whole.loss[0]  # measured in float32 under every policy
    assert found.loss[-1].train == pytest.approx(whole.loss[-1].train, rel=0.02)
    assert found.loss != whole.loss


def test_what_a_gpu_does_is_done_by_a_cpu() -> None:
    if not shutil.which(os.environ.get("CXX", "g++")):
        reason = "torch.compile needs a C++ compiler: apt-get install g++"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    torch._dynamo.reset()
    told: list[str] = []
    found = fit(GPU, tell=told.append)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert told == []
    assert found.loss[-1].train == pytest.approx(fit(Policy()).loss[-1].train, rel=0.02)
    assert b"dynamo" not in found.export()


def test_without_a_compiler_it_is_told_and_trained_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no compiler here\nand more")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    told: list[str] = []
    found = fit(GPU, tell=told.append)
    assert len(told) == 1
    assert told[0].startswith("torch.compile cannot be used (")
    assert "no compiler here" in told[0]
    assert found.loss == fit(Policy(bfloat16=True)).loss  # trying it left no trace, not even in the running means


def test_the_machine_decides_and_smoke_stays_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch_policy.of_machine(accelerate=False) == Policy()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: not including_emulation)
    assert torch_policy.of_machine(accelerate=False) == Policy()
    assert torch_policy.of_machine(accelerate=True) == Policy("cuda:0", bfloat16=True, compiled=True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert torch_policy.of_machine(accelerate=True).device == "cuda:1"
    assert torch_policy.of_machine(accelerate=True).words == "cuda bfloat16 compiled"
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(StageError, match="process 3 of this machine finds 2 GPUs") as caught:
        torch_policy.of_machine(accelerate=True)
    assert caught.value.exit_code == 2


def test_scores_are_those_of_the_cpu() -> None:
    found = fit(Policy(bfloat16=True))
    scores = found.predict(numeric(signal(seed=4)))
    assert scores == pytest.approx(fit(Policy()).predict(numeric(signal(seed=4))), abs=0.05)
    assert np.isfinite(scores).all()
