"""`trunkline gate` on real files, without the stages that write them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from ci.adapters import files
from ci.cli import main
from ci.commands.gate import configured, gate_model
from ci.core.errors import ConfigurationError
from ci.core.records import (
    Baseline,
    Change,
    Mode,
    Outcome,
    ParamChange,
    Problem,
    Timings,
    Validation,
    Verdict,
    Violation,
)
from tests.unit.ci.core import cases
from tests.unit.ml.serve import models

if TYPE_CHECKING:
    from pathlib import Path

ROOT = """\
models: [a]
defaults:
  seed: 1
  gates: {confidence: 0.95, resamples: 200, min_rows: 100, on_inconclusive: warn}
"""
MODEL = """\
kind: tabular
task: binary
data: {keep: [BAND]}
gates:
  - {metric: roc_auc, min: 0.7}
  - {metric: roc_auc, no_worse_than: {baseline: merge_base, margin: 0.05}}
  - {metric: average_precision, slices: [BAND], min: 0.1}
"""


class Project:
    """A repository with one model whose stages have run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.model = root / "ml" / "models" / "a"
        self.model.mkdir(parents=True)
        (root / "params.yaml").write_text(ROOT)
        (self.model / "params.yaml").write_text(MODEL)
        for name in ("schema.py", "features.py", "model.py"):
            (self.model / name).touch()
        self.artifacts = root / "artifacts" / "a"
        self.here = self.artifacts / "smoke"
        self.validation()
        self.predict(self.here, "new")

    def validation(self, *violations: Violation) -> None:
        record = Validation(
            model="a", file="a.parquet", data_hash="d", rows=9, columns=2, passed=not violations, violations=violations
        )
        files.write_record(self.artifacts / "validation.json", record)

    def predict(self, directory: Path, model_hash: str, *, lift: float = 2.0, seed: int = 0) -> None:
        label, _ = cases.scored(600)
        noise = cases.scored(600, seed=seed, lift=0)[1]
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "predictions.parquet"
        score = noise**0.5 * (1 + lift * label) / (1 + lift)
        band = ["low" if row % 2 else "high" for row in range(600)]
        pl.DataFrame({"row_id": range(600), "label": label, "score": score, "BAND": band}).write_parquet(path)
        evaluation = cases.evaluation(600, model_hash).model_copy(update={"predictions_hash": files.md5(path)})
        files.write_record(directory / "evaluation.json", evaluation)
        files.write_record(directory / "training.json", cases.training(model_hash))

    def problem(self, stage: str, code: int) -> None:
        record = Problem(model="a", stage=stage, message="no disk left", exit_code=code)
        files.write_record(self.artifacts / "problem.json", record)

    def waive(self, text: str, name: str = "one.yaml") -> None:
        (self.model / "waivers").mkdir(exist_ok=True)
        (self.model / "waivers" / name).write_text(text)

    def judge(self, **given: Any) -> Verdict:
        mode: Mode = "smoke"
        usual: dict[str, Any] = {
            "candidate": None,
            "baseline_dir": None,
            "baseline": None,
            "commit": "c",
            "base_commit": "b",
            "change": Change(),
            "cached": (),
        }
        return gate_model(self.root, "a", mode, **(usual | given))

    def written(self) -> Verdict:
        return files.read_record(self.here / "verdict.json", Verdict)


RELEASE = """\
release:
  registry: registry.example/line
  base: python@sha256:0
  environments: {production: {steps: [100]}}
"""
CARD = "card: {intended_use: a, out_of_scope: b, limits: [c], owner: d}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def test_a_pass_is_printed_and_written(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.predict(project.here / "baseline", "old", seed=1)
    assert main(["gate", "a"]) == 0
    out = capsys.readouterr().out
    verdict = project.written()
    assert verdict.verdict is Outcome.PASS
    assert verdict.summary in out
    for gate in verdict.gates:
        assert gate.reason.split()[0] in out
    assert "average_precision[BAND=high].min" in out
    assert verdict.baseline is not None
    assert (verdict.baseline.status, verdict.baseline.model_hash) == ("compared", "old")


def test_a_sensitive_column_that_is_no_feature_is_told_before_it_is_merged(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.here / "model.onnx").write_bytes(models.matrix())
    params = project.model / "params.yaml"
    params.write_text(f"{MODEL}serving: {{sensitive: {{a: drop}}}}\n")
    assert main(["gate", "a"]) == 0
    params.write_text(f"{MODEL}serving: {{sensitive: {{aa: drop}}}}\n")
    assert main(["gate", "a"]) == 1
    assert "'aa' is sensitive, but no feature that the model takes" in capsys.readouterr().err


