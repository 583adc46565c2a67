"""`trunkline check` in a real repository: real git, DVC, training and ONNX Runtime."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import polars as pl
import pytest

from ci.adapters.files import md5, read_record
from ci.commands import data
from ci.core.records import Outcome, Verdict
from tests.project import BIN, Project, fresh

if TYPE_CHECKING:
    from pathlib import Path

RAN = re.compile(r"Running stage '([^']+)'")


def verdict(project: Project, model: str) -> Verdict:
    return read_record(project.root / "artifacts" / model / "smoke" / "verdict.json", Verdict)


def test_a_fresh_clone_is_checked_and_left_clean(checked: Project) -> None:
    for model in ("churn", "fraud"):
        assert verdict(checked, model).verdict is Outcome.PASS
        assert (checked.root / "artifacts" / model / "report.md").is_file()
    assert "fraud" in (checked.root / "artifacts" / "report.md").read_text()
    html = (checked.root / "artifacts" / "report.html").read_text()
    assert "data:image/png;base64," in html
    assert not re.search(r"""(src|href)=["']?https?:""", html)
    assert checked.git("status", "--porcelain") == ""
    assert not list((checked.root / "artifacts").rglob("*.pkl"))


def test_a_second_check_trains_nothing_and_says_the_same(project: Project) -> None:
    report = (project.root / "artifacts" / "report.md").read_bytes()
    done = project.trunkline("check")
    assert not RAN.findall(done.stderr)
    assert "fraud" in done.stdout
    assert (project.root / "artifacts" / "report.md").read_bytes() == report


def test_what_was_computed_before_is_not_computed_again(project: Project) -> None:
    for made in ("artifacts", "data/fraud", "data/churn"):
        subprocess.run(["rm", "-rf", str(project.root / made)], check=True)
    done = project.trunkline("check")
    assert not re.findall(r"^> python -m ml.stages.train", done.stderr, re.MULTILINE)
    assert verdict(project, "fraud").verdict is Outcome.PASS


def test_a_gate_that_fails_is_told_and_refuses(project: Project) -> None:
    tighten(project, "churn")
    done = project.trunkline("check", "churn", code=3)
    assert not RAN.findall(done.stderr), "a gate is no reason to train"
    found = verdict(project, "churn")
    assert found.verdict is Outcome.FAIL
    assert found.blocks
    failed = [gate for gate in found.gates if gate.verdict is Outcome.FAIL]
    assert [gate.gate for gate in failed] == ["accuracy.min"]
    report = (project.root / "artifacts" / "churn" / "report.md").read_text()
    assert report.index("accuracy.min") < 4000, "failing gates come first"


def tighten(project: Project, model: str) -> None:
    path = project.root / "ml" / "models" / model / "params.yaml"
    path.write_text(path.read_text().replace("\ngates:\n", "\ngates:\n  - {metric: accuracy, min: 0.9999}\n", 1))


def test_a_waiver_lets_a_failing_gate_through_until_it_expires(project: Project) -> None:
    tighten(project, "churn")
    waiver = project.root / "ml" / "models" / "churn" / "waivers" / "accuracy.yaml"
    waiver.parent.mkdir(exist_ok=True)
    waiver.write_text("gate: accuracy.min\nreason: agreed for the pilot\nwho: dana\nexpires: 2999-01-01\n")
    project.trunkline("check", "churn")
    assert "agreed for the pilot" in (project.root / "artifacts" / "churn" / "report.md").read_text()
    waiver.write_text(waiver.read_text().replace("2999", "2020"))
    done = project.trunkline("check", "churn", code=3)
    assert "expired" in done.stdout + (project.root / "artifacts" / "churn" / "report.md").read_text()


