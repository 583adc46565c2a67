"""A release when something it stands on is down, gone or not what it should be: a clear refusal, nothing opened."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests import releases
from tests.docker.programs import free_port
from tests.docker.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.releases import Line

STAGING, PRODUCTION = "release/churn/staging", "release/churn/production"


@pytest.fixture
def merged(merged_line: Line, tmp_path: Path) -> Line:
    """A trained churn on main that was never released, with no image of it anywhere."""
    return merged_line.copy(tmp_path / "project", to=releases.path_for(tmp_path))


@pytest.fixture
def waiting(released_line: Line, tmp_path: Path) -> Line:
    """Staging runs the merged version, and production's pull request is not there yet."""
    line = released_line.copy(tmp_path / "project")
    pull = line.pulls()[PRODUCTION]
    line.project.git("--git-dir", ".trunkline/forge.git", "update-ref", "-d", f"refs/heads/{PRODUCTION}")
    (line.project.root / pull.url).unlink()
    return line


def refused(line: Line, code: int, **env: str) -> str:
    """What a release that is refused says; it leaves no pull request."""
    said = line.release("churn", code=code, **env).stderr
    assert line.pulls() == {}
    return said.splitlines()[-1]


def cached(line: Line, name: str) -> list[Path]:
    """Where DVC's cache and remote keep one of churn's full outputs."""
    content = (line.project.root / "artifacts/churn/full" / name).read_bytes()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    root = line.project.root
    return [root / kept / "files/md5" / md5[:2] / md5[2:] for kept in (".dvc/cache", ".trunkline/remote")]


def test_a_daemon_that_is_down(merged: Line, tmp_path: Path) -> None:
    said = refused(merged, 2, DOCKER_HOST=f"unix://{tmp_path}/none")
    assert said.startswith("trunkline: No docker daemon answers at unix://")
    assert not merged.images()


def test_a_registry_that_is_down_is_told_before_the_build(merged: Line) -> None:
    nowhere = f"127.0.0.1:{free_port()}/line"
    merged.project.edit("params.yaml", merged.registry, nowhere)
    merged.project.commit("a registry that is down")
    assert "cannot be reached" in refused(merged, 2)
    assert not (merged.project.root / "artifacts/churn/image").exists(), "nothing is built that cannot be pushed"


def test_a_registry_that_lost_the_image_staging_runs(waiting: Line, image_registry: Registry) -> None:
    stable = waiting.released("main", "staging").spec.stable
    kept = image_registry.blob(stable.digest)
    content = kept.read_bytes()
    kept.unlink()
    try:
        assert "registry has no image" in refused(waiting, 2)
    finally:
        kept.write_bytes(content)


def test_an_image_with_other_bytes_than_its_digest(waiting: Line, image_registry: Registry) -> None:
    stable = waiting.released("main", "staging").spec.stable
    kept = image_registry.blob(stable.digest)
    content = kept.read_bytes()
    kept.write_bytes(content.replace(b'"size": ', b'"size":  ', 1) if b'"size": ' in content else content + b" ")
    try:
        said = refused(waiting, 2)
        assert "digest" in said or "answered 500" in said or "answered 404" in said or "no image" in said
    finally:
        kept.write_bytes(content)


def test_an_image_that_was_made_of_something_else(waiting: Line, newer_line: Line) -> None:
    """release.yaml of staging names an image of another version, and was sealed anew by whoever wrote it."""
    from ci.core.release import dump, path_of, release

    newer_line.release("churn")
    other = newer_line.released("main", "staging").spec.stable
    waiting.pull()
    stable = waiting.released("main", "staging").spec.stable
    forged = release("churn", "staging", stable=stable.model_copy(update={"image": other.image}))
    (waiting.project.root / path_of("churn", "staging")).write_text(dump(forged))
    waiting.project.commit("another image")
    said = refused(waiting, 2)
    assert "it is not the image that was released" in said
    assert "org.opencontainers.image.revision" in said or "dev.trunkline." in said


def test_a_database_that_another_program_holds(merged: Line) -> None:
    with closing(sqlite3.connect(merged.project.root / ".trunkline" / "mlflow.db")) as held:
        held.execute("BEGIN EXCLUSIVE")
        said = refused(merged, 2)
    assert "database is locked; end the program that holds it" in said
    assert not merged.images()


def test_an_mlflow_that_is_down(merged: Line) -> None:
    uri = f"http://user:hidden@127.0.0.1:{free_port()}"
    said = refused(
        merged,
        2,
        MLFLOW_TRACKING_URI=uri,
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    )
    assert "does not answer" in said
    assert "hidden" not in said
    assert not merged.images()


def test_a_remote_without_the_object(merged: Line) -> None:
    for path in cached(merged, "model.onnx"):
        path.unlink()
    shutil.rmtree(merged.project.root / "artifacts")
    said = refused(merged, 2)
    assert (
        "artifacts/churn/full/model.onnx is pinned by dvc.lock, but neither DVC's cache nor its remote has it" in said
    )
    assert not merged.images()


def test_a_model_that_was_tampered_with_in_the_remote(merged: Line) -> None:
    here, there = cached(merged, "model.onnx")
    shutil.rmtree(merged.project.root / "artifacts")
    here.unlink()
    there.chmod(0o644)
    there.write_bytes(there.read_bytes() + b"\0")
    said = refused(merged, 2)
    assert "artifacts/churn/full/model.onnx" in said
    # DVC itself throws a damaged object out of a remote that is a folder; another kind of remote hands it over.
    assert "neither DVC's cache nor its remote has it" in said or "has other bytes in DVC's remote" in said
    assert not merged.images()


def test_a_model_that_was_tampered_with_at_hand_is_put_right(merged: Line) -> None:
    model = merged.project.root / "artifacts/churn/full/model.onnx"
    content = model.read_bytes()
    model.unlink()
    model.write_bytes(content + b"\0")
    assert "would be proposed to staging" in merged.release("churn", "--dry-run").stdout
    assert model.read_bytes() == content


def test_one_model_that_is_refused_keeps_no_other_back(released_line: Line, tmp_path: Path) -> None:
    line = released_line.copy(tmp_path / "project")
    line.pull()
    releases.add_model(line.project, "loyal")
    line.project.commit("a second model, without its full training")
    done = line.release(code=3)
    assert "trunkline: loyal is not released" in done.stderr
    assert "churn: production: #2" in done.stdout
