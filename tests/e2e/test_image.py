"""`trunkline image` with a real docker daemon, real registries and a base image that was made on this machine."""

from __future__ import annotations

import json
import re
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import docker
import numpy as np
import polars as pl
import pytest
import requests
from docker.errors import ImageNotFound

from ci.adapters import registry as door
from ci.commands import lineage, packing
from ci.commands.image import Built
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.image.labels import of_lineage
from ml.kinds.onnx_scoring import Scorer
from tests.docker.programs import PATIENCE, free_port
from tests.docker.registry import Registry, registry
from tests.project import Project
from tests.releases import slight

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient
    from docker.models.containers import Container

MODEL = "churn"
CLAIMED = "127.0.0.1:5000"  # the registry in params.yaml
BY_DIGEST = re.compile(r"127\.0\.0\.1:\d+/trunkline/churn@sha256:[0-9a-f]{64}")
PASSWORD = "correct-horse-battery"
# htpasswd's bcrypt of PASSWORD.
HTPASSWD = "line:$2b$04$UAYcvxqTipoepsGsCYmau.sBBx//JxdBCTLxfcTKGKIbvlGXfT9Rm\n"


@pytest.fixture(scope="session")
def trained(trained: Project, image_registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository whose newest commit pins a fully trained model, and whose images go to the tests' registry."""
    project = trained.copy(tmp_path_factory.mktemp("pinned") / "project")
    project.edit("params.yaml", CLAIMED, image_registry.host)
    project.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """One of a test's own."""
    return trained.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def client(docker_host: str) -> Iterator[DockerClient]:
    """The daemon, for what a person would type."""
    made = docker.DockerClient(base_url=docker_host, timeout=600)
    yield made
    made.close()


@pytest.fixture(scope="session")
def pushed(trained: Project, docker_env: dict[str, str]) -> str:
    """The image of the model by digest, as the command printed it."""
    printed = trained.trunkline("image", MODEL, "--push", code=0, **docker_env).stdout.splitlines()[-1]
    assert BY_DIGEST.fullmatch(printed)
    return printed


def built(project: Project) -> Built:
    """The record of the newest build."""
    return Built.model_validate_json((project.root / "artifacts" / MODEL / "image" / "image.json").read_bytes())


@contextmanager
def container(client: DockerClient, image: str, **options: Any) -> Iterator[tuple[Container, str]]:
    """A container as a cluster would run it, and the address of the server in it."""
    port = free_port()
    made = client.containers.run(
        image,
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        tmpfs={"/tmp": "rw,noexec"},
        ports={"8080/tcp": ("127.0.0.1", port)},
        **options,
    )
    try:
        yield made, f"http://127.0.0.1:{port}"
    finally:
        made.remove(force=True)


def until_ready(made: Container, address: str) -> None:
    """Wait for the server. A container that ended fails the test with its log."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        made.reload()
        assert made.status == "running", made.logs().decode()
        with suppress(requests.RequestException):
            if requests.get(f"{address}/v2/health/ready", timeout=1).status_code == 200:
                return
        time.sleep(0.1)
    pytest.fail(f"the server does not get ready:\n{made.logs().decode()}")


def infer(address: str, rows: pl.DataFrame, inputs: list[dict[str, Any]]) -> list[float]:
    """The scores of rows, asked for over the Open Inference Protocol."""
    tensors = [
        {"name": one["name"], "datatype": one["datatype"], "shape": [rows.height], "data": rows[one["name"]].to_list()}
        for one in inputs
    ]
    answer = requests.post(f"{address}/v2/models/{MODEL}/infer", json={"inputs": tensors}, timeout=30)
    assert answer.status_code == 200, answer.text
    scores = next(output for output in answer.json()["outputs"] if output["name"] == "score")
    return list(scores["data"])


def test_what_is_pulled_by_digest_runs_locked_down_and_scores_as_the_model(
    trained: Project, pushed: str, client: DockerClient
) -> None:
    client.images.remove(built(trained).image_id, force=True)
    client.images.pull(pushed)
    made = trained.root / "artifacts" / MODEL / "full"
    rows = pl.read_parquet(made / "test.parquet").head(200)
    expected = Scorer.of(made / "model.onnx").score(rows)
    with container(client, pushed) as (running, address):
        until_ready(running, address)
        inputs = requests.get(f"{address}/v2/models/{MODEL}", timeout=10).json()["inputs"]
        columns = rows.with_columns(pl.col(pl.Boolean).cast(pl.Float64))
        assert np.array_equal(infer(address, columns, inputs), expected)
        health = running.exec_run(["python3", "-m", "ml.serve.health"])
        assert health.exit_code == 0, health.output
        who = running.exec_run(
            ["python3", "-c", "import os; print(os.getuid(), os.getgid(), os.access('/app', os.W_OK))"]
        )
        assert who.output.split() == [b"10001", b"10001", b"False"]


def test_no_torch_and_no_shell_and_the_lineage_in_the_labels(
    trained: Project, pushed: str, client: DockerClient
) -> None:
    record = built(trained)
    assert not [path for path in record.files if path.startswith(("app/lib/torch", "app/ci"))]
    assert {path.split("/")[0] for path in record.files} == {"app"}
    kept = door.labels_of(pushed)
    assert of_lineage(record.lineage).items() <= kept.items()
    assert kept["dev.trunkline.model-hash"] == record.lineage.model_hash
    assert kept["org.opencontainers.image.revision"] == trained.git("rev-parse", "HEAD")
    config = client.api.inspect_image(record.image_id)["Config"]
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["Entrypoint"][0] == "python3"


def test_the_bill_of_materials_is_in_the_image_and_beside_its_record(
    trained: Project, pushed: str, client: DockerClient
) -> None:
    beside = (trained.root / "artifacts" / MODEL / "image" / "sbom.cdx.json").read_bytes()
    with container(client, pushed) as (running, _):
        stream, _ = running.get_archive("/app/sbom.cdx.json")
        with tarfile.open(fileobj=BytesIO(b"".join(stream))) as archive:
            inside = archive.extractfile("sbom.cdx.json")
            assert inside is not None
            assert inside.read() == beside
        listed = running.exec_run(
            [
                "python3",
                "-c",
                "import importlib.metadata as m; print(*{d.name for d in m.distributions(path=['/app/lib'])})",
            ]
        )
    parts = json.loads(beside)["components"]
    python = {part["name"] for part in parts if part["bom-ref"].startswith("pkg:pypi/")}
    assert python == {*listed.output.decode().split()}
    assert "onnxruntime" in python
    assert {"libc6", "python3.11"} <= {part["name"] for part in parts if part["bom-ref"].startswith("pkg:deb/debian/")}


def test_what_was_built_and_pushed_is_neither_built_nor_pushed_again(
    trained: Project, pushed: str, docker_env: dict[str, str], image_registry: Registry
) -> None:
    puts = image_registry.asked("PUT", "/manifests/")
    again = trained.trunkline("image", MODEL, "--push", code=0, **docker_env)
    assert again.stdout.splitlines()[-1] == pushed
    assert again.stderr == ""
    assert image_registry.asked("PUT", "/manifests/") == puts


def test_the_same_inputs_give_the_same_image_elsewhere(
    project: Project, trained: Project, pushed: str, docker_env: dict[str, str]
) -> None:
    """And from nothing, too: docs/images.md has the command that shows it."""
    here = built(trained)
    (project.root / "artifacts" / MODEL / "image" / "image.json").unlink()
    project.trunkline("image", MODEL, code=0, **docker_env)
    assert built(project).config_digest == here.config_digest
    assert project.trunkline("image", MODEL, "--push", code=0, **docker_env).stdout.splitlines()[-1] == pushed


def test_a_file_that_is_never_the_same_is_named(project: Project, docker_env: dict[str, str]) -> None:
    slight(project, "RUN head -c 16 /dev/urandom > /out/app/when")
    refused = project.trunkline("image", MODEL, "--verify", code=3, **docker_env)
    assert "another image: /app/when differs" in refused.stdout


def test_a_changed_server_is_another_image_under_the_same_tag(
    project: Project, pushed: str, docker_env: dict[str, str]
) -> None:
    slight(project, "RUN echo 1 > /out/app/changed")
    project.commit("another server")
    other = project.trunkline("image", MODEL, "--push", code=0, **docker_env).stdout.splitlines()[-1]
    assert BY_DIGEST.fullmatch(other)
    assert other != pushed
    assert door.labels_of(pushed)["dev.trunkline.serving-hash"] != door.labels_of(other)["dev.trunkline.serving-hash"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("RUN echo TOKEN=1 > /out/app/.env", "/app/.env (its name is one that secrets have)"),
        ("RUN echo ghp_0123456789abcdefghijABCDEFGHIJ012345 > /out/app/notes", "looks like a GitHub token"),
        ("RUN python3 -c \"import pickle; pickle.dump([1], open('/out/app/x', 'wb'))\"", "/app/x (it is a pickle file"),
    ],
)
def test_secrets_and_pickle_files_are_refused(
    project: Project, docker_env: dict[str, str], lines: str, told: str
) -> None:
    slight(project, lines)
    (project.root / "artifacts" / MODEL / "image").mkdir(exist_ok=True)
    before = {path.name for path in (project.root / "artifacts" / MODEL / "image").iterdir()}
    refused = project.trunkline("image", MODEL, "--push", code=1, **docker_env)
    assert told in refused.stderr
    assert {path.name for path in (project.root / "artifacts" / MODEL / "image").iterdir()} == before


def test_a_model_that_was_changed_since_it_was_judged_is_refused(project: Project) -> None:
    made = lineage.of_head(project.root, MODEL)
    assert made is not None
    assert packing.pack(project.root, MODEL, made).onnx
    with (project.root / "artifacts" / MODEL / "full" / "model.onnx").open("ab") as model:
        model.write(b"\0")
    with pytest.raises(ConfigurationError, match=r"model\.onnx is not the model that was judged: its md5 is"):
        packing.pack(project.root, MODEL, made)


def test_two_at_once_make_one_image(project: Project, docker_env: dict[str, str], image_registry: Registry) -> None:
    slight(project, "RUN echo two > /out/app/two")
    project.commit("a slight server")
    puts = image_registry.asked("PUT", "/manifests/")
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(project.trunkline, "image", MODEL, "--push", code=0, **docker_env) for _ in range(2)]
        printed = {each.result().stdout.splitlines()[-1] for each in runs}
    assert len(printed) == 1
    assert BY_DIGEST.fullmatch(printed.pop())
    assert image_registry.asked("PUT", "/manifests/") == puts + 1


def test_an_uncommitted_server_is_built_and_not_pushed(project: Project, docker_env: dict[str, str]) -> None:
    slight(project)
    project.commit("a slight server")
    (project.root / "ml" / "serve" / "note.py").write_text('"""A note."""\n')
    refused = project.trunkline("image", MODEL, "--push", code=1, **docker_env)
    assert "ml/serve/note.py is not as it is committed" in refused.stderr
    assert "app/ml/serve/note.py" in built(project).files


def test_a_base_by_tag_is_refused_with_what_to_write(
    project: Project, docker_env: dict[str, str], client: DockerClient
) -> None:
    base = docker_env["TRUNKLINE_BASE_IMAGE"]
    client.images.get(base).tag("trunkline-test/python", "3.11-slim")
    told = project.trunkline(
        "image", MODEL, code=1, **{**docker_env, "TRUNKLINE_BASE_IMAGE": "trunkline-test/python:3.11-slim"}
    )
    assert f"TRUNKLINE_BASE_IMAGE={base}" in told.stderr
    told = project.trunkline("image", MODEL, code=1, **{**docker_env, "TRUNKLINE_BASE_IMAGE": "trunkline-test/none:1"})
    assert "docker pull trunkline-test/none:1" in told.stderr


def test_a_base_by_digest_is_pulled_where_it_is_missing(
    project: Project, docker_env: dict[str, str], client: DockerClient, image_registry: Registry
) -> None:
    slight(project)
    name = f"{image_registry.host}/python"
    client.images.get(docker_env["TRUNKLINE_BASE_IMAGE"]).tag(name, "slim")
    client.images.push(name, tag="slim")
    digest = door.digest_of(f"{name}:slim")
    told = project.trunkline("image", MODEL, code=1, **{**docker_env, "TRUNKLINE_BASE_IMAGE": f"{name}:slim"})
    assert f"write `base: {name}:slim@{digest}`" in told.stderr
    client.images.remove(f"{name}:slim", force=True)
    with pytest.raises(ImageNotFound):
        client.images.get(f"{name}@{digest}")
    project.trunkline("image", MODEL, code=0, **{**docker_env, "TRUNKLINE_BASE_IMAGE": f"{name}@{digest}"})
    assert built(project).labels["org.opencontainers.image.base.name"] == f"{name}@{digest}"


def test_a_failing_step_is_told_with_its_last_words(project: Project, docker_env: dict[str, str]) -> None:
    slight(project, "RUN echo the disk is on fire && exit 7")
    told = project.trunkline("image", MODEL, code=2, **docker_env)
    assert "the disk is on fire" in told.stderr
    assert "returned a non-zero code: 7" in told.stderr


def test_the_doctor_looks_for_the_base_image(project: Project, docker_env: dict[str, str]) -> None:
    def told(base: str) -> str:
        done = project.trunkline("doctor", code=None, **{**docker_env, "TRUNKLINE_BASE_IMAGE": base})
        return " ".join(done.stdout.replace("│", " ").split())

    nobody = "0" * 64
    assert "base image" not in told(docker_env["TRUNKLINE_BASE_IMAGE"])
    assert "an id that cannot be pulled; make it there" in told(f"sha256:{nobody}")
    assert "the first build pulls it" in told(f"python:3.11-slim@sha256:{nobody}")


def test_no_daemon(project: Project) -> None:
    told = project.trunkline("image", MODEL, code=2, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert "No docker daemon answers at unix:///nowhere/docker.sock" in told.stderr


def test_no_registry(project: Project, image_registry: Registry, pushed: str, docker_env: dict[str, str]) -> None:
    slight(project)
    down = f"127.0.0.1:{free_port()}"
    project.edit("params.yaml", image_registry.host, down)
    project.commit("another registry")
    told = project.trunkline("image", MODEL, "--push", code=2, **docker_env)
    assert f"The registry {down} cannot be reached" in told.stderr
    assert "@sha256:" not in told.stdout


def test_a_registry_that_gives_other_bytes_is_not_believed(
    project: Project, pushed: str, docker_env: dict[str, str], image_registry: Registry
) -> None:
    kept = door.require(pushed)
    manifest = image_registry.blob(kept.digest)
    whole = manifest.read_bytes()
    manifest.write_bytes(
        whole.replace(b"application/vnd.docker.image.rootfs.diff", b"application/vnd.docker.image.rootfs.DIFF")
    )
    try:
        told = project.trunkline("image", MODEL, "--push", code=2, **docker_env)
        assert "cannot be trusted" in told.stderr
    finally:
        manifest.write_bytes(whole)
    config = image_registry.blob(kept.config_digest)
    whole = config.read_bytes()
    config.write_bytes(whole.replace(b"churn", b"fraud"))
    try:
        with pytest.raises(EnvironmentFault, match="cannot be trusted"):
            door.labels_of(pushed)
    finally:
        config.write_bytes(whole)


def test_a_registry_with_a_login(
    project: Project, image_registry: Registry, pushed: str, docker_env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    login = {"htpasswd": {"realm": "line", "path": str(tmp_path / "htpasswd")}}
    with registry(tmp_path / "private", login) as private:
        slight(project)
        project.edit("params.yaml", image_registry.host, private.host)
        project.commit("a registry with a login")
        told = project.trunkline("image", MODEL, "--push", code=2, **docker_env)
        assert "set REGISTRY_USER and REGISTRY_PASSWORD" in told.stderr
        told = project.trunkline("image", MODEL, "--push", code=1, REGISTRY_USER="line", **docker_env)
        assert "REGISTRY_PASSWORD is not set" in told.stderr
        told = project.trunkline(
            "image", MODEL, "--push", code=2, REGISTRY_USER="line", REGISTRY_PASSWORD="wrong-horse", **docker_env
        )
        assert "wrong-horse" not in told.stdout + told.stderr
        done = project.trunkline(
            "image", MODEL, "--push", code=0, REGISTRY_USER="line", REGISTRY_PASSWORD=PASSWORD, **docker_env
        )
        assert PASSWORD not in done.stdout + done.stderr
        assert done.stdout.splitlines()[-1].startswith(f"{private.host}/trunkline/churn@sha256:")