def test_a_hyperparameter_is_compared_with_the_merge_base_which_is_not_trained_again(project: Project) -> None:
    project.git("switch", "--quiet", "--create", "work")
    params = project.root / "ml" / "models" / "churn" / "params.yaml"
    before = params.read_text()
    params.write_text(re.sub(r"(learning_rate: )[0-9.e-]+", r"\g<1>0.083", before))
    assert params.read_text() != before
    done = project.trunkline("check", "churn")
    assert RAN.findall(done.stderr).count("train@churn-smoke") == 1, "the baseline comes from the cache"
    found = verdict(project, "churn")
    assert found.baseline is not None
    assert found.baseline.status == "compared"
    assert any(row.difference_interval is not None for row in found.metrics)
    assert any("learning_rate" in change.key for change in found.change.params)
    assert "learning_rate" in (project.root / "artifacts" / "churn" / "report.md").read_text()
    assert project.git("worktree", "list").count("\n") == 0, "the merge base's worktree is gone"


def test_on_new_data_the_baseline_is_scored_on_the_new_rows(project: Project) -> None:
    project.git("switch", "--quiet", "--create", "work")
    project.run(
        "python",
        "-m",
        "ml.models.churn.simulate",
        "--rows",
        "7500",
        "--seed",
        "7",
        "--out",
        "data/churn/customers.parquet",
    )
    project.run("dvc", "commit", "--quiet", "--force", "data.dvc")
    project.trunkline("check", "churn", code=None)
    found = verdict(project, "churn")
    assert found.baseline is not None
    assert found.baseline.status == "compared", found.baseline.reason
    assert found.change.data_hash_before != found.change.data_hash_after
    assert found.change.rows_before != found.change.rows_after
    ours = pl.read_parquet(project.root / "artifacts/churn/smoke/predictions.parquet")
    theirs = pl.read_parquet(project.root / "artifacts/churn/smoke/baseline/predictions.parquet")
    assert ours["row_id"].to_list() == theirs["row_id"].to_list()
    assert ours["score"].to_list() != theirs["score"].to_list()


