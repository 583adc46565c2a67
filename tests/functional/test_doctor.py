"""`trunkline doctor` on this machine, and on GitHub with all that can be wrong there."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.github import origin
from tests.github.server import Fault, GitHub, State, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.project import Project

NOWHERE = {"DOCKER_HOST": "", "MLFLOW_TRACKING_URI": ""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "served"


@pytest.fixture
def github(project: Project, folder: Path) -> Iterator[GitHub]:
    rules = ["pull_request", "required_status_checks"]
    with running(State(origin=str(origin.publish(project.root, folder)), rules=rules)) as stand:
        yield stand


def doctor(project: Project, *, code: int = 0, **env: str) -> dict[str, tuple[str, str]]:
    """What was looked at, with its state and the words, and the exit code held to `code`."""
    done = project.trunkline("doctor", code=code, **{**NOWHERE, **env})
    found: dict[str, tuple[str, str]] = {}
    what = ""
    for line in done.stdout.splitlines():
        cells = [cell.strip() for cell in line.split("│")]
        if len(cells) != 5:
            continue
        _, name, state, words, _ = cells
        what = name or what
        before = found.get(what, ("", ""))
        found[what] = (state or before[0], f"{before[1]} {words}".strip())
    return found


def on_github(
    project: Project, github: GitHub, folder: Path, *, code: int = 0, **env: str
) -> dict[str, tuple[str, str]]:
    return doctor(project, code=code, **{**origin.environment(github.url, folder, github.state), **env})


def test_without_a_token_or_a_network_the_local_line_is_well(project: Project) -> None:
    found = doctor(project)
    assert found["git"][0] == found["forge"][0] == found["DVC remote"][0] == found["kubectl"][0] == "ok"
    assert "the local forge" in found["forge"][1]
    assert found["token"] == (
        "missing",
        "GITHUB_REPOSITORY and TRUNKLINE_TOKEN or GITHUB_TOKEN are not set; with them, GitHub has them.",
    )
    assert not (project.root / ".trunkline" / "forge.git").exists()


def test_what_it_writes_it_takes_away(project: Project) -> None:
    remote = project.root / ".trunkline" / "remote"
    doctor(project)
    before = sorted(remote.rglob("*"))
    doctor(project)
    assert sorted(remote.rglob("*")) == before
    assert project.git("status", "--porcelain") == ""


def test_a_remote_that_cannot_be_written_is_broken(project: Project) -> None:
    remote = project.root / ".trunkline" / "remote"
    shutil.rmtree(remote, ignore_errors=True)
    remote.write_text("in the way")
    state, words = doctor(project, code=2)["DVC remote"]
    assert state == "broken"
    assert "cannot be written" in words


def test_no_remote_at_all_is_missing(project: Project) -> None:
    project.edit(".dvc/config", "remote = local", "")
    state, words = doctor(project)["DVC remote"]
    assert state == "missing"
    assert "dvc remote add --default" in words


def test_mlflow_that_does_not_answer_is_broken(project: Project) -> None:
    env = {"MLFLOW_TRACKING_URI": "http://me:secret@127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = project.trunkline("doctor", code=2, **{**NOWHERE, **env})
    assert "127.0.0.1:9" in done.stdout
    assert "secret" not in done.stdout


def test_a_docker_that_was_named_and_does_not_answer_is_broken(project: Project, tmp_path: Path) -> None:
    assert doctor(project, code=2, DOCKER_HOST=f"unix://{tmp_path}/none")["docker"][0] == "broken"


def test_a_registry_elsewhere_that_does_not_answer_is_broken_and_one_here_was_not_started(project: Project) -> None:
    path = project.root / "params.yaml"
    text = path.read_text()
    path.write_text(text.replace("registry: 127.0.0.1:5000/", "registry: 127.0.0.1:9/"))
    assert doctor(project)["image registry"][0] == "missing"
    path.write_text(text.replace("registry: 127.0.0.1:5000/", "registry: registry.invalid/"))
    assert doctor(project, code=2)["image registry"][0] == "broken"


def test_a_shallow_clone_is_broken(project: Project, tmp_path: Path) -> None:
    project.commit_empty("another")
    project.git("clone", "--quiet", "--depth", "1", f"file://{project.root}", str(tmp_path / "shallow"))
    state, words = doctor(type(project)(tmp_path / "shallow"), code=2)["git"]
    assert state == "broken"
    assert "git fetch --unshallow" in words


def test_a_main_that_went_apart_from_the_local_forge_is_broken(project: Project) -> None:
    script = "from pathlib import Path; from ci.adapters.forge.local import Local; Local(Path.cwd()).sync()"
    project.run("python", "-c", script)
    project.git("commit", "--quiet", "--amend", "--allow-empty", "--message", "another past")
    state, words = doctor(project, code=2)["forge"]
    assert state == "broken"
    assert "git pull .trunkline/forge.git main" in words


def test_a_repository_on_github_where_all_is_well(project: Project, github: GitHub, folder: Path) -> None:
    found = on_github(project, github, folder, TRUNKLINE_TOKEN=github.state.token, GITHUB_TOKEN="")
    wanted = ("forge", "token", "contents: write", "pull-requests: write", "actions: write", "branch protection")
    assert [(what, found[what][0]) for what in wanted] == [(what, "ok") for what in wanted]
    assert "waits for verdict" in found["branch protection"][1]
    assert "auto-merge" not in found


def test_looking_changes_nothing_there(project: Project, github: GitHub, folder: Path) -> None:
    before = project.run("git", "-C", github.state.origin, "for-each-ref").stdout
    on_github(project, github, folder)
    assert project.run("git", "-C", github.state.origin, "for-each-ref").stdout == before
    assert (github.state.pulls, github.state.dispatches, github.state.comments) == ([], [], [])


def test_a_workflows_own_token_starts_no_checks(project: Project, github: GitHub, folder: Path) -> None:
    state, words = on_github(project, github, folder, GITHUB_ACTIONS="true")["token"]
    assert state == "missing"
    assert "APP_PRIVATE_KEY" in words


def test_a_refused_token_is_broken_and_not_shown(project: Project, github: GitHub, folder: Path) -> None:
    env = {**NOWHERE, **origin.environment(github.url, folder, github.state), "GITHUB_TOKEN": "wrong-token"}
    done = project.trunkline("doctor", code=2, **env)
    assert "refused the token" in done.stdout
    assert "wrong-token" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("denied", "what", "words"),
    [
        ("POST .*/pulls", "pull-requests: write", "grant `pull-requests: write`"),
        ("POST .*/dispatches", "actions: write", "grant `actions: write`"),
    ],
)
def test_a_permission_that_lacks_is_broken(
    project: Project, github: GitHub, folder: Path, denied: str, what: str, words: str
) -> None:
    github.state.denied = [denied]
    found = on_github(project, github, folder, code=2)
    assert found[what][0] == "broken"
    assert words in found[what][1]
    assert found["branch protection"][0] == "ok"


def test_a_push_that_is_refused_is_broken(project: Project, github: GitHub, folder: Path) -> None:
    shutil.move(github.state.origin, folder / "elsewhere.git")
    github.state.origin = ""
    found = on_github(project, github, folder, code=2)
    assert found["contents: write"][0] == "broken"


def test_what_github_leaves_open_is_missing(project: Project, github: GitHub, folder: Path) -> None:
    github.state.protected, github.state.rules, github.state.allow_auto_merge = False, [], False
    github.state.workflows = []
    found = on_github(project, github, folder)
    assert {what for what, (state, _) in found.items() if state == "missing"} >= {
        "branch protection",
        "auto-merge",
        "actions: write",
    }
    assert "anyone may push to main" in found["branch protection"][1]
    github.state.rules = ["pull_request"]
    assert "takes a merge without `verdict`" in on_github(project, github, folder)["branch protection"][1]


def test_github_out_of_order_is_broken_and_the_rest_is_looked_at(
    project: Project, github: GitHub, folder: Path
) -> None:
    github.state.faults.append(Fault(method="GET", path="/repos/octo/line$", status=404, message="Not Found", times=99))
    found = on_github(project, github, folder, code=2)
    github.state.faults.clear()
    assert found["forge"][0] == "broken"
    assert found["DVC remote"][0] == "ok"


def test_a_prometheus_that_was_named_and_does_not_answer_is_broken_and_one_here_was_not_started(
    project: Project,
) -> None:
    state, words = doctor(project, code=2, TRUNKLINE_PROMETHEUS="http://127.0.0.1:9")["Prometheus"]
    assert state == "broken"
    assert "No answer came from Prometheus at http://127.0.0.1:9" in words
