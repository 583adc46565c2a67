"""Which commit a trained version is known by, in histories that merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ci.commands.lineage import of_head, of_worktree
from ci.core.errors import ConfigurationError
from tests.functional.test_trace import PARAMS, lock
from tests.history import Past
from tests.project import Project

if TYPE_CHECKING:
    from pathlib import Path


def test_the_commit_is_the_one_that_brought_the_entries(tmp_path: Path) -> None:
    past = Past()
    past.commit("A repository", PARAMS)
    past.commit("Both trained", {"dvc.lock": lock(churn="a", fraud="a")})
    past.commit("churn again", {"dvc.lock": lock(churn="b", fraud="a")})
    for number in range(5):  # other models come and go; this one's entries stay
        past.commit(f"fraud {number}", {"dvc.lock": lock(churn="b", fraud=f"x{number}")})
    past.commit("Words", {"README.md": "words\n"})
    commits = past.write(tmp_path / "project")
    churn, fraud = of_head(tmp_path / "project", "churn"), of_head(tmp_path / "project", "fraud")
    assert churn is not None
    assert fraud is not None
    assert (churn.commit, fraud.commit) == (commits[2], commits[7])
    assert churn.model_hash == "btrain"
    assert churn.lock_hash != fraud.lock_hash


def test_entries_that_came_back_are_known_by_the_commit_that_brought_them_back(tmp_path: Path) -> None:
    past = Past()
    for churn in ("a", "b", "a", "a"):
        past.commit(
            "Train", {"dvc.lock": lock(churn=churn, fraud=churn + "x")} | {"README.md": f"{churn} {past.count}\n"}
        )
    commits = past.write(tmp_path / "project")
    found = of_head(tmp_path / "project", "churn")
    assert found is not None
    assert found.commit == commits[2]


def test_a_merged_branch_is_known_by_its_merge(tmp_path: Path) -> None:
    past = Past()
    past.commit("Both trained", {"dvc.lock": lock(churn="a", fraud="a")})
    past.write(tmp_path / "project")
    project = Project(tmp_path / "project")
    project.git("switch", "-qc", "change")
    (project.root / "dvc.lock").write_text(lock(churn="b", fraud="a"))
    project.commit("Train churn")
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--no-ff", "-m", "Merge", "change")
    made = of_head(project.root, "churn")
    assert made is not None
    assert made.commit == project.git("rev-parse", "HEAD")


def test_what_was_never_trained_has_none(tmp_path: Path) -> None:
    past = Past()
    past.commit("A repository", PARAMS)
    past.commit("One of them", {"dvc.lock": lock(churn="a")})
    past.write(tmp_path / "project")
    assert of_head(tmp_path / "project", "fraud") is None


def test_a_working_tree_has_the_lineage_of_the_lock_that_lies_in_it(tmp_path: Path) -> None:
    past = Past()
    past.commit("One of them", {"dvc.lock": lock(churn="a")})
    (commit,) = past.write(tmp_path / "project")
    (tmp_path / "project" / "dvc.lock").write_text(lock(churn="c"))
    here = of_worktree(tmp_path / "project", "churn")
    assert here is not None
    assert (here.model_hash, here.commit) == ("ctrain", commit)


def test_a_shallow_clone_that_hides_it_is_told(tmp_path: Path) -> None:
    past = Past()
    past.commit("One of them", {"dvc.lock": lock(churn="a")})
    past.commit("Words", {"README.md": "words\n"})
    past.write(tmp_path / "project")
    project = Project(tmp_path / "project")
    project.run("git", "clone", "-q", "--depth=1", f"file://{project.root}", str(tmp_path / "shallow"))
    with pytest.raises(ConfigurationError, match="git fetch --unshallow"):
        of_head(tmp_path / "shallow", "churn")


def test_a_lock_that_was_broken_once_stands_in_nobodys_way(tmp_path: Path) -> None:
    past = Past()
    past.commit("One of them", {"dvc.lock": lock(churn="a")})
    past.commit("A bad merge", {"dvc.lock": "<<<<<<< HEAD\n"})
    past.commit("Mended", {"dvc.lock": lock(churn="a")})
    commits = past.write(tmp_path / "project")
    made = of_head(tmp_path / "project", "churn")
    assert made is not None
    assert made.commit == commits[2]
