"""`trunkline train` in a real repository: real git, DVC, training, MLflow; what a release of it would stand on."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
import polars as pl
import pytest

from ci.adapters import dvc
from ci.adapters.files import md5, read_record
from ci.adapters.mlflow import Models
from ci.commands import full
from ci.commands.lineage import of_head
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.lineage import all_stages_of, entries_of
from ci.core.records import Outcome, Plan, Verdict
from ci.core.release import Version, dump, path_of, release
from ci.core.releasing import Refused
from tests import releases
from tests.project import BIN, Project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

RAN = re.compile(r"Running stage '([^']+)'")
FULL = all_stages_of("churn", "full")
RELEASE = path_of("churn", "production")
MODEL = "artifacts/churn/full/model.onnx"


@pytest.fixture
def line(trained: Project, tmp_path: Path) -> Project:
    """A trained project of one's own."""
    return trained.copy(tmp_path / "line")


@pytest.fixture(scope="module")
def production(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same with its version in production. Not to be changed."""
    project = trained.copy(tmp_path_factory.mktemp("production") / "line")
    promote(project)
    return project


@pytest.fixture(scope="module")
def challenged(production: Project, tmp_path_factory: pytest.TempPathFactory) -> Challenge:
    """A candidate with another learning rate. Not to be changed."""
    project = production.copy(tmp_path_factory.mktemp("challenged") / "line")
    change(project)
    return Challenge(project, trainings(project.trunkline("train", "churn")))


@pytest.fixture(scope="module")
def renewed(production: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A candidate trained on new data, which lacks the customers of two years. Not to be changed."""
    project = production.copy(tmp_path_factory.mktemp("renewed") / "line")
    project.edit("ml/models/churn/params.yaml", "rows: old, margin: 0.01", "rows: old, margin: 0.002")
    path = project.root / "data/churn/customers.parquet"
    rows = pl.read_parquet(path).filter(pl.col("contract") != "two-year")
    path.unlink()
    rows.write_parquet(path)
    project.run("dvc", "commit", "--quiet", "--force", "data.dvc")
    shutil.rmtree(project.root / "artifacts")
    project.trunkline("train", "churn", code=None)
    return project


@dataclass(frozen=True)
class Challenge:
    """A candidate beside a champion, and how often something was trained for it."""

    project: Project
    trainings: int


def promote(project: Project) -> str:
    """Let production run the version that HEAD pins; gives the commit of its lineage."""
    lineage = of_head(project.root, "churn")
    assert lineage is not None
    image = f"127.0.0.1:5000/trunkline/churn@sha256:{'0' * 64}"
    stable = Version(image=image, version="1", lineage=lineage)
    path = project.root / RELEASE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump(release("churn", "production", stable=stable)))
    project.commit("churn is in production")
    return lineage.commit


def verdict(project: Project) -> Verdict:
    return read_record(project.root / "artifacts/churn/full/verdict.json", Verdict)


def change(project: Project) -> None:
    project.edit("ml/models/churn/params.yaml", "learning_rate: 0.08", "learning_rate: 0.083")


def remote(project: Project, digest: str) -> Path:
    """Where DVC's remote has a file."""
    return project.root / ".trunkline/remote/files/md5" / digest[:2] / digest[2:]


def forget(project: Project) -> None:
    """As on a machine that never trained: nothing but git and DVC's remote."""
    for made in ("artifacts", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project.root / made, ignore_errors=True)


def trainings(done: subprocess.CompletedProcess[str]) -> int:
    return RAN.findall(done.stderr).count("train@churn-full")


# --- what it leaves ------------------------------------------------------------------------------


def test_the_first_training_has_no_champion_and_says_so(trained: Project) -> None:
    found = verdict(trained)
    assert (found.mode, found.baseline and found.baseline.kind) == ("full", "champion")
    assert found.baseline is not None
    assert (found.baseline.status, found.baseline.reason) == ("missing", "nothing is in production yet")
    relative = [gate for gate in found.gates if gate.gate.endswith("no_worse_than.champion")]
    assert {gate.verdict for gate in relative} == {Outcome.INCONCLUSIVE}
    assert {gate.reason for gate in relative} == {"nothing to compare with: nothing is in production yet"}
    assert not found.blocks


