"""`trunkline plan` with real git and DVC."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
import yaml

from ci.adapters.files import read_record
from ci.core.manifests.overlays import placeholder
from ci.core.records import Plan
from ci.core.release import dump, path_of
from tests.project import Project, fresh

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(checked: Project, tmp_path: Path) -> Project:
    """A clone of a repository whose dvc.lock is up to date, on a branch; nothing is made in it yet."""
    checked.run("git", "clone", "--quiet", str(checked.root), str(tmp_path / "project"))
    clone = Project(tmp_path / "project")
    clone.git("switch", "--quiet", "--create", "change")
    return clone


def plan(project: Project, *args: str, base: str = "") -> Plan:
    return Plan.model_validate_json(project.trunkline("plan", "--json", *args, TRUNKLINE_BASE=base).stdout)


def test_a_commit_and_an_uncommitted_edit_touch_their_models(project: Project) -> None:
    project.edit("ml/models/churn/params.yaml", "depth: 3", "depth: 4")
    project.commit("deeper")
    (project.root / "ml" / "models" / "fraud" / "extra.py").write_text("")
    found = plan(project)
    assert found.models == ("churn", "fraud")
    assert found.base_commit == project.git("rev-parse", "main")
    assert found.reasons["churn"][0] == "ml/models/churn/params.yaml changed"
    assert found.reasons["fraud"][0] == "ml/models/fraud/extra.py changed"
    assert read_record(project.root / "artifacts" / "plan.json", Plan) == found


def test_words_touch_nothing_in_a_fresh_clone(project: Project) -> None:
    project.edit("CHANGELOG.md", "# Changelog", "# Changelog\n")
    assert plan(project) == Plan(
        base_commit=project.git("rev-parse", "main"),
        models=(),
        reasons={},
        words="nothing that a model is made of or judged by changed (1 changed paths, 2 models)",
    )


def test_a_release_is_as_trunkline_wrote_it_for_that_place(project: Project) -> None:
    staging, production = (project.root / path_of("churn", name) for name in ("staging", "production"))
    staging.parent.mkdir(parents=True, exist_ok=True)
    production.parent.mkdir(parents=True, exist_ok=True)
    made = dump(placeholder("registry.example.com/line", "churn", "staging"))
    staging.write_text(made)
    assert plan(project).models == ()

    def refused() -> str:
        done = project.trunkline("plan", code=1)
        (sentence,) = done.stderr.strip().splitlines()
        return sentence

    staging.write_text(made.replace("canary: 0", "canary: 50"))
    project.commit("half of it, just this once")
    assert f"{path_of('churn', 'staging')}: it was edited by hand" in refused()
    production.write_text(made)
    staging.unlink()
    project.commit("straight to production")
    assert f"{path_of('churn', 'production')}: it is the release of churn in staging" in refused()
    production.write_bytes(b"\xff")
    assert "it is not a release that Trunkline wrote" in refused()
    production.unlink()
    assert plan(project).models == ()


def test_a_pin_touches_its_model(project: Project) -> None:
    path = project.root / "data.dvc"
    pins = yaml.safe_load(path.read_text())
    next(out for out in pins["outs"] if out["path"] == "data/fraud")["md5"] = "0" * 32 + ".dir"
    path.write_text(yaml.safe_dump(pins))
    found = plan(project)
    assert found.models == ("fraud",)
    assert "the data pinned as data/fraud is not the base's" in found.reasons["fraud"]


def test_github_gets_a_matrix_and_words(project: Project, tmp_path: Path) -> None:
    project.edit("ml/models/churn/params.yaml", "depth: 3", "depth: 4")
    project.trunkline("plan", GITHUB_OUTPUT=str(tmp_path / "output"), GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    outputs = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert (json.loads(outputs["models"]), outputs["any"]) == (["churn"], "true")
    assert "1 of 2 models touched: churn" in (tmp_path / "summary").read_text()


def test_the_base_is_the_one_named_or_the_workflows(project: Project) -> None:
    for words in ("one", "two"):
        project.edit("CHANGELOG.md", "# Changelog", f"# Changelog {words}")
        project.commit(words)
    assert plan(project, base="HEAD~1").base_commit == project.git("rev-parse", "HEAD~1")
    assert plan(project, "--base", "main", base="HEAD~1").base_commit == project.git("rev-parse", "main")


def test_without_an_earlier_commit_every_model_is_checked(tmp_path: Path) -> None:
    found = plan(fresh(tmp_path / "project"))
    assert found.models == ("churn", "fraud")
    assert found.words == "there is no earlier commit to compare with, so every model is checked"


def test_a_shallow_clone_is_told_how_to_fetch(checked: Project, tmp_path: Path) -> None:
    checked.run("git", "clone", "--quiet", "--depth=1", f"file://{checked.root}", str(tmp_path / "clone"))
    found = plan(Project(tmp_path / "clone"), "--base", "origin/main")
    assert found.models == ("churn", "fraud")
    assert "`fetch-depth: 0`" in found.words


def test_outside_of_a_git_repository_one_sentence_says_so(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (project.root / ".git").rename(tmp_path / "git")
    project.root.rename(outside)
    done = Project(outside).trunkline("plan", code=1, GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert done.stdout == ""
    assert "is not in a git repository" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_odd_file_names_are_told_on_a_line_each(project: Project, tmp_path: Path) -> None:
    (project.root / "ci" / "a\n::error::b_c.py").write_text("")
    (project.root / os.fsdecode(b"docs/\xff.txt")).write_text("")
    summary = tmp_path / "summary"
    said = project.trunkline("plan", GITHUB_STEP_SUMMARY=str(summary)).stdout
    assert "- churn: ci/a : :error: :b_c.py changed: code that judges every model" in said.splitlines()
    assert "b\\_c.py" in summary.read_text()
    assert all(line.startswith(("plan: ", "- ")) for line in summary.read_text().splitlines())


def test_a_folder_that_was_a_model_is_another_matter_than_shared_code(project: Project) -> None:
    folder = project.root / "ml" / "models" / "old"
    folder.mkdir()
    (folder / "params.yaml").write_text("kind: tabular\n")
    assert plan(project).models == ("churn", "fraud")
    project.commit("a model that is not listed")
    (folder / "model.py").write_text("")
    assert plan(project, "--base", "HEAD").models == ()


def test_a_committed_record_is_refused(project: Project) -> None:
    plan(project)
    project.git("add", "--force", "artifacts/plan.json")
    project.commit("forged")
    done = project.trunkline("plan", code=1)
    assert "artifacts/plan.json is tracked by git" in done.stderr
    assert "git rm --cached artifacts/plan.json" in done.stderr


def test_a_base_that_does_not_exist_is_named(project: Project) -> None:
    assert "'nowhere' is not a commit" in project.trunkline("plan", "--base", "nowhere", code=1).stderr
