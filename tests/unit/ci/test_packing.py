"""What an image is made of lies in the repository itself: no link leads out of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.commands import packing
from ci.core.errors import ConfigurationError
from ml.serve.model import Record
from tests import history
from tests.unit.ml.serve import models


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A repository with a server of a few files."""
    root = tmp_path / "project"
    (root / "ml" / "serve").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    for name in ("ml/__init__.py", "ml/serve/app.py", "ml/serve/Dockerfile", "ml/serve/requirements.txt"):
        (root / name).write_text(name)
    return root


def test_the_server_is_packed(server: Path) -> None:
    assert {*packing._server(server)} == {"ml/__init__.py", "ml/serve/app.py", "Dockerfile", "requirements.txt"}


@pytest.mark.parametrize("name", ["serve/app.py", "serve/Dockerfile", "serve/more", "__init__.py"])
def test_a_link_in_the_server_is_refused(server: Path, name: str) -> None:
    target = server.parent / "elsewhere"
    target.write_text("a secret of this machine")
    (server / "ml" / name).unlink(missing_ok=True)
    (server / "ml" / name).symlink_to(target)
    with pytest.raises(ConfigurationError, match=f"ml/{name} is a symbolic link"):
        packing._server(server)


def test_a_linked_folder_is_refused(server: Path) -> None:
    target = server.parent / "elsewhere"
    target.mkdir()
    (server / "ml" / "serve" / "more").symlink_to(target)
    with pytest.raises(ConfigurationError, match="ml/serve/more is a symbolic link"):
        packing._server(server)


def test_what_is_sensitive_goes_with_the_model(server: Path) -> None:
    params = server / "ml" / "models" / "toy" / "params.yaml"
    params.parent.mkdir(parents=True)
    made, onnx = history.version("toy", 1).lineage, models.matrix()
    params.write_text("task: binary\n")
    assert packing._serving(server, made, onnx).sensitive == {}
    params.write_text("task: binary\nserving:\n  sensitive: {a: hash, c: drop}\n")
    packed = packing._serving(server, made, onnx)
    assert packed.sensitive == {"a": "hash", "c": "drop"}
    (server / "serving.json").write_text(packed.model_dump_json())
    assert Record.read(server / "serving.json").sensitive == packed.sensitive  # as the server reads it
    params.write_text("task: binary\nserving:\n  sensitive: {d: hash}\n")
    with pytest.raises(
        ConfigurationError, match=r"params.yaml:3: 'd' is sensitive, but no feature that the model takes"
    ):
        packing._serving(server, made, onnx)


@pytest.mark.parametrize("step", ["artifacts/churn/full", "artifacts/churn/full/model.onnx"])
def test_a_linked_model_is_refused(server: Path, step: str) -> None:
    (server / step).parent.mkdir(parents=True)
    (server / step).symlink_to(server.parent / "elsewhere")
    with pytest.raises(ConfigurationError, match=f"{step} is a symbolic link"):
        packing._require_no_link(server, Path("artifacts/churn/full/model.onnx"))
