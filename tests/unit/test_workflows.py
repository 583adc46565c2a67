"""What every workflow and action keeps to, whoever writes the next one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.act import LABELS, STUBS

GITHUB = Path(__file__).parents[2] / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.y*ml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.y*ml"))

# Tag and commit of every action that may be used; a new one is added here after its release was looked at.
KNOWN = {
    "actions/attest-build-provenance": ("v4.1.0", "a2bbfa25375fe432b6a289bc6b6cd05ecd0c4c32"),
    "actions/cache": ("v5.0.5", "27d5ce7f107fe9357f9df03efb73ab90386fccae"),
    "actions/checkout": ("v7.0.1", "3d3c42e5aac5ba805825da76410c181273ba90b1"),
    "actions/create-github-app-token": ("v3.1.1", "1b10c78c7865c340bc4f6099eb2f838309f1e8c3"),
    "actions/download-artifact": ("v8.0.1", "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"),
    "actions/setup-python": ("v7.0.0", "5fda3b95a4ea91299a34e894583c3862153e4b97"),
    "actions/upload-artifact": ("v7.0.0", "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f"),
}
HOSTED = "ubuntu-24.04"
GPU = ["self-hosted", "${{ vars.GPU_LABEL || 'gpu' }}"]
REMOTES = {  # the registry of models and DVC's remote
    "DVC_ACCESS_KEY_ID",
    "DVC_SECRET_ACCESS_KEY",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_USERNAME",
}


@dataclass(frozen=True)
class Grant:
    """All that one job may do and is told; a job without an environment is told no secret."""

    writes: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    environment: str | None = None
    runs_on: Any = HOSTED


GRANTS = {
    ("check.yml", "plan"): Grant(),
    ("check.yml", "check"): Grant(),
    ("check.yml", "verdict"): Grant(),
    ("report.yml", "comment"): Grant(writes=frozenset({"pull-requests"})),
    ("train.yml", "plan"): Grant(),
    ("train.yml", "train"): Grant(secrets=frozenset(REMOTES), environment="training", runs_on=GPU),
    ("train.yml", "publish"): Grant(
        writes=frozenset({"contents", "pull-requests"}),
        secrets=frozenset({"APP_PRIVATE_KEY"}),
        environment="publishing",
    ),
    ("release.yml", "plan"): Grant(),
    ("release.yml", "release"): Grant(
        writes=frozenset({"actions", "attestations", "contents", "id-token", "pull-requests"}),
        secrets=frozenset({"APP_PRIVATE_KEY", "REGISTRY_PASSWORD", "REGISTRY_USER", *REMOTES}),
        environment="release",
    ),
    ("rollout.yml", "plan"): Grant(),
    ("rollout.yml", "rollout"): Grant(
        writes=frozenset({"contents", "issues", "pull-requests"}),
        secrets=frozenset(
            {
                "APP_PRIVATE_KEY",
                "MLFLOW_TRACKING_PASSWORD",
                "MLFLOW_TRACKING_USERNAME",
                "PROMETHEUS_PASSWORD",
                "KUBECONFIG",
                "PROMETHEUS_USER",
            }
        ),
        environment="rollout",
    ),
    ("drift.yml", "plan"): Grant(),
    ("drift.yml", "drift"): Grant(
        writes=frozenset({"contents", "issues", "pull-requests"}),
        secrets=frozenset(
            {
                "APP_PRIVATE_KEY",
                "DATABASE_URL",
                "DRIFT_MAIL",
                "DRIFT_SLACK",
                "DRIFT_URL",
                "DRIFT_URL_SECRET",
                "DVC_ACCESS_KEY_ID",
                "DVC_SECRET_ACCESS_KEY",
                "PROMETHEUS_PASSWORD",
                "PROMETHEUS_USER",
            }
        ),
        environment="drift",
    ),
    ("rollback.yml", "rollback"): Grant(
        writes=frozenset({"contents", "pull-requests"}),
        secrets=frozenset(
            {
                "APP_PRIVATE_KEY",
                "MLFLOW_TRACKING_PASSWORD",
                "MLFLOW_TRACKING_USERNAME",
                "REGISTRY_PASSWORD",
                "REGISTRY_USER",
            }
        ),
        environment="rollout",
    ),
}
"""Every job of every workflow; a new one is added here after what it asks for was looked at."""

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
    assert {path.name for path in WORKFLOWS} >= {
        "check.yml",
        "drift.yml",
        "release.yml",
        "report.yml",
        "rollback.yml",
        "rollout.yml",
        "train.yml",
    }
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


def test_a_job_may_do_and_is_told_what_the_table_says_and_nothing_else() -> None:
    found = {
        (path.name, name): Grant(
            writes=frozenset(scope for scope, access in job["permissions"].items() if access == "write"),
            secrets=frozenset(re.findall(r"secrets\W+(\w+)", json.dumps(job))),
            environment=job.get("environment"),
            runs_on=job["runs-on"],
        )
        for path in WORKFLOWS
        for name, job in load(path)["jobs"].items()
    }
    assert found == GRANTS


def test_no_secret_is_told_outside_of_a_protected_environment() -> None:
    assert all(grant.environment for grant in GRANTS.values() if grant.secrets)
    for path in WORKFLOWS + ACTIONS:
        in_steps = json.dumps([{**step, "run": ""} for step in steps(path)])
        told = re.compile(r"secrets\s*[.\[:]")
        assert len(told.findall(path.read_text())) == len(told.findall(in_steps)), f"{path} tells more than one step"


def test_whoever_may_write_takes_code_from_the_default_branch_alone() -> None:
    for (workflow, name), grant in GRANTS.items():
        job = load(GITHUB / "workflows" / workflow)["jobs"][name]
        for step in job["steps"] if grant.writes else ():
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"].get("ref") in {None, "${{ github.event.repository.default_branch }}"}
                assert "repository" not in step["with"]
            if step.get("uses", "").startswith("actions/download-artifact@"):
                assert step["with"]["path"].startswith("${{ runner.temp }}/")


def test_no_environment_that_a_pull_request_could_have_left_runs_beside_secrets_or_write_permissions() -> None:
    for (workflow, name), grant in GRANTS.items():
        job = load(GITHUB / "workflows" / workflow)["jobs"][name]
        if grant.writes or grant.secrets:
            (setup,) = [step for step in job["steps"] if step.get("uses") == "./.github/actions/setup"]
            assert setup["with"]["cache"] == "false", f"{workflow}: {name}"
            assert not any(step.get("uses", "").startswith("actions/cache") for step in job["steps"])
    action = load(GITHUB / "actions" / "setup" / "action.yml")
    caches = [step for step in action["runs"]["steps"] if step.get("uses", "").startswith("actions/cache")]
    assert [step["if"] for step in caches] == ["inputs.cache == 'true'"]


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


def test_who_runs_on_what_others_left_starts_from_the_default_branch() -> None:
    assert set(load(GITHUB / "workflows" / "report.yml")[True]) == {"workflow_run"}


def test_a_fork_never_reaches_the_gpu() -> None:
    train = load(GITHUB / "workflows" / "train.yml")
    assert set(train[True]) == {"pull_request", "workflow_dispatch"}
    words = " ".join(train["jobs"]["plan"]["if"].split())
    assert words == (
        "github.event_name == 'workflow_dispatch' || (github.event.pull_request.head.repo.full_name == "
        "github.repository && (github.event.action == 'labeled' && github.event.label.name == 'train' || "
        "github.event.action == 'synchronize' && contains(github.event.pull_request.labels.*.name, 'train')))"
    )
    for name in ("train", "publish"):
        assert "needs.plan.outputs.any == 'true'" in train["jobs"][name]["if"], f"{name} runs where nothing was planned"
        assert "always()" not in train["jobs"][name]["if"]


def test_training_is_superseded_by_a_push_and_is_one_at_a_time_for_a_model() -> None:
    train = load(GITHUB / "workflows" / "train.yml")
    assert train["concurrency"] == {
        "group": "train-${{ (github.event.label.name || 'train') == 'train' "
        "&& format('{0}-{1}', github.ref, inputs.model) || github.run_id }}",
        # The lock that the bot pushes to the change starts a run too: that one waits.
        "cancel-in-progress": "${{ !(github.event_name == 'pull_request' && github.event.action == 'synchronize' "
        "&& github.event.sender.type == 'Bot') }}",
    }
    assert train["jobs"]["train"]["concurrency"] == {"group": "train-${{ matrix.model }}", "cancel-in-progress": False}


def test_what_is_trained_is_the_branch_as_it_was_pushed() -> None:
    jobs = load(GITHUB / "workflows" / "train.yml")["jobs"]
    head = "${{ github.event.pull_request.head.sha || github.sha }}"
    for name in ("plan", "train"):
        (code,) = [step for step in jobs[name]["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert code["with"]["ref"] == head
    (publish,) = [step for step in jobs["publish"]["steps"] if step.get("run", "").startswith("trunkline publish ")]
    assert publish["env"]["SHA"] == head
    (train,) = [step for step in jobs["train"]["steps"] if step.get("run", "").startswith("trunkline train ")]
    assert train["run"] == 'trunkline train "$MODEL" --branch "$BRANCH"', "that of a retraining stays red"
    assert train["env"]["BRANCH"] == publish["env"]["BRANCH"]


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
    labels = {label for grant in GRANTS.values() for label in ([grant.runs_on] if grant.runs_on == HOSTED else GPU)}
    assert {"gpu" if "gpu" in label else label for label in labels} == set(LABELS)


def test_every_action_has_a_stand_in() -> None:
    used = {
        step["uses"].split("@")[0].removeprefix("actions/")
        for path in WORKFLOWS + ACTIONS
        for step in steps(path)
        if "uses" in step
    }
    for action in used - {"./.github/actions/setup"}:
        assert (STUBS / action / "action.yml").is_file()


def test_a_release_is_one_at_a_time_for_a_model_and_never_cut_off() -> None:
    workflow = load(GITHUB / "workflows" / "release.yml")
    hourly = [{"cron": "23 * * * *"}]
    assert workflow[True] == {"push": {"branches": ["main"]}, "schedule": hourly, "workflow_dispatch": None}
    job = workflow["jobs"]["release"]
    assert job["concurrency"] == {"group": "release-${{ matrix.model }}", "cancel-in-progress": False}
    assert job["strategy"]["fail-fast"] is False
    assert workflow["concurrency"] == {"group": "release-run-${{ github.run_id }}", "cancel-in-progress": False}


def test_provenance_is_attested_of_the_digest_that_the_release_handed_over() -> None:
    job = load(GITHUB / "workflows" / "release.yml")["jobs"]["release"]
    *_, release, attest = job["steps"]
    assert (release["id"], release["run"]) == ("release", 'trunkline release "$MODEL"')
    assert attest["uses"].startswith("actions/attest-build-provenance@")
    assert attest["if"] == "${{ !cancelled() && steps.release.outputs.digest != '' }}", "also after a failed release"
    assert attest["with"] == {
        "subject-name": "${{ steps.release.outputs.repository }}",
        "subject-digest": "${{ steps.release.outputs.digest }}",
    }


@pytest.mark.parametrize(
    ("workflow", "name", "command"),
    [
        ("release.yml", "release", "release"),
        ("rollout.yml", "rollout", "rollout"),
        ("rollback.yml", "rollback", "rollback"),
        ("drift.yml", "drift", "drift"),
        ("drift.yml", "drift", "alert"),
        ("drift.yml", "drift", "retrain"),
    ],
)
def test_the_token_of_an_app_goes_before_the_workflows_own(workflow: str, name: str, command: str) -> None:
    job = load(GITHUB / "workflows" / workflow)["jobs"][name]
    (app,) = [step for step in job["steps"] if step.get("id") == "app"]
    assert app["if"] == "vars.APP_ID != ''"
    granted = {
        name.removeprefix("permission-"): access for name, access in app["with"].items() if "permission-" in name
    }
    assert granted.items() <= job["permissions"].items()
    (does,) = [step for step in job["steps"] if step.get("run", "").startswith(f"trunkline {command} ")]
    assert does["env"]["TRUNKLINE_TOKEN"] == "${{ steps.app.outputs.token }}"
    assert does["env"]["GITHUB_TOKEN"] == "${{ github.token }}"


def test_a_rollout_is_looked_at_one_at_a_time_for_a_model_and_keeps_no_rollback_waiting() -> None:
    workflow = load(GITHUB / "workflows" / "rollout.yml")
    assert set(workflow[True]) == {"schedule", "workflow_dispatch"}
    assert workflow["concurrency"] == {"group": "rollout-run-${{ github.run_id }}", "cancel-in-progress": False}
    job = workflow["jobs"]["rollout"]
    assert job["concurrency"] == {"group": "rollout-${{ matrix.model }}", "cancel-in-progress": False}
    assert job["strategy"]["fail-fast"] is False
    rollback = load(GITHUB / "workflows" / "rollback.yml")
    assert set(rollback[True]) == {"workflow_dispatch"}
    assert rollback["concurrency"] == {"group": "rollback-${{ inputs.model }}", "cancel-in-progress": False}


def test_drift_of_one_model_keeps_no_other_back_and_what_it_found_is_acted_on() -> None:
    workflow = load(GITHUB / "workflows" / "drift.yml")
    assert set(workflow[True]) == {"schedule", "workflow_dispatch"}
    job = workflow["jobs"]["drift"]
    assert job["strategy"]["fail-fast"] is False
    assert job["concurrency"] == {"group": "drift-${{ matrix.model }}", "cancel-in-progress": False}
    *_, look, keep, alert, retrain = job["steps"]
    assert look["run"] == 'trunkline drift "$MODEL" ${END:+--end="$END"}'
    assert keep["if"] == "${{ !cancelled() }}"
    assert "!artifacts/${{ matrix.model }}/drift/**/*.parquet" in keep["with"]["path"]
    for step in (alert, retrain):
        assert step["if"] == "${{ !cancelled() && steps.drift.outputs.outcome != '' }}", "an alarm ends the look with 3"