def test_it_is_pinned_pushed_and_registered(trained: Project) -> None:
    lineage = of_head(trained.root, "churn")
    assert lineage is not None
    assert lineage.commit == trained.git("rev-parse", "HEAD")
    assert lineage.model_hash == md5(trained.root / MODEL) == verdict(trained).candidate_hash
    pushed = {digest for stage in FULL for digest in dvc.outs(dvc.lock_of(trained.root), stage).values()}
    assert all(md5(remote(trained, digest)) == digest for digest in pushed)
    models = Models(trained.root)
    assert models.aliases("churn") == {"candidate": "1"}
    known = models.find("churn", lineage.lock_hash)
    assert known is not None
    assert known.version == "1"
    assert "churn" in (trained.root / "artifacts/churn/full/report.md").read_text()
    assert (trained.root / "artifacts/churn/full/plots").is_dir()


def test_nothing_is_left_to_commit_and_the_smoke_verdict_stands(trained: Project) -> None:
    assert trained.git("status", "--porcelain") == ""
    smoke = read_record(trained.root / "artifacts/churn/smoke/verdict.json", Verdict)
    assert smoke.mode == "smoke"
    assert "churn" in (trained.root / "artifacts/churn/report.md").read_text()


def test_a_second_run_trains_nothing_and_registers_nothing(line: Project) -> None:
    done = line.trunkline("train", "churn")
    assert not RAN.findall(done.stderr)
    assert [one.version for one in Models(line.root).versions("churn")] == ["1"]
    assert line.git("status", "--porcelain") == ""


def test_what_was_trained_elsewhere_is_fetched_and_not_trained(line: Project) -> None:
    forget(line)
    done = line.trunkline("train", "churn")
    assert trainings(done) == 0
    assert (line.root / MODEL).is_file()


def test_in_ci_the_word_of_the_lock_is_no_training(line: Project) -> None:
    forget(line)
    pinned = md5_of_model(line)
    done = line.trunkline("train", "churn", CI="true")
    assert trainings(done) == 1
    assert md5(line.root / MODEL) == pinned == md5_of_model(line)


def md5_of_model(project: Project) -> str:
    return dvc.outs(dvc.lock_of(project.root), "train@churn-full")[MODEL]


def test_with_the_remote_gone_it_is_trained_again(line: Project) -> None:
    forget(line)
    shutil.rmtree(line.root / ".trunkline/remote")
    done = line.trunkline("train", "churn")
    assert "neither DVC's cache nor its remote has it" in done.stderr
    assert trainings(done) == 1
    assert remote(line, md5_of_model(line)).is_file()


def test_a_gate_that_fails_refuses_and_nothing_is_pushed_or_registered(line: Project) -> None:
    change(line)
    line.edit("ml/models/churn/params.yaml", "{metric: roc_auc, min: 0.75}", "{metric: roc_auc, min: 0.999}")
    line.trunkline("train", "churn", code=3)
    assert verdict(line).verdict is Outcome.FAIL
    assert not remote(line, md5_of_model(line)).exists()
    assert [one.version for one in Models(line.root).versions("churn")] == ["1"]
    assert "roc\\_auc.min" in (line.root / "artifacts/churn/full/report.md").read_text()


def test_on_the_branch_of_a_retraining_what_is_inconclusive_is_refused(line: Project) -> None:
    line.trunkline("train", "churn", "--branch", "retrain/churn", code=4)
    line.trunkline("train", "churn", "--branch", "change")


def test_a_stage_that_stops_is_told(line: Project) -> None:
    features = line.root / "ml/models/churn/features.py"
    features.write_text(features.read_text() + '\nraise ValueError("no features")\n')
    line.run("trunkline", "train", "churn", code=1)
    problem = verdict(line).problem
    assert problem is not None
    assert "no features" in problem.message


