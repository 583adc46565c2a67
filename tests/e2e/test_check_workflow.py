"""check.yml, run by act: what passes, what fails, and what is not run at all."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from ci.adapters.files import read_record
from ci.core.records import Outcome, Plan, Verdict
from tests.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.act import Act
    from tests.e2e.conftest import Change
    from tests.project import Project

SETUP = ROOT / ".github" / "actions" / "setup" / "setup.sh"


def test_a_good_change_passes_and_only_its_model_is_checked(passing: Change) -> None:
    assert passing.result.jobs == {"plan": "success", "check (churn)": "success", "verdict": "success"}, (
        passing.result.log
    )
    assert passing.result.code == 0
    plan = read_record(passing.act.artifact("plan") / "plan.json", Plan)
    assert plan.models == ("churn",)
    assert plan.base_commit == passing.act.project.git("rev-parse", "origin/main")


def test_the_legs_records_make_one_report(passing: Change) -> None:
    report = passing.act.artifact("report-1")
    verdict = read_record(report / "churn" / "smoke" / "verdict.json", Verdict)
    assert verdict.verdict is Outcome.PASS
    assert verdict.commit == passing.commit
    assert "churn" in (report / "report.md").read_text()
    assert (report / "report.html").is_file()
    assert list(report.glob("churn/plots/*.png"))


def test_no_rows_leave_the_runner(passing: Change, failing: Change) -> None:
    for change in (passing, failing):
        kept = [path for path in change.act.artifact("report-1").parent.rglob("*") if path.is_file()]
        assert kept
        assert [path for path in kept if path.suffix == ".parquet"] == []


def test_a_gate_that_fails_fails_the_leg_and_the_verdict(failing: Change) -> None:
    assert failing.result.jobs == {"plan": "success", "check (churn)": "failure", "verdict": "failure"}, (
        failing.result.log
    )
    assert failing.result.code == 1
    verdict = read_record(failing.act.artifact("report-1") / "churn" / "smoke" / "verdict.json", Verdict)
    assert verdict.verdict is Outcome.FAIL
    assert [gate.gate for gate in verdict.gates if gate.verdict is Outcome.FAIL] == ["roc_auc.min"]


def test_what_was_computed_before_a_failure_is_cached_all_the_same(failing: Change) -> None:
    keys = {path.name for path in (failing.act.here / "caches").iterdir()}
    assert len([key for key in keys if key.startswith("dvc-Linux-churn-")]) == 2


def test_nothing_touched_is_a_pass_with_words(pull_request: Callable[..., Change]) -> None:
    change = pull_request("words", "CHANGELOG.md", "# Changelog", "# Changelog\n\nOne more word.")
    assert change.result.jobs == {"plan": "success", "verdict": "success"}, change.result.log
    assert change.result.code == 0
    assert "nothing that a model is made of or judged by changed (1 changed paths, 2 models)" in change.result.log
    assert "pass: the plan says that no model is touched, so there is nothing to judge" in change.result.log


def test_a_plan_that_fails_fails_the_verdict(pull_request: Callable[..., Change]) -> None:
    change = pull_request("typo", "params.yaml", "models:", "modles:")
    assert change.result.jobs == {"plan": "failure", "verdict": "failure"}, change.result.log
    assert change.result.code == 1
    assert "modles" in change.result.log


def test_a_plan_that_is_committed_does_not_hide_one_that_fails(pull_request: Callable[..., Change]) -> None:
    forged = Plan(base_commit=None, models=(), reasons={}, words="nothing changed").model_dump_json()
    change = pull_request("forged", "params.yaml", "models:", "modles:", {"artifacts/plan.json": forged})
    assert change.result.jobs == {"plan": "failure", "verdict": "failure"}, change.result.log
    assert change.result.code == 1
    assert "artifacts/plan.json is tracked by git" in change.result.log


def test_a_leg_that_dies_before_its_verdict_fails_the_verdict(pull_request: Callable[..., Change]) -> None:
    change = pull_request("broken", "ml/models/churn/features.py", '"""', 'raise SystemExit(1)\n"""')
    assert change.result.jobs == {"plan": "success", "check (churn)": "failure", "verdict": "failure"}, (
        change.result.log
    )
    assert change.result.code == 1


def test_a_first_push_checks_every_model(base: Project, act: Callable[[Project, str], Act]) -> None:
    runner = act(base, "push")
    payload = {"ref": "refs/heads/main", "before": "0" * 40, "after": base.git("rev-parse", "HEAD")}
    result = runner.run("push", "check.yml", payload)
    legs = {"check (churn)": "success", "check (fraud)": "success"}
    assert result.jobs == {"plan": "success", **legs, "verdict": "success"}, result.log
    assert "there is no earlier commit to compare with, so every model is checked" in result.log
    assert {path.parent.parent.name for path in runner.artifact("report-1").rglob("verdict.json")} == {"churn", "fraud"}


def setup(project: Path, path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {**os.environ, "GITHUB_PATH": str(path / "path"), **env}
    return subprocess.run([SETUP], cwd=project, env=clean, capture_output=True, text=True, check=False)


def test_a_hosted_runner_without_an_index_of_cpu_builds_is_told_what_to_do(base: Project, tmp_path: Path) -> None:
    done = setup(base.root, tmp_path, VENV=str(tmp_path / "none"), HOSTED="true", INDEX="")
    assert done.returncode == 2
    assert ".github/torch-index" in done.stdout
    assert not (tmp_path / "none").exists()


def test_an_environment_that_is_there_is_used_as_it_is(passing: Change, tmp_path: Path) -> None:
    venv = passing.act.environment()
    done = setup(passing.act.project.root, tmp_path, VENV=str(venv), HOSTED="true", INDEX="")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "path").read_text() == f"{venv}/bin\n"


def test_a_build_with_cuda_is_refused_on_a_hosted_runner(passing: Change, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(
        'from types import SimpleNamespace\n__version__ = "2"\nversion = SimpleNamespace(cuda="13")\n'
    )
    venv = str(passing.act.environment())
    done = setup(passing.act.project.root, tmp_path, VENV=venv, HOSTED="true", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "brings CUDA" in done.stderr


@pytest.mark.parametrize(
    ("hosted", "given", "kept", "used"),
    [
        (True, "given:", "kept:", "given:"),
        (True, "", "kept:", "kept:"),
        (False, "given:", "kept:", "given:"),
        (False, "", "kept:", ""),
    ],
)
def test_the_index_is_the_input_or_on_a_hosted_runner_the_one_kept_in_the_repository(
    tmp_path: Path, hosted: bool, given: str, kept: str, used: str
) -> None:
    make = tmp_path / "bin" / "make"
    make.parent.mkdir()
    make.write_text(f'#!/bin/sh\ncase "$*" in *--question*) exit 1;; esac\necho "$TORCH_INDEX" > {tmp_path}/index\n')
    make.chmod(0o755)
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github" / "torch-index").write_text(f"{kept}\n")
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/bin/true")  # no torch here that could bring CUDA
    env = {"PATH": f"{make.parent}:{os.environ['PATH']}", "VENV": str(tmp_path / "venv")}
    done = setup(tmp_path, tmp_path, HOSTED=str(hosted).lower(), INDEX=given, **env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "index").read_text() == f"{used}\n"
