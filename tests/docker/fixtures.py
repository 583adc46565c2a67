"""Docker as fixtures, each made once for all tests that ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import shared
from tests.docker import base, daemon, registry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def docker_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What DOCKER_HOST has to be."""
    with daemon.daemon(shared.folder(tmp_path_factory)) as host:
        yield host


@pytest.fixture(scope="session")
def base_image(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a slim Python to build on, for TRUNKLINE_BASE_IMAGE."""
    with shared.alone(shared.folder(tmp_path_factory) / "base.lock"):
        return base.base_image(docker_host)


@pytest.fixture(scope="session")
def image_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registry.Registry]:
    """A registry that takes anything from anyone."""
    with registry.registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture(scope="session")
def docker_env(docker_host: str, base_image: str) -> dict[str, str]:
    """The surroundings of a command that builds images."""
    return {"DOCKER_HOST": docker_host, "TRUNKLINE_BASE_IMAGE": base_image}
