"""Kill -9 after every side effect of `train` and of `release`: what is left at the end is there once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests import releases

if TYPE_CHECKING:
    from pathlib import Path

    from tests.releases import Line

STAGING, PRODUCTION = "release/churn/staging", "release/churn/production"


def killed_everywhere(line: Line, log: Path, *command: str) -> list[str]:
    """Run a command that is killed after each side effect once; the side effects, in order."""
    done = line.project.run(
        "python", "-m", "tests.faults.killer", str(line.project.root), str(log), *command, code=None, **line.outside
    )
    effects = log.read_text().splitlines()
    assert done.returncode == 0, f"after {len(effects)} effects:\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    assert "Traceback" not in done.stderr, done.stderr[-5000:]
    return effects


def has(effects: list[str], *parts: str) -> None:
    """Each of these was a point at which the command was killed."""
    for part in parts:
        assert any(part in effect for effect in effects), f"{part} was never seen among:\n" + "\n".join(effects)


@pytest.fixture(scope="module")
def untrained(merged_line: Line, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """Main before the training, with DVC's cache as it was after it, and nothing registered or pushed."""
    line = merged_line.copy(tmp_path_factory.mktemp("faults") / "project")
    line.project.git("reset", "--quiet", "--hard", "HEAD~1")
    shutil.rmtree(line.project.root / "artifacts")
    shutil.rmtree(line.project.root / ".trunkline")
    releases.slight(line.project)  # it is built at many points
    return line.moved("killed")


@pytest.fixture(scope="module")
def killed(untrained: Line, tmp_path_factory: pytest.TempPathFactory) -> tuple[Line, list[str]]:
    """The same after a training that was killed after each of its side effects, merged; and these."""
    effects = killed_everywhere(untrained, tmp_path_factory.mktemp("log") / "train", "train", "churn")
    untrained.project.commit("train churn in full")
    return untrained, effects


@pytest.fixture(scope="module")
def released(killed: tuple[Line, list[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Line, list[str]]:
    """The same after a release that was killed after each of its side effects; and these."""
    line, _ = killed
    return line, killed_everywhere(line, tmp_path_factory.mktemp("log") / "release", "release", "churn")


def test_training_converges_to_one_version(killed: tuple[Line, list[str]]) -> None:
    line, effects = killed
    has(effects, "dvc repro", "dvc push", "mlflow create_run", "mlflow log_artifacts", "mlflow create_model_version")
    has(effects, "verdict.json", "mlflow set_registered_model_alias churn candidate")
    (version,) = line.versions()
    assert [version.run_id] == line.runs()
    assert line.aliases() == {"candidate": version.version}


def test_what_a_killed_training_pushed_is_whole(killed: tuple[Line, list[str]], tmp_path: Path) -> None:
    line, _ = killed
    copy = line.copy(tmp_path / "project")
    shutil.rmtree(copy.project.root / ".dvc" / "cache")
    shutil.rmtree(copy.project.root / "artifacts")
    assert "would be proposed to staging" in copy.release("churn", "--dry-run").stdout


def test_a_release_converges_to_one_image_and_one_pull_request(released: tuple[Line, list[str]]) -> None:
    line, effects = released
    # Killed once the daemon has begun to push; it may have ended by itself when the next run asks the registry.
    has(effects, "docker build", "docker load", "killed/churn/push", "image/image.json")
    has(effects, "git push", f"refs/heads/{STAGING}", f"refs/heads/{PRODUCTION}", "refs/notes/trunkline", "git notes")
    has(effects, "pulls/000001.json", "pulls/000002.json", "mlflow set_model_version_tag churn 1 image")
    (version,) = line.versions()
    (digest,) = line.images().values()
    assert line.pulls("merged").keys() == {STAGING}
    assert line.pulls("open").keys() == {PRODUCTION}
    assert line.pulls("closed") == {}
    stable = line.released("main", "staging").spec.stable
    assert line.released(PRODUCTION, "production").spec.stable == stable
    assert (stable.digest, stable.version) == (digest, version.version)
    assert len(line.notes()) == 1


def test_production_converges_to_one_champion(
    released: tuple[Line, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    line, _ = released
    line.merge(PRODUCTION)
    effects = killed_everywhere(line, tmp_path_factory.mktemp("log") / "settle", "release", "churn")
    has(effects, "mlflow set_registered_model_alias churn champion", "git notes", "refs/notes/trunkline")
    assert line.aliases() == {"candidate": "1", "champion": "1"}
    assert len(line.notes()) == 2
    assert "every environment runs it" in line.release("churn").stdout