def test_killed_in_the_middle_and_run_again(project: Project) -> None:
    params = project.root / "ml" / "models" / "churn" / "params.yaml"
    before = params.read_text()
    params.write_text(re.sub(r"(learning_rate: )[0-9.e-]+", r"\g<1>0.084", before))
    assert params.read_text() != before
    with subprocess.Popen(
        [str(BIN / "trunkline"), "check", "churn"],
        cwd=project.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "train@churn-smoke" in line:
                time.sleep(1.0)
                os.killpg(running.pid, signal.SIGKILL)
                break
    project.trunkline("check", "churn", code=None)
    assert verdict(project, "churn").problem is None
    assert not project.git("status", "--porcelain", "--", "artifacts")


def test_two_at_once_wait_for_each_other(project: Project) -> None:
    tighten(project, "churn")
    command = [str(BIN / "trunkline"), "check", "churn"]
    both = [
        subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [each.communicate()[1] for each in both]
    assert [each.returncode for each in both] == [3, 3], said
    assert verdict(project, "churn").verdict is Outcome.FAIL


def test_code_that_dvc_does_not_know_of_is_refused(project: Project) -> None:
    (project.root / "ml/models/churn/helpers.py").write_text('"""Unseen."""\n\nSCALE = 1.0\n')
    project.edit(
        "ml/models/churn/features.py",
        "import polars as pl\n",
        "import polars as pl\n\nfrom ml.models.churn import helpers\n",
    )
    done = project.trunkline("check", "churn", code=1)
    assert "runs ml/models/churn/helpers.py, which dvc.yaml does not name" in done.stderr


@pytest.mark.parametrize(
    "file", ["ml/stages/run.py", "ml/files.py", "ml/kinds/__init__.py", "ml/models/churn/__init__.py"]
)
def test_broken_code_never_passes_by_an_old_result(project: Project, file: str) -> None:
    path = project.root / file
    path.write_text(path.read_text() + '\nraise SystemExit("breaks every stage")\n')
    project.trunkline("check", "churn", code=2)
    assert verdict(project, "churn").verdict is Outcome.FAIL


def test_in_ci_a_forged_lock_is_no_evidence(project: Project) -> None:
    """The lock says that new code has the results of the old; DVC has those, and would bring them."""
    features = project.root / "ml/models/churn/features.py"
    honest = f"md5: {md5(features)}\n      size: {features.stat().st_size}"
    features.write_text(features.read_text() + '\nraise ValueError("it was never run")\n')
    project.edit("dvc.lock", honest, f"md5: {md5(features)}\n      size: {features.stat().st_size}")
    subprocess.run(["rm", "-rf", str(project.root / "artifacts")], check=True)
    project.run("trunkline", "check", "churn", code=1, CI="true")
    problem = verdict(project, "churn").problem
    assert problem is not None
    assert "ValueError: it was never run" in problem.message
    assert problem.file == "ml/models/churn/features.py"


def test_a_gate_that_is_taken_away_is_told_first(project: Project) -> None:
    project.git("switch", "--quiet", "--create", "lax")
    project.edit("ml/models/churn/params.yaml", "  - {metric: roc_auc, min: 0.75}\n", "")
    project.edit(
        "ml/models/churn/params.yaml", "{metric: average_precision, min: 0.5}", "{metric: average_precision, min: 0.1}"
    )
    project.trunkline("check", "churn")
    assert verdict(project, "churn").change.gates == (
        "average_precision.min: min 0.5 → min 0.1",
        "roc_auc.min (min 0.75) is gone",
    )
    report = (project.root / "artifacts/churn/report.md").read_text()
    assert "**Gate** roc\\_auc.min (min 0.75) is gone" in report


@pytest.mark.parametrize("cut", ["latency.json", "verdict.json"])
def test_what_was_cut_off_is_made_again(project: Project, cut: str) -> None:
    path = project.root / "artifacts/churn/smoke" / cut
    whole = path.read_text()
    path.write_text(whole[:30])
    project.trunkline("check", "churn")
    assert path.read_text()[:30] == whole[:30]
    assert len(path.read_text()) > 100


def test_a_verdict_that_was_touched_is_reached_again(project: Project) -> None:
    tighten(project, "churn")
    project.trunkline("check", "churn", code=3)
    path = project.root / "artifacts/churn/smoke/verdict.json"
    path.write_text(path.read_text().replace('"fail"', '"pass"'))
    project.trunkline("check", "churn", code=3)
    assert verdict(project, "churn").verdict is Outcome.FAIL


def test_reports_that_were_removed_are_written_again(project: Project) -> None:
    reports = [project.root / "artifacts" / name for name in ("report.md", "report.html", "churn/report.md")]
    for report in reports:
        report.unlink()
    project.trunkline("check")
    assert all(report.is_file() for report in reports)


def test_a_simulator_that_was_killed_is_run_again(project: Project) -> None:
    subprocess.run(["rm", "-rf", str(project.root / "data/churn"), str(project.root / ".dvc/cache")], check=True)
    (project.root / "data/churn").mkdir()
    (project.root / "data/churn/.customers.parquet.x1").write_bytes(b"half")
    project.trunkline("data")
    assert [path.name for path in (project.root / "data/churn").iterdir()] == ["customers.parquet"]


def test_a_model_needs_no_data_but_its_own(project: Project) -> None:
    subprocess.run(["rm", "-rf", *(str(project.root / made) for made in ("data", ".dvc/cache"))], check=True)
    data.ensure(project.root, ("churn",))
    assert [path.name for path in (project.root / "data").iterdir()] == ["churn"]
    assert project.git("status", "--porcelain") == ""


# --- bad input: one clear sentence and an exit code ---------------------------------------------


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr + done.stdout


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("params.yaml", "  - churn\n", "  - churn\n  - churn\n", r"churn.*twice"),
        ("params.yaml", "  - churn\n", "  - chrun\n", r"chrun.*churn"),
        ("ml/models/churn/params.yaml", "\ngates:", "\ngatez:", r"gatez.*gates"),
        ("ml/models/churn/params.yaml", "metric: roc_auc", "metric: roc_acu", r"roc_acu.*roc_auc"),
        ("ml/models/churn/params.yaml", "learning_rate:", "learning_rat:", r"learning_rat.*learning_rate"),
    ],
)
def test_a_typo_in_parameters(project: Project, file: str, before: str, after: str, told: str) -> None:
    project.edit(file, before, after)
    done = project.trunkline("check", "churn", code=1)
    assert re.search(told, sentence(done)), sentence(done)
    assert file in sentence(done)


