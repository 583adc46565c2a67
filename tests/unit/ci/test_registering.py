"""Registering for real: MLflow on SQLite, in a repository made by hand."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from ci.adapters import files, shell
from ci.adapters import mlflow_door as door
from ci.adapters.mlflow import Models, Runs
from ci.commands import kept as keeping
from ci.commands import registering
from ci.core import registered
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.records import Outcome
from ci.core.release import Version, release
from tests.unit.ci import trained

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.ci.trained import Trained

IMAGE = "registry.example/a@sha256:" + "a" * 64


@pytest.fixture
def made(root: Path) -> Trained:
    return trained.make(root)


def register(made: Trained, report: Path | None = None) -> str:
    return registering.register(made.root, "a", made.verdict, made.lineage, report)


def all_runs(root: Path) -> list[Any]:
    client = Models(root).client
    experiment = client.get_experiment_by_name("a")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def test_a_version_knows_all_that_it_was_made_of(made: Trained) -> None:
    report = made.root / "report.md"
    report.write_text("# well")
    assert register(made, report) == "1"
    found = Models(made.root).find("a", made.lineage.lock_hash)
    assert found is not None
    assert found.tags == {
        **made.lineage.model_dump(exclude={"model"}),
        "verdict": "pass",
        "summary": "a passes all 3 gates.",
    }
    assert found.url == "models:/a/1"
    assert Models(made.root).aliases("a") == {"candidate": "1"}
    (run,) = all_runs(made.root)
    assert run.info.run_id == found.run_id
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model.depth": "3"}
    assert run.data.metrics["roc_auc"] == 0.9
    assert run.data.metrics["f1"] == 0.5
    assert run.data.tags.items() >= found.tags.items()
    assert run.data.tags["mlflow.source.git.commit"] == trained.COMMIT
    history = Models(made.root).client.get_metric_history(run.info.run_id, "loss/validation")
    assert [(each.step, each.value) for each in history] == [(step, 2 / step) for step in (1, 2, 3)]
    kept = {each.path for each in Models(made.root).client.list_artifacts(run.info.run_id)}
    assert Runs(made.root).file(run.info.run_id, "model/model.onnx") == made.artifact.read_bytes()
    assert Runs(made.root).file(run.info.run_id, "model/other.onnx") is None
    wanted = keeping.Pinned("a", None, made.lineage.model_hash, "model.onnx", "train.parquet", "0")
    assert keeping._of_mlflow(made.root, wanted, made.lineage) == {"model.onnx": made.artifact.read_bytes()}
    assert keeping._of_mlflow(made.root, replace(wanted, model_hash="0"), made.lineage) == {}
    assert kept >= {"report.md", "verdict.json", "training.json", "validation.json", "constraints.txt", "model"}


def test_the_model_in_the_registry_is_the_very_one_and_predicts(made: Trained) -> None:
    import mlflow

    register(made)
    folder = made.root / ".trunkline" / "mlartifacts"
    (kept,) = folder.rglob("model.onnx")
    assert kept.read_bytes() == made.artifact.read_bytes()
    assert (kept.parent / "requirements.txt").read_text().split()[1:] == ["numpy==2.4.6", "onnxruntime==1.31.1"]
    loaded = mlflow.pyfunc.load_model(str(kept.parent))
    signature = loaded.metadata.signature
    assert {(each.name, str(each.type), each.shape) for each in signature.inputs} == {
        ("features", "float32", (-1, 2)),
        ("contract", "object", (-1, 1)),
    }
    example = loaded.input_example
    assert example["features"].tolist() == [[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]]
    assert np.allclose(loaded.predict(example)["score"], [[0.5], [1.5], [1.5]])


def test_again_is_once_and_another_training_is_another_version(made: Trained) -> None:
    assert [register(made), register(made)] == ["1", "1"]
    assert len(all_runs(made.root)) == 1
    other = trained.make(made.root, weight=0.25)
    assert register(other) == "2"
    assert Models(made.root).aliases("a") == {"candidate": "2"}
    again = trained.make(made.root)
    assert register(again) == "1"
    assert Models(made.root).aliases("a") == {"candidate": "2"}
    assert [each.version for each in Models(made.root).versions("a")] == ["1", "2"]


def test_a_newer_verdict_of_the_same_bytes_is_told(made: Trained) -> None:
    register(made)
    later = made.verdict.model_copy(update={"verdict": Outcome.INCONCLUSIVE, "summary": "not sure"})
    registering.register(made.root, "a", later, made.lineage, None)
    found = Models(made.root).get("a", "1")
    assert found is not None
    assert (found.tags["verdict"], found.tags["summary"]) == ("inconclusive", "not sure")
    assert found.tags["lock_hash"] == made.lineage.lock_hash


def test_the_commit_of_a_version_becomes_the_one_that_pins_it(made: Trained) -> None:
    """Training registers what it made before dvc.lock is committed."""

    def git(*args: str) -> str:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        return shell.run(["git", *identity, *args], cwd=made.root).out.strip()

    def at(commit: str) -> str:
        lineage = made.lineage.model_copy(update={"commit": commit})
        number = registering.register(made.root, "a", made.verdict, lineage, None)
        found = Models(made.root).get("a", number)
        assert found is not None
        return found.tags["commit"]

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "code")
    before = git("rev-parse", "HEAD")
    assert at(before) == before
    git("add", "dvc.lock")
    git("commit", "--quiet", "--message", "lock")
    brought = git("rev-parse", "HEAD")
    assert at(brought) == brought
    git("commit", "--quiet", "--allow-empty", "--message", "later")
    assert at(git("rev-parse", "HEAD")) == brought
    assert at(before) == brought


class Killed(BaseException):
    """Nothing in the code under test catches it, as nothing catches kill -9."""


def kill_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process die after so many of MLflow's writes."""
    left = iter(range(writes - 1, -1, -1))
    ask = door.Door.ask

    def counting(self: Any, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        answer = ask(self, call, *args, **named)
        if not call.__name__.startswith(("get_", "search_")) and next(left) == 0:
            raise Killed
        return answer

    monkeypatch.setattr(door.Door, "ask", counting)


@pytest.mark.parametrize("report", [False, True])
def test_killed_after_any_write_and_run_again_it_comes_to_one_version(made: Trained, report: bool) -> None:
    path = made.root / "report.md" if report else None
    if path:
        path.write_text("# well")
    points = 0
    while True:
        points += 1
        shutil.rmtree(made.root / ".trunkline" / "mlartifacts", ignore_errors=True)
        with pytest.MonkeyPatch.context() as patch:
            kill_after(points, patch)
            try:
                register(made, path)
            except Killed:
                pass
            else:
                break
        assert register(made, path) == "1"
        assert [each.version for each in Models(made.root).versions("a")] == ["1"]
        (run,) = all_runs(made.root)
        assert run.info.status == "FINISHED"
        history = Models(made.root).client.get_metric_history(run.info.run_id, "loss/train")
        assert len(history) == trained.EPOCHS
        assert Models(made.root).aliases("a") == {"candidate": "1"}
        Models(made.root).client.delete_registered_model("a")
        Models(made.root).client.delete_run(run.info.run_id)
    assert points > 7


def test_two_at_once_come_to_one_version(made: Trained) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=register, args=(made,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert [each.version for each in Models(made.root).versions("a")] == ["1"]
    assert len(all_runs(made.root)) == 1


def test_two_on_two_machines_come_to_one_version_too(made: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no lock is shared, both may look, find nothing, and make one each."""
    models, key = Models(made.root), made.lineage.lock_hash
    other = Runs(made.root).of("a", "lock_hash", key, name="of the other machine")[0]
    find = Models.find

    def late(self: Models, model: str, lock_hash: str) -> Any:
        if not models.versions("a"):
            monkeypatch.setattr(Models, "find", find)
            models.create("a", key, run_id=other, tags={}, words="the other machine's")
            return None
        return find(self, model, lock_hash)

    run_id, _ = Runs(made.root).of("a", "other_key", "x", name="of this machine")
    monkeypatch.setattr(Models, "find", late)
    kept = Models(made.root).create("a", key, run_id=run_id, tags={}, words="this machine's")
    assert (kept.version, kept.run_id) == ("1", other)
    assert [each.version for each in models.versions("a")] == ["1"]


def test_a_run_whose_version_lost_is_taken_back(made: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    key = made.lineage.lock_hash
    other, _ = Runs(made.root).of("a", "key_of_the_other_machine", "x", name="of the other machine")
    find = Models.find

    def late(self: Models, model: str, lock_hash: str) -> Any:
        monkeypatch.setattr(Models, "find", find)
        self.create("a", key, run_id=other, tags={}, words="the other machine's")

    monkeypatch.setattr(Models, "find", late)
    assert register(made) == "1"
    assert [run.info.run_id for run in all_runs(made.root)] == [other]


def test_another_machine_that_is_faster_and_tidies_up_is_followed(
    made: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, log = made.lineage.lock_hash, registering._log

    def late(root: Path, runs: Runs, *rest: Any) -> None:
        other = runs.client.create_run(runs._experiment("a"), tags={registered.KEY: key}).info.run_id
        Models(root).create("a", key, run_id=other, tags={}, words="the other machine's")
        runs.keep_only("a", registered.KEY, key, other)
        log(root, runs, *rest)

    monkeypatch.setattr(registering, "_log", late)
    assert register(made) == "1"
    assert [each.version for each in Models(made.root).versions("a")] == ["1"]
    assert len(all_runs(made.root)) == 1


def test_a_version_that_is_taken_away_meanwhile_is_told(made: Trained) -> None:
    models = Models(made.root)
    register(made)
    models.client.delete_model_version("a", "1")
    with pytest.raises(EnvironmentFault, match=r"somebody else changed MLflow at .* run again"):
        models.tag("a", "1", {"image": IMAGE})


def test_other_bytes_are_not_registered(made: Trained) -> None:
    made.artifact.write_bytes(made.artifact.read_bytes() + b"x")
    with pytest.raises(ConfigurationError, match="it is not the model that was trained"):
        register(made)
    made.artifact.unlink()
    with pytest.raises(ConfigurationError, match="is missing; `trunkline train a` makes it"):
        register(made)
    assert Models(made.root).versions("a") == ()


def test_a_lock_that_moved_on_is_not_registered(made: Trained) -> None:
    stages = trained.lock(made.root, **{"data/a": "9" * 32 + ".dir"})
    files.write_text(made.root / "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}))
    with pytest.raises(ConfigurationError, match="lock has changed since commit cccccccccccc"):
        register(made)


def test_a_model_that_cannot_score_its_rows_is_told(made: Trained) -> None:
    (made.root / "artifacts" / "a" / "full" / "test.parquet").write_bytes(b"no table")
    with pytest.raises(ConfigurationError, match="cannot score the rows of"):
        register(made)


def version(number: str, made: Trained) -> Version:
    return Version(image=IMAGE, version=number, lineage=made.lineage)


def test_aliases_follow_production(made: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    root = made.root
    one, two = version(register(made), made), None
    other = trained.make(root, weight=0.25)
    two = version(register(other), other)
    registering.follow(root, "a", release("a", "production", stable=one))
    assert Models(root).aliases("a") == {"candidate": "2", "champion": "1"}
    registering.follow(root, "a", release("a", "production", stable=one, canary=two, weight=5))
    assert Models(root).aliases("a") == {"candidate": "2", "champion": "1", "canary": "2"}
    registering.follow(root, "a", release("a", "production", stable=two))
    assert Models(root).aliases("a") == {"candidate": "2", "champion": "2"}
    assert not capsys.readouterr().err
    lost = two.model_copy(update={"lineage": two.lineage.model_copy(update={"lock_hash": "0" * 64})})
    registering.follow(root, "a", release("a", "production", stable=lost))
    assert Models(root).aliases("a") == {"candidate": "2"}
    assert "a 000000000000, the champion of production, is not in the registry" in capsys.readouterr().err


def test_example_in_json_is_what_a_server_takes(made: Trained) -> None:
    register(made)
    (example,) = (made.root / ".trunkline" / "mlartifacts").rglob("serving_input_example.json")
    assert set(json.loads(example.read_text())["inputs"]) == {"features", "contract"}
