"""The commands of documents that need docker: a daemon, a base image, and a registry in place of params.yaml's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functional.test_docs import documents, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.registry import Registry
    from tests.project import Project

REGISTRY = "127.0.0.1:5000"


@pytest.mark.parametrize("document", documents(need_docker=True), ids=lambda d: d.name)
def test_every_command_works(
    document: Path,
    checked: Project,
    trained: Project,
    tmp_path: Path,
    image_registry: Registry,
    docker_env: dict[str, str],
) -> None:
    project = checked.copy(tmp_path / "project")
    project.edit("params.yaml", REGISTRY, image_registry.host)
    project.commit("a registry of the tests' own")
    run(document, project, tmp_path / "home", trained, **docker_env)