def test_a_typo_is_annotated_on_its_line_in_github_actions(project: Project) -> None:
    project.edit("ml/models/churn/params.yaml", "metric: roc_auc", "metric: roc_acu")
    done = project.trunkline("check", "churn", code=1, GITHUB_ACTIONS="true")
    line = next(
        number
        for number, text in enumerate((project.root / "ml/models/churn/params.yaml").read_text().splitlines(), 1)
        if "roc_acu" in text
    )
    assert f"::error file=ml/models/churn/params.yaml,line={line}::" in done.stdout


def test_a_broken_rule_is_annotated_where_the_schema_declares_it(project: Project) -> None:
    rows = pl.read_parquet(project.root / "data/churn/customers.parquet")
    change(project, rows.with_columns(monthly_charges=pl.lit(-1.0)))
    done = project.trunkline("check", "churn", code=3, GITHUB_ACTIONS="true")
    schema = (project.root / "ml/models/churn/schema.py").read_text().splitlines()
    line = next(number for number, text in enumerate(schema, 1) if "monthly_charges:" in text)
    assert f"::error file=ml/models/churn/schema.py,line={line}::churn: " in done.stdout


def test_a_model_that_does_not_exist(project: Project) -> None:
    done = project.trunkline("check", "chrn", code=1)
    assert "did you mean 'churn'" in done.stderr


def test_a_model_without_a_schema(project: Project) -> None:
    (project.root / "ml/models/churn/schema.py").unlink()
    done = project.trunkline("check", "churn", code=1)
    assert "schema.py" in done.stderr


def test_no_git_repository(project: Project) -> None:
    subprocess.run(["rm", "-rf", str(project.root / ".git")], check=True)
    done = project.trunkline("check", code=1, GIT_CEILING_DIRECTORIES=str(project.root.parent))
    assert "git repository" in done.stderr


def test_data_with_other_bytes_than_pinned(project: Project) -> None:
    path = project.root / "data/churn/customers.parquet"
    replace(path, path.read_bytes() + b"x")
    done = project.trunkline("check", "churn", code=1)
    assert "data/churn has other bytes than data.dvc pins" in done.stderr


def replace(path: Path, content: bytes) -> None:
    """As an editor does it: DVC may have linked the file to its cache."""
    path.unlink()
    path.write_bytes(content)


def pin(project: Project) -> None:
    project.run("dvc", "commit", "--quiet", "--force", "data.dvc")


def test_a_truncated_parquet_file(project: Project) -> None:
    path = project.root / "data/churn/customers.parquet"
    replace(path, path.read_bytes()[:-1000])
    pin(project)
    done = project.trunkline("check", "churn", code=1)
    assert "data/churn/customers.parquet" in done.stderr
    assert verdict(project, "churn").verdict is Outcome.FAIL
    assert "customers.parquet" in (project.root / "artifacts/churn/report.md").read_text()


def change(project: Project, made: pl.DataFrame) -> None:
    path = project.root / "data/churn/customers.parquet"
    path.unlink()
    made.write_parquet(path)
    pin(project)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda rows: rows.head(0), r"empty|no rows|0 rows"),
        (lambda rows: rows.with_columns(monthly_charges=pl.lit(float("nan"))), r"monthly_charges"),
    ],
)
def test_data_that_breaks_the_schema_never_reaches_training(project: Project, spoil: object, told: str) -> None:
    assert callable(spoil)
    rows = pl.read_parquet(project.root / "data/churn/customers.parquet")
    change(project, spoil(rows))
    done = project.trunkline("check", "churn", code=None)
    assert done.returncode in {1, 3}
    assert "train@churn-smoke" not in RAN.findall(done.stderr)
    assert re.search(told, (project.root / "artifacts/churn/report.md").read_text()), done.stderr
    assert verdict(project, "churn").verdict is Outcome.FAIL


