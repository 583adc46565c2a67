"""What every workflow and action keeps to, whoever writes the next one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.act import LABEL, STUBS

GITHUB = Path(__file__).parents[2] / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.y*ml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.y*ml"))

# Tag and commit of every action that may be used; a new one is added here after its release was looked at.
KNOWN = {
    "actions/cache": ("v5.0.5", "27d5ce7f107fe9357f9df03efb73ab90386fccae"),
    "actions/checkout": ("v7.0.1", "3d3c42e5aac5ba805825da76410c181273ba90b1"),
    "actions/download-artifact": ("v8.0.1", "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"),
    "actions/setup-python": ("v7.0.0", "5fda3b95a4ea91299a34e894583c3862153e4b97"),
    "actions/upload-artifact": ("v7.0.0", "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f"),
}
USES = re.compile(r"^\s*(?:- )?uses:\s*(?P<action>[^@\s]+)(?:@(?P<ref>\S+))?(?:\s+# (?P<tag>\S+))?\s*$")

each_file = pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: str(path.relative_to(GITHUB)))
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def load(path: Path) -> dict[Any, Any]:
    """A workflow; YAML 1.1 reads its key `on` as true."""
    return dict(yaml.safe_load(path.read_text()))


def steps(path: Path) -> list[dict[str, Any]]:
    data = load(path)
    return [step for job in data.get("jobs", {"": data.get("runs")}).values() for step in job["steps"]]


def unpinned(text: str) -> list[str]:
    """The lines of `text` that use an action other than as KNOWN has it."""
    lines = [line for line in text.splitlines() if re.match(r"\s*(- )?['\"]?uses\b", line)]
    return [line for line in lines if not _pinned(USES.match(line))]


def _pinned(match: re.Match[str] | None) -> bool:
    if match is None:
        return False
    if match["action"].startswith("./"):
        return match["ref"] is None
    repository = "/".join(match["action"].split("/")[:2])
    return KNOWN.get(repository) == (match["tag"], match["ref"])


def test_there_are_workflows_to_look_at() -> None:
    assert {path.name for path in WORKFLOWS} >= {"check.yml", "report.yml"}
    assert [path.parent.name for path in ACTIONS] == ["setup"]


@each_file
def test_every_action_is_pinned_to_a_commit_we_know(path: Path) -> None:
    text = path.read_text()
    assert unpinned(text) == []
    assert sum("uses" in step for step in steps(path)) == len(re.findall(r"\buses:", text))


@pytest.mark.parametrize(
    "line",
    [
        "- uses: actions/checkout@v7",
        "- uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",
        "- uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v6.0.0",
        "- uses: actions/checkout@0000000000000000000000000000000000000000 # v7.0.1",
        "- uses: someone/else@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
        "- uses: docker://image:latest",
        "- 'uses': actions/checkout@v7",
        "  uses : actions/checkout@v7",
    ],
)
def test_what_is_not_pinned_is_found(line: str) -> None:
    assert unpinned(line) == [line]


@each_workflow
def test_everything_is_denied_and_granted_job_by_job(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert "permissions" in job, f"{name} does not say what it may do"
        assert "timeout-minutes" in job, f"{name} may run for six hours"


def test_only_the_report_may_write_and_only_comments() -> None:
    writes = [
        (path.name, name, scope)
        for path in WORKFLOWS
        for name, job in load(path)["jobs"].items()
        for scope, access in job["permissions"].items()
        if access == "write"
    ]
    assert writes == [("report.yml", "comment", "pull-requests")]


@each_file
def test_no_expression_stands_in_a_script(path: Path) -> None:
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


@each_workflow
def test_a_step_is_one_command(path: Path) -> None:
    runs = [step["run"] for step in steps(path) if "run" in step]
    assert runs
    assert all(run.startswith("trunkline ") and "\n" not in run.strip() for run in runs)


@each_workflow
def test_no_checkout_leaves_a_token_behind(path: Path) -> None:
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_run_that_may_write_takes_no_code_of_the_pull_request() -> None:
    report = load(GITHUB / "workflows" / "report.yml")
    assert set(report[True]) == {"workflow_run"}
    for step in steps(GITHUB / "workflows" / "report.yml"):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert not step["with"].keys() & {"ref", "repository"}
        if step.get("uses", "").startswith("actions/download-artifact@"):
            assert step["with"]["path"].startswith("${{ runner.temp }}/")


def test_no_secret_but_the_token_is_named() -> None:
    for path in WORKFLOWS + ACTIONS:
        assert "secrets." not in path.read_text()


def test_the_required_check_always_runs() -> None:
    jobs = load(GITHUB / "workflows" / "check.yml")["jobs"]
    assert jobs["verdict"]["if"] == "always()"
    assert set(jobs["verdict"]["needs"]) == set(jobs) - {"verdict"}


def test_the_verdict_rests_on_what_the_workflow_knows_and_on_records_away_from_the_code() -> None:
    job = load(GITHUB / "workflows" / "check.yml")["jobs"]["verdict"]
    (verdict,) = [step for step in job["steps"] if step.get("run", "").startswith("trunkline verdict ")]
    assert verdict["if"] == "always()"
    assert verdict["env"] == {
        "PLAN_RESULT": "${{ needs.plan.result }}",
        "MODELS": "${{ needs.plan.outputs.models }}",
        "CHECK_RESULT": "${{ needs.check.result }}",
        "RECORDS": "${{ runner.temp }}/records",
    }
    before = job["steps"][: job["steps"].index(verdict)]
    (download,) = [step for step in before if step.get("uses", "").startswith("actions/download-artifact@")]
    assert download["with"] == {"pattern": "{plan,check-*}", "path": "${{ runner.temp }}/records"}


def test_a_report_is_of_one_attempt() -> None:
    job = load(GITHUB / "workflows" / "check.yml")["jobs"]["verdict"]
    (upload,) = [step for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact@")]
    assert upload["with"]["name"] == "report-${{ github.run_attempt }}"


def test_a_pull_request_is_checked_anew_when_its_base_changes() -> None:
    check = load(GITHUB / "workflows" / "check.yml")
    assert check[True]["pull_request"] == {
        "branches": ["main"],
        "types": ["opened", "synchronize", "reopened", "edited"],
    }
    assert "if" not in check["jobs"]["plan"]


def test_the_base_is_named_as_no_tag_can_be() -> None:
    assert (
        "format('refs/remotes/origin/{0}', github.base_ref)"
        in load(GITHUB / "workflows" / "check.yml")["env"]["TRUNKLINE_BASE"]
    )


def test_only_a_pull_request_cancels_its_older_run() -> None:
    assert load(GITHUB / "workflows" / "check.yml")["concurrency"] == {
        "group": "check-${{ github.event_name }}-"
        "${{ github.event_name == 'pull_request' && github.ref || github.run_id }}",
        "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
    }


def test_the_environments_key_has_all_that_decides_what_is_installed() -> None:
    made = steps(GITHUB / "actions" / "setup" / "action.yml")
    (cache,) = [step for step in made if step.get("uses", "").startswith("actions/cache@")]
    (index,) = [step for step in made if step.get("id") == "index"]
    assert index["env"] == {"INDEX": "${{ inputs.torch-index }}"}
    assert made.index(index) < made.index(cache)
    for part in ("steps.index.outputs.hash", "steps.python.outputs", "'.github/actions/setup/**'", "constraints*.txt"):
        assert part in cache["with"]["key"]


@pytest.mark.parametrize("path", ["/.github", "/ci", "/Makefile", "/dvc.yaml", "/dvc.lock", "/params.yaml"])
def test_what_could_bend_a_verdict_has_an_owner(path: str) -> None:
    assert re.search(rf"^{re.escape(path)} @\S+/\S+$", (GITHUB / "CODEOWNERS").read_text(), re.MULTILINE)


def test_every_job_runs_where_the_tests_run_it() -> None:
    assert {job["runs-on"] for path in WORKFLOWS for job in load(path)["jobs"].values()} == {LABEL}


def test_every_action_has_a_stand_in() -> None:
    used = {
        step["uses"].split("@")[0].removeprefix("actions/")
        for path in WORKFLOWS + ACTIONS
        for step in steps(path)
        if "uses" in step
    }
    for action in used - {"checkout", "./.github/actions/setup"}:
        assert (STUBS / action / "action.yml").is_file()