def test_two_at_once_train_once(line: Project) -> None:
    change(line)
    command = [str(BIN / "trunkline"), "train", "churn"]
    both = [subprocess.Popen(command, cwd=line.root, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate()[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert sum(len(RAN.findall(one)) for one in said) == 3, "train, evaluate and profile, once"
    assert [one.version for one in Models(line.root).versions("churn")] == ["1", "2"]


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_number_of_processes_that_is_none_is_told(line: Project, number: str) -> None:
    done = line.trunkline("train", "churn", "--processes", number, code=1)
    assert "give 1 or more" in done.stderr


# --- the champion --------------------------------------------------------------------------------


def test_the_candidate_is_compared_with_the_champion_which_is_not_trained_again(
    challenged: Challenge, production: Project
) -> None:
    made = of_head(production.root, "churn")
    assert made is not None
    assert challenged.trainings == 1, "the candidate alone"
    found = verdict(challenged.project)
    assert found.baseline is not None
    assert (found.baseline.status, found.baseline.commit) == ("compared", made.commit)
    assert found.baseline.model_hash == made.model_hash != found.candidate_hash
    assert found.base_commit == made.commit
    relative = [gate for gate in found.gates if gate.gate.endswith("no_worse_than.champion") and gate.slice is None]
    assert relative
    assert all(gate.interval is not None for gate in relative)
    assert any("learning_rate" in one.key for one in found.change.params)
    assert "the champion" in (challenged.project.root / "artifacts/churn/full/report.md").read_text()
    assert challenged.project.git("worktree", "list").count("\n") == 0, "the champion's worktree is gone"


def test_the_champion_itself_is_unchanged(production: Project, tmp_path: Path) -> None:
    found = full.judge(production.copy(tmp_path / "line").root, "churn").baseline
    assert found is not None
    assert found.status == "unchanged"


def test_on_new_data_the_champion_is_scored_on_the_new_rows_by_its_own_code(renewed: Project) -> None:
    found = verdict(renewed)
    assert found.baseline is not None
    assert found.baseline.status == "compared", found.baseline.reason
    assert (found.change.rows_before, found.change.rows_after) == (7000, 5359)
    here = renewed.root / "artifacts/churn/full"
    ours, theirs = (pl.read_parquet(here / name) for name in ("predictions.parquet", "baseline/predictions.parquet"))
    assert ours["row_id"].to_list() == theirs["row_id"].to_list()
    assert ours["score"].to_list() != theirs["score"].to_list()


def test_a_candidate_that_forgot_is_refused_though_it_does_well_on_the_newest_rows(renewed: Project) -> None:
    found = verdict(renewed)
    gates = {gate.gate: gate for gate in found.gates}
    old = gates["roc_auc.no_worse_than.champion.on_old_rows"]
    assert gates["roc_auc.no_worse_than.champion"].verdict is Outcome.PASS
    assert [gate for gate in found.gates if gate.blocks] == [old]
    assert (old.verdict, found.verdict) == (Outcome.FAIL, Outcome.FAIL)
    here = renewed.root / "artifacts/churn/full"
    mine, theirs = (pl.read_parquet(here / "old" / f"{name}.parquet") for name in ("predictions", "champion"))
    assert mine["row_id"].to_list() == theirs["row_id"].to_list()
    assert mine["label"].to_list() == theirs["label"].to_list()
    again = pl.read_parquet(here / "predictions.parquet").join(mine, on=["row_id", "score"], how="semi")
    assert found.old is not None
    assert (found.old.rows, found.old.scored, found.old.trained) == (old.n, mine.height - again.height, 0)
    assert found.old.scored == mine["contract"].value_counts().filter(pl.col("contract") == "two-year")["count"][0]
    report = (here / "report.md").read_text()
    assert f"forgotten is asked on the {mine.height:,} test rows that the champion was judged on" in report
    assert "the champion's own test rows" in report


def test_on_the_same_rows_nothing_more_is_scored(challenged: Challenge) -> None:
    gates = {gate.gate: gate for gate in verdict(challenged.project).gates}
    new, old = (gates[f"roc_auc.no_worse_than.champion{on}"] for on in ("", ".on_old_rows"))
    assert (old.value, old.baseline, old.n) == (new.value, new.baseline, new.n)
    folder = challenged.project.root / "artifacts/churn/full/old"
    assert sorted(path.name for path in folder.iterdir()) == ["champion.parquet", "key", "old.json"]


def test_a_champion_that_cannot_read_the_new_rows_leaves_it_undecided(production: Project, tmp_path: Path) -> None:
    line = production.copy(tmp_path / "line")
    path = line.root / "data/churn/customers.parquet"
    rows = pl.read_parquet(path).rename({"tenure_months": "tenure"}).head(6000)
    path.unlink()
    rows.write_parquet(path)
    line.run("dvc", "commit", "--quiet", "--force", "data.dvc")
    for name in ("schema", "features"):
        code = line.root / f"ml/models/churn/{name}.py"
        code.write_text(code.read_text().replace("tenure_months", "tenure"))
    line.run("dvc", "repro", "--quiet", "--single-item", *FULL)
    found = full.judge(line.root, "churn")
    assert found.baseline is not None
    assert found.baseline.status == "missing", found.baseline
    assert "its code cannot read the new rows" in found.baseline.reason
    relative = [gate for gate in found.gates if gate.gate.endswith("no_worse_than.champion")]
    assert {gate.verdict for gate in relative} == {Outcome.INCONCLUSIVE}
    assert {gate.blocks for gate in relative} == {True}, "production is not replaced by what it was not compared with"


def test_a_champion_whose_files_are_gone_is_told_and_not_trained(challenged: Challenge, tmp_path: Path) -> None:
    line = challenged.project.copy(tmp_path / "line")
    champion = verdict(line).baseline
    assert champion is not None
    digest = str(champion.model_hash)
    shutil.rmtree(line.root / "artifacts/churn/full/baseline")
    (line.root / "artifacts/churn/full/verdict.key").unlink()
    for place in (".trunkline/remote", ".dvc/cache"):
        (line.root / place / "files/md5" / digest[:2] / digest[2:]).unlink()
    with pytest.raises(EnvironmentFault, match="but neither DVC's cache nor its remote has it") as caught:
        full.judge(line.root, "churn")
    assert caught.value.message.startswith(MODEL)
    assert line.git("worktree", "list").count("\n") == 0


def test_a_release_that_was_edited_by_hand_is_refused(production: Project, tmp_path: Path) -> None:
    line = production.copy(tmp_path / "line")
    line.edit(RELEASE, "weights:\n    stable: 100", "weights:\n    stable: 99")
    done = line.trunkline("train", "churn", code=1)
    assert f"{RELEASE}: it was edited by hand" in done.stderr


def test_a_release_that_history_does_not_bear_out_is_refused(production: Project, tmp_path: Path) -> None:
    line = production.copy(tmp_path / "line")
    lineage = of_head(line.root, "churn")
    assert lineage is not None
    for update, told in (
        ({"commit": "0" * 40}, "which is not in this clone; fetch all of history"),
        ({"model_hash": "0" * 32}, "but dvc.lock pins another version there"),
        ({"commit": line.git("rev-list", "--max-parents=0", "HEAD")}, "but dvc.lock pins another version there"),
    ):
        forged = Version(image=f"h/x@sha256:{'0' * 64}", version="1", lineage=lineage.model_copy(update=update))
        (line.root / RELEASE).write_text(dump(release("churn", "production", stable=forged)))
        with pytest.raises(ConfigurationError, match=told) as caught:
            full.judge(line.root, "churn")
        assert RELEASE in caught.value.message


# --- what is pinned, put in place and judged without training --------------------------------------


def test_what_is_pinned_is_pulled_and_judged_as_it_is(production: Project, tmp_path: Path) -> None:
    line = production.copy(tmp_path / "line")
    before = verdict(line)
    forget(line)
    shutil.rmtree(line.root / "data")
    full.pull(line.root, "churn")
    assert not (line.root / "data").exists(), "nothing else is touched"
    found = full.judge(line.root, "churn")
    assert found.candidate_hash == before.candidate_hash == md5(line.root / MODEL)
    assert found.baseline is not None
    assert found.baseline.status == "unchanged"
    assert not found.blocks


def test_new_rows_are_fetched_for_the_champion_where_nothing_else_needs_them(renewed: Project, tmp_path: Path) -> None:
    line = renewed.copy(tmp_path / "line")
    line.run("dvc", "push", "--quiet", "data/churn", *FULL)
    forget(line)
    shutil.rmtree(line.root / "data")
    full.pull(line.root, "churn")
    found = full.judge(line.root, "churn")
    assert found.baseline is not None
    assert found.baseline.status == "compared", found.baseline.reason


def test_a_stage_that_stopped_in_a_check_says_nothing_of_what_is_pinned(line: Project) -> None:
    text = '{"model": "churn", "stage": "train", "message": "no", "exit_code": 1}'
    (line.root / "artifacts/churn/problem.json").write_text(text)
    assert full.judge(line.root, "churn").problem is None


def test_a_model_that_did_not_make_the_predictions_is_refused_though_every_hash_agrees(line: Project) -> None:
    here = line.root / "artifacts/churn/full"
    before = full.judge(line.root, "churn")
    model = onnx.load(here / "model.onnx")
    for node in model.graph.node:
        node.output[:] = ["kept" if name == "score" else name for name in node.output]
    kind = model.graph.output[0].type.tensor_type.elem_type
    model.graph.initializer.append(onnx.helper.make_tensor("one", kind, [], [1.0]))
    model.graph.node.append(onnx.helper.make_node("Sub", ["one", "kept"], ["score"]))
    rewrite(line, {"model.onnx": model.SerializeToString()})
    forged = md5(here / "model.onnx")
    for name in ("training.json", "evaluation.json"):
        text = (here / name).read_text().replace(str(before.candidate_hash), forged)
        rewrite(line, {name: text.encode()})
    assert dvc.outs(dvc.lock_of(line.root), "train@churn-full")[MODEL] == forged
    told = r"churn is not released: \S+model\.onnx is not the model .*differ by up to 0\.\d+"
    with pytest.raises(Refused, match=told):
        full.judge(line.root, "churn")
    assert not (here.parent / "problem.json").exists(), "no stage stopped"


def rewrite(project: Project, contents: Mapping[str, bytes]) -> None:
    """Other files of the full training, and a dvc.lock that pins them."""
    lock = project.root / "dvc.lock"
    for name, content in contents.items():
        path = project.root / "artifacts/churn/full" / name
        before = md5(path)
        path.unlink()
        path.write_bytes(content)
        lock.write_text(lock.read_text().replace(before, md5(path)))


def spoil(path: Path) -> None:
    """Other bytes under the same name, as DVC leaves them: nobody may write, so it takes them on trust."""
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"a", b"b"))
    path.chmod(0o444)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.unlink(), "is pinned by dvc.lock, but neither DVC's cache nor its remote has it"),
        (spoil, "has other bytes in DVC's remote than dvc.lock pins: it was damaged, or tampered with"),
    ],
)
def test_a_file_that_the_remote_has_not_or_not_as_pinned_is_told(
    line: Project, harm: Callable[[Path], None], told: str
) -> None:
    digest = md5_of_model(line)
    good = remote(line, digest).read_bytes()
    harm(remote(line, digest))
    forget(line)
    with pytest.raises(EnvironmentFault, match=rf"^{re.escape(MODEL)}") as caught:
        full.pull(line.root, "churn")
    assert told in caught.value.message
    assert not (line.root / MODEL).exists()

    remote(line, digest).unlink(missing_ok=True)
    remote(line, digest).write_bytes(good)
    full.pull(line.root, "churn")
    assert md5(line.root / MODEL) == digest


