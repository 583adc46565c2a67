"""A network's training: it learns, it repeats, it exports; and each way of breaking it is seen by a check."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnx
import polars as pl
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from ml import quality
from ml.kinds import Session, checks, onnx_file, torch_mlp
from ml.kinds.onnx_scoring import Scorer
from ml.kinds.torch_run import Settings
from tests.unit.ml.kinds.tables import numeric, shuffled, signal

if TYPE_CHECKING:
    from ml.kinds.checks import Check
    from ml.kinds.fitting import Table

SETTINGS = Settings(epochs=6, batch_rows=64, learning_rate=0.01)


def network(columns: int) -> nn.Module:
    return nn.Sequential(nn.Linear(columns, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))


def fit(table: Table, settings: Settings = SETTINGS, seed: int = 1) -> torch_mlp.FittedNetwork:
    return torch_mlp.fit(table, settings, network, seed, Session())


@pytest.fixture(scope="module")
def fitted() -> torch_mlp.FittedNetwork:
    return fit(numeric(signal()))


def gradients(fitted: torch_mlp.FittedNetwork) -> Check:
    return next(check for check in fitted.checks if check.name == "gradients_finite")


def test_it_learns_and_starts_at_the_base_rate(fitted: torch_mlp.FittedNetwork) -> None:
    assert checks.loss_falls(fitted.loss, 0.2).passed
    assert gradients(fitted).passed
    labels = signal()["label"]
    rate = labels.to_numpy().mean()
    base = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert fitted.loss[0].train == pytest.approx(base, abs=0.02)


def test_shuffled_labels_teach_nothing() -> None:
    fresh = shuffled(signal(seed=4))
    found = fit(numeric(shuffled(signal())))
    assert not checks.loss_falls(found.loss, 0.05).passed
    scores = found.predict(numeric(fresh))
    rate = quality.beats_base_rate("binary", fresh["label"].to_numpy().astype(float), scores, 0.3)
    assert not rate.passed


def test_no_learning_rate_no_learning() -> None:
    still = SETTINGS.model_copy(update={"learning_rate": 0.0})
    assert checks.loss_falls(fit(numeric(signal()), still).loss, 0.05).value == 0
    assert not torch_mlp.overfits_one_batch(numeric(signal()), still, network, 1, 0.1).passed


def test_one_batch_is_learned_by_heart_unless_the_network_is_wired_wrongly() -> None:
    assert torch_mlp.overfits_one_batch(numeric(signal()), SETTINGS, network, 1, 0.1).passed

    class Deaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(1, 1)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.last(features[:, :1].detach() * 0)
            return result

    check = torch_mlp.overfits_one_batch(numeric(signal()), SETTINGS, lambda _: Deaf(), 1, 0.1)
    assert not check.passed
    assert check.value == pytest.approx(np.log(2), abs=0.01)


def test_a_nan_is_a_failed_check_and_no_traceback() -> None:
    frame = signal().with_columns(pl.when(pl.col("id") == 5).then(float("nan")).otherwise("a").alias("a"))
    check = gradients(fit(numeric(frame)))
    assert not check.passed
    assert "the loss is nan after epoch 0" in check.detail


def test_a_gradient_that_explodes_leaves_the_last_good_weights() -> None:
    found = fit(numeric(signal()), SETTINGS.model_copy(update={"learning_rate": 1e30}))
    assert not gradients(found).passed
    assert "in epoch 1" in gradients(found).detail
    assert np.isfinite(found.predict(numeric(signal()))).all()
    assert not checks.loss_falls(found.loss, 0.05).passed


def test_one_seed_one_model_and_another_seed_another(fitted: torch_mlp.FittedNetwork) -> None:
    again, other = fit(numeric(signal())), fit(numeric(signal()), seed=2)
    assert again.loss == fitted.loss
    assert again.export() == fitted.export()
    found = onnx_file.differences(fitted.export(), other.export())
    assert len(found) == 1
    assert "weights" in found[0]


def test_a_network_without_a_seed_is_named() -> None:
    noise = np.random.default_rng()  # the system's entropy, as a forgotten seed is

    def unseeded(columns: int) -> nn.Module:
        made = network(columns)
        for weights in made.parameters():
            nn.init.constant_(weights, float(noise.normal()))
        return made

    pair = [torch_mlp.fit(numeric(signal()), SETTINGS, unseeded, 1, Session()) for _ in range(2)]
    found = checks.loss_differences(pair[0].loss, pair[1].loss)
    found += onnx_file.differences(pair[0].export(), pair[1].export())
    check = checks.reproducible(found)
    assert not check.passed
    assert "loss parts at step" in check.detail
    assert "model bytes differ in weights" in check.detail


def test_the_export_scores_raw_rows_and_names_its_columns(fitted: torch_mlp.FittedNetwork) -> None:
    content = fitted.export()
    model = onnx.load_from_string(content)
    assert {prop.key: json.loads(prop.value) for prop in model.metadata_props} == {"features": ["a", "b", "constant"]}
    assert [output.name for output in model.graph.output] == ["score"]
    fresh = numeric(signal(seed=4))
    scores = Scorer(content, "model").score(fresh.frame)
    assert checks.onnx_agrees(fitted.predict(fresh), scores, 1e-6).passed


def test_the_export_holds_nothing_of_this_machine(fitted: torch_mlp.FittedNetwork) -> None:
    content = fitted.export()
    for word in (b".py", b"/ml/", b"stack_trace", b"site-packages", b"pkg.torch"):
        assert word not in content
    assert not any(node.metadata_props for node in onnx.load_from_string(content).graph.node)


def test_a_broken_export_disagrees(fitted: torch_mlp.FittedNetwork) -> None:
    model = onnx.load_from_string(fitted.export())
    mean = next(each for each in model.graph.initializer if "mean" in each.name)
    mean.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(mean) + 1, mean.name))
    fresh = numeric(signal(seed=4))
    scores = Scorer(model.SerializeToString(), "model").score(fresh.frame)
    assert not checks.onnx_agrees(fitted.predict(fresh), scores, 1e-4).passed


def test_members_average_and_patience_ends_early() -> None:
    settings = Settings(epochs=60, batch_rows=64, learning_rate=0.03, patience=2, members=2, folds=4)
    ticks: list[int] = []
    found = torch_mlp.fit(numeric(signal()), settings, network, 1, Session(lambda step, *_: ticks.append(step)))
    assert len(found.module.members) == 2
    assert ticks.count(1) == 2
    assert max(ticks) < 60
    table = numeric(signal())
    inputs = (torch.from_numpy(table.matrix()) - found.module.mean) / found.module.deviation
    with torch.no_grad():
        each = [torch.sigmoid(member(inputs)).numpy().reshape(-1) for member in found.module.members]
    assert found.predict(table) == pytest.approx(np.mean(each, axis=0), abs=1e-6)
