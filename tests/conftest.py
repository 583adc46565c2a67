"""Projects that were checked, trained or released once, for all tests that need one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters.mlflow import Models
from tests import releases, rollouts, shared
from tests.project import Project, fresh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.docker.registry import Registry
    from tests.releases import Line

pytest_plugins = ["tests.docker.fixtures"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Who runs what, where `make test` starts several workers."""
    from tests.workers import Pieces

    return Pieces(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In which order."""
    from tests.workers import order

    order(items)


@pytest.fixture(scope="session")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone with a commit to compare with, in which `trunkline check` passed. Not to be changed."""

    def make(where: Path) -> None:
        project = fresh(where)
        project.trunkline("check")
        if project.git("status", "--porcelain"):
            project.commit("what this machine measured")
        project.commit_empty("a change to compare with it")
        project.trunkline("check")

    made = Project(shared.once(tmp_path_factory, "checked", make))
    return made.copy(tmp_path_factory.mktemp("checked") / "project")


@pytest.fixture(scope="session")
def trained(checked: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same, whose churn was trained in full, pushed to DVC's remote and merged. Not to be changed."""
    made = Project(shared.once(tmp_path_factory, "trained", lambda where: releases.train(checked.copy(where))))
    return made.copy(tmp_path_factory.mktemp("trained") / "project")


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose MLflow has its tables and nothing in them. Not to be changed."""

    def make(root: Path) -> None:
        root.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            assert Models(root).aliases("a") == {}

    return shared.once(tmp_path_factory, "mlflow", make)


@pytest.fixture(scope="session")
def watched(empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[float, dict[str, str]]]:
    """When canaries started, and the surroundings: Prometheus with what came of them, and a registry of models."""
    folder, start = tmp_path_factory.mktemp("watched"), rollouts.morning()
    shutil.copytree(empty_registry, folder, dirs_exist_ok=True)
    uri = f"sqlite:///{folder}/.trunkline/mlflow.db"
    rollouts.register(uri, folder)
    with rollouts.prometheus(folder / "prometheus", start) as url:
        yield start, {"TRUNKLINE_PROMETHEUS": url, "MLFLOW_TRACKING_URI": uri}


@pytest.fixture(scope="session")
def merged_line(
    trained: Project, image_registry: Registry, docker_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Line:
    """A repository with one model, trained in full and merged, never released. Not to be changed."""
    where = tmp_path_factory.mktemp("merged") / "project"
    return releases.merged(where, f"{image_registry.host}/merged", docker_env, trained)


@pytest.fixture(scope="session")
def packed_line(merged_line: Line, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The same with its image, a slight one, in the registry. Not to be changed."""
    line = merged_line.copy(tmp_path_factory.mktemp("packed") / "project")
    releases.slight(line.project)
    line.project.commit("a slight image")
    line.project.trunkline("image", "churn", "--push", code=0, **line.outside)
    return line


@pytest.fixture(scope="session")
def released_line(merged_line: Line, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The merged one after a first release: staging runs it, production has a pull request. Not to be changed."""
    line = merged_line.copy(tmp_path_factory.mktemp("released") / "project", to="released")
    line.release("churn")
    return line


@pytest.fixture(scope="session")
def production_line(released_line: Line, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The same with production's pull request merged and noted. Not to be changed."""
    line = released_line.copy(tmp_path_factory.mktemp("production") / "project")
    line.merge("release/churn/production")
    line.release("churn")
    return line


@pytest.fixture(scope="session")
def newer_line(released_line: Line, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The released one with another version merged since, of a slight image, not released. Not to be changed."""
    line = released_line.copy(tmp_path_factory.mktemp("newer") / "project")
    line.pull()
    releases.change(line.project)
    releases.slight(line.project)
    line.project.commit("another learning rate")
    releases.train(line.project)
    return line