def test_a_damaged_cache_and_a_file_that_was_touched_are_mended_from_the_remote(line: Project) -> None:
    digest = md5_of_model(line)
    spoil(line.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:])
    (line.root / MODEL).unlink()
    (line.root / MODEL).write_bytes(b"another")
    with pytest.raises(EnvironmentFault, match="is not what train@churn-full made"):
        full.judge(line.root, "churn")
    full.pull(line.root, "churn")
    assert md5(line.root / MODEL) == digest
    assert full.judge(line.root, "churn").candidate_hash == digest


def test_a_remote_that_cannot_be_asked_is_told_in_its_words(line: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ci.adapters.dvc.time.sleep", lambda seconds: None)
    forget(line)
    line.run("dvc", "remote", "modify", "--local", "local", "url", "ssh://127.0.0.1:1/nowhere")
    with pytest.raises(EnvironmentFault, match=r"but DVC cannot fetch it: .*ssh"):
        full.pull(line.root, "churn")


def test_a_remote_that_takes_nothing_is_told_and_nothing_is_made_twice(line: Project) -> None:
    change(line)
    (line.root / "full").write_text("")
    line.run("dvc", "remote", "modify", "--local", "local", "url", str(line.root / "full"))
    done = line.trunkline("train", "churn", code=2)
    assert "DVC's remote did not take what was made" in done.stderr
    assert [one.version for one in Models(line.root).versions("churn")] == ["1"]
    (line.root / "full").unlink()
    line.run("dvc", "remote", "modify", "--local", "--unset", "local", "url")
    again = line.trunkline("train", "churn")
    assert not RAN.findall(again.stderr)


def test_without_a_training_there_is_nothing_to_pull_or_judge(checked: Project) -> None:
    if entries_of(dvc.lock_of(checked.root), "churn"):
        text = (checked.root / "dvc.lock").read_text()
        checked = checked.copy(checked.root.with_name("untrained"))
        (checked.root / "dvc.lock").write_text(text.replace("train@churn-full", "train@churn-other"))
    for ask in (full.pull, full.judge):
        with pytest.raises(ConfigurationError, match="does not pin a fully trained churn"):
            ask(checked.root, "churn")


# --- before the merge ------------------------------------------------------------------------------


def test_the_plan_of_full_training_is_what_changed_and_lacks_it(line: Project, tmp_path: Path) -> None:
    def planned(project: Project, *args: str) -> tuple[str, ...]:
        project.trunkline("plan", "--mode", "full", *args)
        return read_record(project.root / "artifacts/plan.json", Plan).models

    assert planned(line, "churn") == ()
    line.git("switch", "--quiet", "--create", "work")
    change(line)
    line.commit("another learning rate")
    line.run("git", "clone", "--quiet", "--no-local", str(line.root), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.git("update-ref", "refs/remotes/origin/main", "origin/work^")
    assert planned(clone) == ("churn",), "in a clone without data, cache or artifacts"
    line.trunkline("train", "churn")
    line.commit("trained")
    clone.git("pull", "--quiet")
    assert planned(clone) == ()
    assert planned(clone, "churn") == ()
    assert "is named" in clone.trunkline("plan", "churn", code=1).stderr


def test_before_a_merge_its_full_training_can_be_asked_for(line: Project) -> None:
    line.edit("params.yaml", "before_merge: false", "before_merge: true")
    line.commit("train before a merge")
    line.trunkline("check", "churn")
    line.git("switch", "--quiet", "--create", "work")
    change(line)
    line.commit("another learning rate")
    done = line.trunkline("check", "churn", code=3)
    assert "full_training" in done.stdout
    smoke = read_record(line.root / "artifacts/churn/smoke/verdict.json", Verdict)
    (gate,) = [one for one in smoke.gates if one.gate == "full_training"]
    assert "model.learning_rate" in gate.reason or "model modified" in gate.reason
    assert "label the pull request `train`" in gate.reason
    assert "full_training" in line.trunkline("gate", "churn", code=None).stdout
    line.commit("what the check measured")
    line.trunkline("train", "churn")
    line.commit("its full training")
    line.trunkline("check", "churn")
    line.trunkline("check", "churn", CI="true")


def test_a_job_keeps_nothing_in_its_own_checkout(trained: Project, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "project")
    for command in ("train", "release"):
        assert (
            "DVC's remote is .trunkline/remote, which is gone with this job"
            in project.trunkline(command, "churn", code=1, GITHUB_ACTIONS="true").stderr
        )
    releases.remote(project, tmp_path)
    for command in ("train", "release"):
        assert (
            "MLFLOW_TRACKING_URI is not set"
            in project.trunkline(command, "churn", code=1, GITHUB_ACTIONS="true").stderr
        )