def test_a_mistake_in_how_rollouts_are_judged_is_told_before_it_is_merged(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    params = project.model / "params.yaml"
    params.write_text(f"{MODEL}rollout: {{minutes: 5}}\n")
    assert main(["gate", "a"]) == 0
    params.write_text(f"{MODEL}rollout: {{minuts: 5}}\n")
    assert main(["gate", "a"]) == 1
    assert "unknown key 'minuts' in 'rollout'; did you mean 'minutes'?" in capsys.readouterr().err


def test_a_mistake_in_how_drift_is_judged_is_told_before_it_is_merged(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    params = project.model / "params.yaml"
    params.write_text(f"{MODEL}drift: {{days: 5}}\n")
    assert main(["gate", "a"]) == 0
    params.write_text(f"{MODEL}drift: {{limits: {{effekt: 0.2}}}}\n")
    assert main(["gate", "a"]) == 1
    assert "unknown key 'effekt' in 'drift.limits'; did you mean 'effect'?" in capsys.readouterr().err


def test_a_fail_refuses_with_the_failing_gate_first(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.predict(project.here, "new", lift=0.1)
    assert main(["gate", "a", "--mode", "smoke"]) == 3
    verdict = project.written()
    assert verdict.gates[0].gate == "roc_auc.min"
    assert verdict.gates[0].verdict is Outcome.FAIL
    assert "a fails 1 of 5 gates: roc_auc.min." in capsys.readouterr().out.replace("\n", " ")


def test_inconclusive_passes_or_blocks_by_policy(project: Project) -> None:
    assert main(["gate", "a"]) == 0
    verdict = project.written()
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert "there is no artifacts/a/smoke/baseline" in verdict.gates[0].reason
    (project.root / "params.yaml").write_text(ROOT.replace("warn", "block"))
    assert main(["gate", "a"]) == 4


def test_what_a_release_will_ask_for_is_asked_before_the_merge(project: Project) -> None:
    def told() -> str:
        with pytest.raises(ConfigurationError) as wrong:
            project.judge()
        return wrong.value.message

    model = project.model / "params.yaml"
    project.judge()
    (project.root / "params.yaml").write_text(ROOT + RELEASE)
    assert "ml/models/a/params.yaml:1: 'card' is missing, and a release has a model card" in told()
    model.write_text(MODEL + CARD.replace("owner", "ownr"))
    assert "unknown key 'ownr' in 'card'" in told()
    (project.root / "params.yaml").write_text(ROOT)
    assert "unknown key 'ownr' in 'card'" in told()
    (project.root / "params.yaml").write_text(ROOT + RELEASE)
    model.write_text(MODEL + CARD)
    project.judge()


def test_folders_can_be_named(project: Project) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        project.predict(project.root / name, name, seed=seed)
    assert main(["gate", "a", "--candidate", "one", "--baseline", "two"]) == 0
    verdict = project.written()
    assert verdict.candidate_hash == "one"
    assert verdict.baseline is not None
    assert verdict.baseline.model_hash == "two"
    assert verdict.baseline.reason == "the records in two"


def test_the_record_carries_what_it_was_told(project: Project) -> None:
    timings = Timings(model="a", mode="smoke", seconds={"train": 2.5})
    files.write_record(project.here / "timings.json", timings)
    change = Change(params=(ParamChange(key="x", before=1, after=2),))
    verdict = project.judge(change=change, cached=("train",))
    assert (verdict.commit, verdict.base_commit, verdict.change, verdict.cached) == ("c", "b", change, ("train",))
    assert verdict.seconds == {"train": 2.5}
    assert verdict == project.written()
    assert {curve.name for curve in verdict.curves} == {"precision_recall", "calibration", "loss"}


def test_a_baseline_of_the_same_bytes_is_called_unchanged(project: Project) -> None:
    project.predict(project.here / "baseline", "new")
    baseline = Baseline(kind="merge_base", status="compared", reason="the merge base")
    verdict = project.judge(baseline=baseline, baseline_dir=project.here / "baseline")
    assert verdict.verdict is Outcome.PASS
    assert verdict.baseline is not None
    assert (verdict.baseline.status, verdict.baseline.model_hash) == ("unchanged", "new")


def test_the_same_model_with_other_predictions_is_compared(project: Project) -> None:
    """Its features may have changed, or what scores it."""
    project.predict(project.here, "new", lift=0.2)
    project.predict(project.here / "baseline", "new", lift=30.0)
    baseline = Baseline(kind="merge_base", status="compared", reason="the merge base")
    verdict = project.judge(baseline=baseline, baseline_dir=project.here / "baseline")
    assert verdict.baseline is not None
    assert verdict.baseline.status == "compared"
    relative = next(gate for gate in verdict.gates if gate.gate == "roc_auc.no_worse_than.merge_base")
    assert relative.verdict is Outcome.FAIL


def test_a_baseline_that_was_touched_is_refused(project: Project) -> None:
    project.predict(project.here / "baseline", "old")
    (project.here / "baseline" / "predictions.parquet").write_bytes(b"touched")
    baseline = Baseline(kind="merge_base", status="compared", reason="the merge base")
    with pytest.raises(ConfigurationError, match=r"is not the file that evaluation\.json beside it was made of"):
        project.judge(baseline=baseline, baseline_dir=project.here / "baseline")


@pytest.mark.parametrize(("stage", "code", "gates"), [("validate", 1, 2), ("train", 2, 2), ("evaluate", 2, 2)])
def test_a_stage_that_stopped_fails_the_model_with_its_code(
    project: Project, stage: str, code: int, gates: int
) -> None:
    project.problem(stage, code)
    assert main(["gate", "a"]) == code
    verdict = project.written()
    assert verdict.summary == f"a fails: stage {stage} stopped: no disk left"
    assert [gate.gate for gate in verdict.gates] == ["problem", "schema"]
    # What lies there from an earlier run is not taken for this one's.
    assert verdict.candidate_hash == (None if stage == "validate" else "new")
    assert verdict.metrics == ()


def test_a_stage_that_stopped_before_anything_was_written(project: Project) -> None:
    for path in [*project.here.iterdir(), project.artifacts / "validation.json"]:
        path.unlink()
    project.problem("validate", 1)
    assert main(["gate", "a"]) == 1
    assert project.written().task == "binary"


def test_a_broken_schema_is_refused_with_its_violations(project: Project) -> None:
    broken = Violation(column="X", check="ge", count=3, message="3 values of X are below 0")
    project.validation(broken)
    for code in (3, None):
        if code:
            project.problem("validate", code)
        else:
            (project.artifacts / "problem.json").unlink()
        assert main(["gate", "a"]) == 3
        verdict = project.written()
        assert verdict.violations == (broken,)
        assert [(gate.gate, gate.verdict) for gate in verdict.gates] == [("schema", Outcome.FAIL)]


def test_waivers_are_read_and_shown(project: Project) -> None:
    project.predict(project.here, "new", lift=0.1)
    project.waive("gate: roc_auc.min\nreason: a new market\nwho: Ada\nexpires: 2999-12-31\n")
    assert main(["gate", "a"]) == 0
    (waived,) = [gate for gate in project.written().gates if gate.waived_by]
    assert (waived.gate, waived.waived_by) == ("roc_auc.min", "Ada")
    assert project.written().waivers[0].file == "ml/models/a/waivers/one.yaml"
    project.waive("gate: roc_auc.min\nreason: a new market\nwho: Ada\nexpires: 2020-12-31\n")
    assert main(["gate", "a"]) == 3
    assert [gate.gate for gate in project.written().gates if gate.verdict is Outcome.FAIL] == ["roc_auc.min", "waiver"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("w.yaml", "gate: roc_acu.min\nreason: r\nwho: Ada\nexpires: 2999-12-31\n", "w.yaml:1: there is no gate"),
        ("w.yaml", "gate: roc_auc.min\nresaon: r\n", "w.yaml:2: unknown key 'resaon'"),
        (
            "w.yaml",
            "gate: average_precision[BAND=hihg].min\nreason: r\nwho: Ada\nexpires: 2999-12-31\n",
            "did you mean 'average_precision[BAND=high].min'?",
        ),
        ("w.yml", "", "rename or move it"),
    ],
)
def test_a_wrong_waiver_is_a_mistake(
    project: Project, capsys: pytest.CaptureFixture[str], name: str, text: str, words: str
) -> None:
    project.waive(text, name)
    assert main(["gate", "a"]) == 1
    assert words in capsys.readouterr().err


def test_usage_and_configuration_are_answered_in_one_sentence(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*args: str) -> str:
        assert main(["gate", *args]) == 1
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        return err

    assert "there is no model 'b' in params.yaml; known are: a" in fails("b")
    assert "none is not a folder" in fails("a", "--baseline", "none")
    (project.model / "params.yaml").write_text(MODEL.replace("roc_auc", "roc_acu", 1))
    assert "ml/models/a/params.yaml:5: unknown metric 'roc_acu'; did you mean 'roc_auc'?" in fails("a")
    (project.model / "schema.py").unlink()
    assert "ml/models/a/schema.py is missing" in fails("a")


@pytest.mark.parametrize("name", ["training.json", "evaluation.json", "predictions.parquet"])
def test_a_record_missing_without_a_reason_is_a_mistake(
    project: Project, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (project.here / name).unlink()
    assert main(["gate", "a"]) == 1
    assert f"artifacts/a/smoke/{name} is missing; run `trunkline check`" in capsys.readouterr().err
    assert not (project.here / "verdict.json").exists()


def test_records_of_different_runs_are_not_judged_together(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write_record(project.here / "training.json", cases.training("newer"))
    assert main(["gate", "a"]) == 1
    assert "evaluation.json is of model new, but training.json beside it of newer" in capsys.readouterr().err
    project.predict(project.here, "new")
    pl.read_parquet(project.here / "predictions.parquet").head(300).write_parquet(project.here / "predictions.parquet")
    assert main(["gate", "a"]) == 1
    assert "is not the file that evaluation.json beside it was made of" in capsys.readouterr().err


def test_configured_models(project: Project) -> None:
    assert configured(project.root, []) == configured(project.root, ["a"]) == ("a",)
    with pytest.raises(ConfigurationError):
        configured(project.root, ["A"])


def test_gating_needs_no_training_library(project: Project) -> None:
    code = (
        "import sys; from ci.cli import main; code = main(['gate', 'a']);"
        "heavy = {'torch', 'sklearn', 'pandera', 'pandas', 'onnxruntime', 'mlflow', 'dvc'} & set(sys.modules);"
        "assert not heavy, heavy; sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
