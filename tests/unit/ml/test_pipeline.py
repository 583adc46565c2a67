"""dvc.yaml names the code that each stage runs: a module that it forgot would let an old result pass for a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

MODELS = tuple(yaml.safe_load(Path("params.yaml").read_text())["models"])
# What stages import by name: of each model, and of its kind.
OF_MODEL = {
    "validate": ("schema",),
    "prepare": ("features",),
    "train": ("features", "model"),
    "evaluate": (),
    "profile": (),
}
BESIDE = {"train": {"ml.stages.again"}}  # in a process of its own
KIND = "ml.kinds.tabular"


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("ml", cache_dir=None)


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    return found


def named(stage: dict[str, Any]) -> set[str]:
    """The modules among a stage's dependencies and in folders among them, those of every model."""
    paths = [Path(dep.replace("${item.model}", model)) for dep in stage["deps"] for model in MODELS]
    files = [file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])]
    modules = (file.as_posix().removesuffix(".py").replace("/", ".") for file in files if file.suffix == ".py")
    return {module.removesuffix(".__init__") for module in modules}


@pytest.mark.parametrize("name", ["validate", "prepare", "train", "evaluate", "profile"])
def test_a_stage_names_what_it_imports(name: str, graph: grimp.ImportGraph, stages: dict[str, Any]) -> None:
    started = {f"ml.stages.{name}"} | ({KIND} if name != "validate" else set())
    started |= {f"ml.models.{model}.{module}" for model in MODELS for module in OF_MODEL[name]} | BESIDE.get(
        name, set()
    )
    imported = set().union(started, *(graph.find_upstream_modules(module) for module in started))
    packages = {".".join(module.split(".")[:depth]) for module in imported for depth in (1, 2, 3)}
    assert imported | (packages & graph.modules) <= named(stages[name])


def test_train_names_what_its_second_run_prepares_from(stages: dict[str, Any]) -> None:
    again, first = stages["train"], stages["prepare"]
    assert {dep for dep in first["deps"] if dep.startswith(("data/", "ml/kinds"))} <= set(again["deps"])
    keys = [
        next(each for each in stage["params"] if "ml/models/${item.model}/params.yaml" in each)
        for stage in (first, again)
    ]
    prepared, trained = (set(each["ml/models/${item.model}/params.yaml"]) for each in keys)
    assert prepared <= trained


def test_a_change_of_either_mode_is_read_by_every_run(stages: dict[str, Any]) -> None:
    """So that a mistake in `modes.full` is not hidden by the cache of a smoke run."""
    for name in ("prepare", "train"):
        assert "modes" in stages[name]["params"][1]["ml/models/${item.model}/params.yaml"]


def test_every_stage_depends_on_the_versions_it_runs_with(stages: dict[str, Any]) -> None:
    for name, stage in stages.items():
        assert "constraints.txt" in stage["deps"], name
