"""The registry behind a real MLflow server, as a team has it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from ci.adapters.mlflow import Models, Runs
from ci.commands import registering
from ci.core.registered import Point
from tests.unit.ci import trained

if TYPE_CHECKING:
    from collections.abc import Iterator

START = 240  # seconds; it imports for half a minute on a busy machine


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with its own database and folder of artifacts."""
    home = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}", "--artifacts-destination", str(home / "kept")]
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    env.pop("MLFLOW_TRACKING_URI", None)
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--workers", "1"], env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(process, address, home / "log")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if requests.get(f"{address}/health", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    pytest.fail(f"MLflow's server did not start:\n{log.read_text()}")


@pytest.fixture
def root(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return tmp_path


def test_a_version_is_registered_once_and_its_artifacts_lie_with_the_server(
    root: Path, uri: str, capfd: pytest.CaptureFixture[str]
) -> None:
    made = trained.make(root)
    for _ in range(2):
        assert registering.register(root, "a", made.verdict, made.lineage, None) == "1"
    models = Models(root)
    found = models.find("a", made.lineage.lock_hash)
    assert found is not None
    assert found.url == f"{uri}/#/models/a/versions/1"
    assert models.aliases("a") == {"candidate": "1"}
    assert not (root / ".trunkline" / "mlartifacts").exists()
    assert not list(root.rglob("mlflow.db"))
    fetched = Path(models.client.download_artifacts(str(found.run_id), "model/model.onnx", str(root)))
    assert fetched.read_bytes() == made.artifact.read_bytes()
    shutil.rmtree(root / "artifacts")
    assert models.get("a", "2") is None
    assert models.aliases("nobody") == {}
    assert "View run" not in capfd.readouterr().out


def test_more_is_logged_than_a_server_takes_at_once(root: Path) -> None:
    runs = Runs(root)
    run_id, _ = runs.of("many", "key", "x", name="x")
    points = [Point(name="loss/train", value=float(step), step=step) for step in range(1_500)]
    many = {f"n{n}": str(n) for n in range(150)}
    runs.log(run_id, params=many, points=points, tags=many)
    found = runs.client.get_run(run_id).data
    assert found.params == many
    assert found.tags.items() >= many.items()
    assert runs.metrics(run_id) == {"loss/train": 1_499.0}