def test_a_bad_model_does_not_hide_a_good_one(project: Project) -> None:
    rows = pl.read_parquet(project.root / "data/churn/customers.parquet")
    change(project, rows.drop("tenure_months"))
    project.trunkline("check", code=None)
    assert verdict(project, "churn").verdict is Outcome.FAIL
    assert verdict(project, "fraud").verdict is Outcome.PASS


def test_with_a_cold_cache_other_data_is_no_more_welcome(project: Project) -> None:
    pins = (project.root / "data.dvc").read_text()
    path = project.root / "data/churn/customers.parquet"
    rows = pl.read_parquet(path).head(6000)
    path.unlink()
    rows.write_parquet(path)
    subprocess.run(
        ["rm", "-rf", *(str(project.root / made) for made in (".dvc/cache", ".dvc/tmp", "artifacts"))], check=True
    )
    for command in (["check", "churn"], ["data"]):
        done = project.trunkline(*command, code=1)
        assert "data/churn has other bytes than data.dvc pins" in done.stderr
        assert (project.root / "data.dvc").read_text() == pins


def damage(project: Project, path: str) -> None:
    """Change what DVC's cache holds of a file, and take the file away."""
    digest = md5(project.root / path)
    cached = project.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.chmod(0o644)
    cached.write_bytes(b"not what the name says")
    cached.chmod(0o444)


def test_a_corrupt_cache_is_no_source_of_data(project: Project) -> None:
    damage(project, "data/fraud/transactions.parquet")
    subprocess.run(["rm", "-rf", str(project.root / "data/fraud")], check=True)
    done = project.trunkline("check", "fraud", code=None)
    assert done.returncode in {0, 1}
    assert done.returncode == 0 or "data/fraud has other bytes than data.dvc pins" in done.stderr


@pytest.mark.parametrize("file", ["model.onnx", "profile.json"])
def test_a_corrupt_cache_is_no_source_of_results(project: Project, file: str) -> None:
    damage(project, f"artifacts/churn/smoke/{file}")
    subprocess.run(["rm", "-rf", str(project.root / "artifacts/churn")], check=True)
    done = project.trunkline("check", "churn", code=None)
    assert done.returncode in {1, 2}
    assert "remove .dvc/cache and artifacts" in done.stderr + done.stdout


def test_a_conflict_in_the_lock_is_told_with_the_way_out(project: Project) -> None:
    lock = project.root / "dvc.lock"
    lock.write_text("<<<<<<< ours\n" + lock.read_text() + "=======\n>>>>>>> theirs\n")
    done = project.trunkline("check", code=1)
    assert "dvc.lock cannot be read; take either side of the conflict" in done.stderr


def test_the_first_commit_has_no_baseline_and_says_so(tmp_path: Path, checked: Project) -> None:
    project = fresh(tmp_path / "first")
    project.run("dvc", "cache", "dir", "--local", str(checked.root / ".dvc/cache"))
    project.trunkline("check", "churn")
    found = verdict(project, "churn")
    assert found.baseline is not None
    assert found.baseline.status == "missing"
    assert "first commit" in found.baseline.reason
    relative = [gate for gate in found.gates if "no_worse_than" in gate.gate]
    assert relative
    assert {gate.verdict for gate in relative} == {Outcome.INCONCLUSIVE}


def test_a_shallow_clone_has_no_baseline_and_says_how_to_get_one(project: Project, tmp_path: Path) -> None:
    project.commit_empty("a second commit")
    project.run("git", "clone", "--quiet", "--depth", "1", f"file://{project.root}", str(tmp_path / "shallow"))
    shallow = Project(tmp_path / "shallow")
    shallow.run("dvc", "cache", "dir", "--local", str(project.root / ".dvc/cache"))
    shallow.trunkline("check", "churn")
    found = verdict(shallow, "churn")
    assert found.baseline is not None
    assert "fetch-depth: 0" in found.baseline.reason
