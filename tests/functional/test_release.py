"""`trunkline release` on one machine: the local forge, a real registry, docker, DVC and MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ci.core.errors import ConfigurationError
from ci.core.image.labels import of_lineage
from tests import releases

if TYPE_CHECKING:
    from pathlib import Path

    from tests.releases import Line

STAGING, PRODUCTION = "release/churn/staging", "release/churn/production"
FILE = "k8s/models/churn/{}/release.yaml"


@pytest.fixture
def merged(merged_line: Line, tmp_path: Path) -> Line:
    """A trained churn on main that was never released, of one's own."""
    return merged_line.copy(tmp_path / "project", to=releases.path_for(tmp_path))


@pytest.fixture
def released(released_line: Line, tmp_path: Path) -> Line:
    """The same after one release: staging runs it, and production has a pull request."""
    return released_line.copy(tmp_path / "project")


@pytest.fixture
def newer(newer_line: Line, tmp_path: Path) -> Line:
    """The same with another version merged since, not released yet."""
    return newer_line.copy(tmp_path / "project")


@pytest.fixture(scope="module")
def superseding_line(newer_line: Line, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The same after that version's release. Not to be changed."""
    line = newer_line.copy(tmp_path_factory.mktemp("superseding") / "project")
    line.release("churn")
    return line


@pytest.fixture
def in_production(production_line: Line, tmp_path: Path) -> Line:
    """The released one with the pull request to production merged."""
    return production_line.copy(tmp_path / "project")


# --- what a release leaves -----------------------------------------------------------------------


def test_staging_takes_it_at_once_and_production_gets_a_pull_request(released: Line) -> None:
    assert released.pulls("merged").keys() == {STAGING}
    assert released.pulls("open").keys() == {PRODUCTION}
    pull = released.pulls()[PRODUCTION]
    assert pull.title == "Release churn 1 to production"
    assert pull.labels == ("release", "production")
    assert not pull.auto_merge
    staging, production = released.released("main", "staging"), released.released(PRODUCTION, "production")
    assert staging.spec.stable == production.spec.stable
    assert staging.spec.canary is None
    assert production.spec.canary is None
    assert f"`{staging.spec.stable.image}`" in pull.body
    assert "### Metrics" in pull.body
    assert "# Model card: churn, version 1" in pull.body


def test_the_image_is_the_one_the_registry_has_and_says_what_it_was_made_of(released: Line) -> None:
    from ci.adapters import registry

    stable = released.released("main", "staging").spec.stable
    assert released.images()[stable.lineage.lock_hash[:16]] == stable.digest
    assert of_lineage(stable.lineage).items() <= registry.labels_of(stable.image).items()


def test_the_version_is_registered_once_and_knows_its_image(released: Line) -> None:
    stable = released.released("main", "staging").spec.stable
    (version,) = released.versions()
    assert version.version == stable.version
    assert version.tags["lock_hash"] == stable.lineage.lock_hash
    assert version.tags["image"] == stable.image
    assert released.aliases() == {"candidate": "1"}


def test_the_files_build_and_the_card_lies_beside_them(released: Line) -> None:
    changed = released.project.git("--git-dir", ".trunkline/forge.git", "diff", "--name-only", f"main...{PRODUCTION}")
    assert set(changed.split()) == {f"k8s/models/churn/production/{name}" for name in ("release.yaml", "card.md")}
    card = released.at(PRODUCTION, "k8s/models/churn/production/card.md")
    assert released.released(PRODUCTION, "production").spec.stable.image in card
    released.project.git("fetch", "--quiet", ".trunkline/forge.git", PRODUCTION)
    released.project.git("checkout", "--quiet", "FETCH_HEAD")
    built = released.project.run("kubectl", "kustomize", "k8s/models/churn/production").stdout
    assert f"image: {released.released(PRODUCTION, 'production').spec.stable.image}" in built


def test_git_keeps_who_agreed(released: Line) -> None:
    (note,) = released.notes().values()
    assert note == {"pull": 1, "url": note["url"], "merged_by": "trunkline[bot]", "approved_by": []}


def test_again_there_is_nothing_to_do(released: Line) -> None:
    before = (
        released.pulls("open"),
        released.pulls("merged"),
        released.images(),
        released.versions(),
        released.notes(),
    )
    said = released.release("churn").stdout
    assert "production: #2" in said
    assert "unchanged" in said
    after = (released.pulls("open"), released.pulls("merged"), released.images(), released.versions(), released.notes())
    assert after == before


def test_a_rehearsal_writes_nothing(merged: Line) -> None:
    said = merged.release("churn", "--dry-run").stdout
    assert "churn: would be proposed to staging" in said
    assert merged.pulls() == {}
    assert not merged.images()


# --- production, and the version after it ---------------------------------------------------------


def test_once_production_has_it_the_aliases_follow_and_nothing_is_due(in_production: Line) -> None:
    assert in_production.aliases() == {"candidate": "1", "champion": "1"}
    assert {note["pull"] for note in in_production.notes().values()} == {1, 2}
    assert "churn: every environment runs it" in in_production.release("churn").stdout
    assert (
        in_production.release("--plan").stdout == "every model is released as it was merged: there is nothing to do\n"
    )


def test_the_next_version_is_a_canary_compared_with_the_champion(in_production: Line, newer_line: Line) -> None:
    releases.change(in_production.project)
    releases.slight(in_production.project)
    in_production.project.commit("another learning rate")
    in_production.project.remember(newer_line.project)
    releases.train(in_production.project)
    in_production.release("churn")
    pull = in_production.pulls()[PRODUCTION]
    assert pull.title == "Release churn 2 to production, 5 % of the traffic first"
    assert "5 % to the canary, beside stable version 1, then 25 %, 50 %, 100 %" in pull.body
    assert "Compared with the champion" in pull.body
    made = in_production.released(PRODUCTION, "production").spec
    assert (made.weights.stable, made.weights.canary) == (95, 5)
    assert made.canary is not None
    assert made.canary == in_production.released("main", "staging").spec.stable
    assert made.stable.version == "1"
    assert made.canary.digest in in_production.images().values()

    in_production.merge(PRODUCTION)
    assert "production is rolling it out, now with 5 per cent of the traffic" in in_production.release("churn").stdout
    assert in_production.aliases() == {"candidate": "2", "champion": "1", "canary": "2"}

    in_production.project.trunkline("rollback", "churn", "--reason", "it burns")
    assert in_production.released("main", "production").spec.canary is None
    assert in_production.aliases() == {"candidate": "2", "champion": "1"}
    in_production.pull()
    back = in_production.project.git("log", "-1", "--first-parent", "--format=%H")
    assert f"production took it back in {back[:12]}" in in_production.release("churn").stdout
    assert PRODUCTION not in in_production.pulls()


def test_a_newer_merge_supersedes_the_pull_request_of_the_older(newer_line: Line, superseding_line: Line) -> None:
    older, newer = newer_line.pulls()[PRODUCTION], superseding_line
    now = newer.pulls()[PRODUCTION]
    assert now.number == older.number
    assert now.title == "Release churn 2 to production"
    assert newer.released(PRODUCTION, "production").spec.stable.version == "2"
    assert {version.version for version in newer.versions()} == {"1", "2"}


def test_a_champion_that_was_merged_meanwhile_is_not_passed_over(newer_line: Line, tmp_path: Path) -> None:
    line = newer_line.copy(tmp_path / "project")
    line.release("churn", "--dry-run")
    head = line.project.git("rev-parse", "HEAD")
    line.merge(PRODUCTION)
    line.project.git("reset", "--quiet", "--hard", head)
    said = line.release("churn").stdout
    assert "judged against the wrong champion" in said
    assert line.pulls() == {}


def test_what_the_gates_do_not_let_pass_any_more_is_withdrawn(released_line: Line, tmp_path: Path) -> None:
    line = released_line.copy(tmp_path / "project")
    assert line.pulls().keys() == {PRODUCTION}
    line.pull()
    line.project.edit("ml/models/churn/params.yaml", "{metric: roc_auc, min: 0.75}", "{metric: roc_auc, min: 0.999}")
    line.project.commit("ask for more than it can")
    assert "churn is not released" in line.release("churn", code=3).stderr
    assert line.pulls() == {}
    assert line.pulls("closed").keys() == {PRODUCTION}


def test_an_older_commit_that_is_released_late_changes_nothing(superseding_line: Line, tmp_path: Path) -> None:
    newer = superseding_line.copy(tmp_path / "project")
    before = newer.pulls()
    newer.project.git("checkout", "--quiet", "HEAD~2")
    said = newer.release("churn").stdout
    assert "main has another version in its dvc.lock by now" in said
    assert newer.pulls() == before
    assert newer.release("--plan").stdout.startswith("every model is released as it was merged")


def test_what_was_taken_back_is_not_proposed_again_until_that_is_taken_back(released: Line) -> None:
    released.pull()
    released.project.git("revert", "--no-edit", "--mainline", "1", "HEAD")
    back = released.project.git("rev-parse", "HEAD")
    assert f"staging took it back in {back[:12]}" in released.release("churn").stdout
    assert released.pulls() == {}
    assert released.pulls("closed").keys() == {PRODUCTION}
    released.project.git("revert", "--no-edit", "HEAD")
    released.release("churn")
    assert released.pulls().keys() == {PRODUCTION}
    assert released.released("main", "staging").spec.stable.version == "1"


# --- refusals ------------------------------------------------------------------------------------


def refused(line: Line, code: int, *args: str, **env: str) -> str:
    """What a release that is refused says; it leaves no pull request."""
    said = line.release("churn", *args, code=code, **env).stderr
    assert line.pulls() == {}
    return said


def test_a_change_that_was_merged_without_its_full_training_is_refused(merged: Line) -> None:
    releases.change(merged.project)
    merged.project.commit("merged without full training")
    said = refused(merged, 3)
    assert "churn is not released: it was merged without its full training" in said
    assert "model modified in ml/models/churn/params.yaml" in said
    assert "run `trunkline train churn`" in said
    assert merged.release("--plan").stdout.startswith("churn: dvc.lock is behind")
    assert not merged.images()


def test_what_is_not_committed_is_not_released(merged: Line) -> None:
    merged.project.edit("ml/serve/health.py", '"""', '""" ')
    said = refused(merged, 1)
    assert "ml/serve/health.py is not as in the commit that is checked out" in said


def test_what_is_not_merged_is_not_released(merged: Line) -> None:
    merged.project.git("switch", "--quiet", "--create", "change")
    merged.project.commit_empty("not on main")
    said = refused(merged, 1)
    assert "the commit that is checked out is not on main of the local forge" in said


def test_gates_that_fail_at_the_release_refuse_it(merged: Line) -> None:
    merged.project.edit("ml/models/churn/params.yaml", "{metric: roc_auc, min: 0.75}", "{metric: roc_auc, min: 0.999}")
    merged.project.commit("asks more than the model can do")
    said = refused(merged, 3)
    assert "churn is not released: churn fails 1 of" in said
    assert "roc_auc.min" in said
    assert not merged.images()


def test_a_release_that_a_person_edited_is_refused_with_its_file(released: Line) -> None:
    released.pull()
    path = FILE.format("staging")
    released.project.edit(path, "stable: 100", "stable: 90")
    released.project.commit("by hand")
    said = released.release("churn", code=1).stderr
    assert f"{path}: it was edited by hand; take back the edit" in said
    with pytest.raises(ConfigurationError):
        released.released("main", "staging")


def test_a_branch_that_a_person_pushed_to_is_left_alone(newer: Line) -> None:
    project = newer.project
    project.git("fetch", "--quiet", ".trunkline/forge.git", PRODUCTION)
    project.git("switch", "--quiet", "--create", "mine", "FETCH_HEAD")
    theirs = project.root / "k8s/models/churn/production/kustomization.yaml"
    theirs.write_text(theirs.read_text() + "# mine\n")
    mine = project.commit("by a person")
    project.git("push", "--quiet", ".trunkline/forge.git", f"HEAD:refs/heads/{PRODUCTION}")
    project.git("switch", "--quiet", "main")
    said = newer.release("churn", code=1).stderr
    assert f"branch {PRODUCTION} has the commit {mine[:12]} by Dana Developer" in said
    assert project.git("--git-dir", ".trunkline/forge.git", "rev-parse", PRODUCTION) == mine
