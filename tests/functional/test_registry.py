"""Reproducing a version and searching hyperparameters, with real training, DVC and MLflow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ci.adapters.mlflow import Models

if TYPE_CHECKING:
    from pathlib import Path

    from tests.project import Project

PARAMS = "ml/models/churn/params.yaml"


def test_a_version_is_reproduced_byte_for_byte(trained: Project) -> None:
    registered = Models(trained.root).get("churn", "1")
    assert registered is not None
    again = trained.trunkline("reproduce", "churn/1", "--model", "churn")
    assert f"is reproduced byte for byte: model {registered.tags['model_hash']}" in again.stdout
    assert "python -m ml.stages.train churn full" in again.stderr  # it was run, not fetched
    assert trained.git("status", "--porcelain") == ""
    assert trained.git("worktree", "list").count("\n") == 0


def test_a_lock_that_another_training_made_is_not_reproduced(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "project")
    project.edit(PARAMS, "learning_rate: 0.08", "learning_rate: 0.5")
    commit = project.commit("a parameter, but not its training")
    done = project.trunkline("reproduce", commit[:10], "--model", "churn", code=3)
    assert "churn of commit" in done.stdout
    assert "is not reproduced: model" in done.stdout
    assert re.search(r"log_loss .*beyond the tolerance", done.stdout)


def test_what_names_no_version_is_told(trained: Project) -> None:
    for ref, words in {
        "churn/99": "no release.yaml and no version in MLflow",
        "1": "version 1 of which model? Write MODEL/1",
        "HEAD~1": "pins no model that was trained in full",
        "feedfacefeedface": "nothing here is called 'feedfacefeedface'",
    }.items():
        done = trained.trunkline("reproduce", ref, code=1)
        assert words in done.stderr, ref


def test_experiments_are_recorded_once_and_ranked(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "project")
    project.trunkline("data")  # data.dvc is one whole to DVC's experiments
    none = project.trunkline("experiments", "churn", code=1)
    assert "no experiment has run churn in mode full: queue some" in none.stderr
    project.run(
        *("dvc", "exp", "run", "--queue", "--set-param", f"{PARAMS}:model.depth=2"),
        *("train@churn-full", "evaluate@churn-full"),
    )
    assert "(1 queued: `dvc queue status` says more)" in project.trunkline("experiments", "churn", code=1).stderr
    project.run("dvc", "exp", "run", "--run-all")
    done = project.trunkline("experiments", "churn").stdout
    assert "1 recorded now" in done
    rows = [line.split("│") for line in done.splitlines() if line.startswith("│")]
    assert {row[2].strip() for row in rows} == {"", "model.depth 3 → 2"}
    scores = [float(row[4]) for row in rows]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    by_loss = project.trunkline("experiments", "churn", "--by", "log_loss").stdout
    assert "0 recorded now" in by_loss
    losses = [float(line.split("│")[4]) for line in by_loss.splitlines() if line.startswith("│")]
    assert losses == sorted(losses)

    client = Models(project.root).client
    experiment = client.get_experiment_by_name("churn")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.experiment LIKE '%'")
    assert {run.data.params["model.depth"] for run in runs} == {"2"}
    assert {f"{run.data.metrics['average_precision']:.4f}" for run in runs} <= {f"{score:.4f}" for score in scores}
    assert all(run.info.status == "FINISHED" for run in runs)
    assert [version.version for version in Models(project.root).versions("churn")] == ["1"]  # none of them is a version
