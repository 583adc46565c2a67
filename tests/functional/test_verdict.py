"""`trunkline verdict` on the artifacts of check jobs, in a repository with one commit."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters.files import read_record
from ci.cli import main
from ci.core.records import GateResult, Outcome, Problem, Verdict
from tests.project import IDENTITY

if TYPE_CHECKING:
    from pathlib import Path

FAIL, INCONCLUSIVE, PASS = Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS


@dataclass(frozen=True)
class Line:
    """A repository, the commit that is checked, and the folder that the jobs' artifacts were put in."""

    root: Path
    commit: str
    records: Path

    def verdict(self, model: str, outcome: Outcome = PASS, *, blocks: bool = False, **more: Any) -> Verdict:
        """A record that a job of this run may leave."""
        gate = GateResult(
            gate="roc_auc.min",
            metric="roc_auc",
            rule="min 0.5",
            verdict=outcome,
            value=0.6,
            reason="measured",
            blocks=blocks,
        )
        told: dict[str, Any] = {
            "base_commit": None,
            "candidate_hash": None,
            "verdict": outcome,
            "blocks": blocks,
            "gates": (gate,),
        }
        told |= {"mode": "smoke", "task": "binary", "commit": self.commit, "summary": f"{model} was judged"}
        return Verdict.model_validate({"model": model, **told, **more})

    def put(self, verdict: Verdict, where: str | None = None) -> None:
        """Leave a record where the job of its model leaves it, or elsewhere."""
        path = self.records / (where or f"check-{verdict.model}/{verdict.model}/smoke/verdict.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(verdict.model_dump_json())

    def judge(self, *models: str, plan: str = "success", check: str = "success") -> int:
        """What the last job does."""
        ended = ["--plan-result", plan, "--check-result", check]
        return main(["verdict", *ended, "--models", json.dumps(models), "--records", str(self.records)])

    def adopted(self, model: str) -> Verdict:
        """What the report will be made of."""
        return read_record(self.root / "artifacts" / model / "smoke" / "verdict.json", Verdict)


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    root = tmp_path / "line"
    root.mkdir()
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.chdir(root)
    git(root, "init", "--quiet")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "one")
    return Line(root, git(root, "rev-parse", "HEAD"), tmp_path / "records")


def git(root: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("outcome", "blocks", "check", "code"),
    [
        (PASS, False, "success", 0),
        (FAIL, True, "failure", 3),
        (FAIL, False, "success", 3),
        (INCONCLUSIVE, False, "success", 0),
        (INCONCLUSIVE, True, "failure", 4),
    ],
)
def test_the_worst_verdict_counts(
    line: Line, capsys: pytest.CaptureFixture[str], outcome: Outcome, blocks: bool, check: str, code: int
) -> None:
    line.put(line.verdict("fraud"))
    line.put(line.verdict("churn", outcome, blocks=blocks))
    assert line.judge("churn", "fraud", check=check) == code
    out = capsys.readouterr().out
    assert "fraud was judged" in out
    assert "churn was judged" in out
    assert line.adopted("churn") == line.verdict("churn", outcome, blocks=blocks)


def test_nothing_touched_is_a_pass_with_words(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    assert line.judge(check="skipped") == 0
    assert capsys.readouterr().out == "pass: the plan says that no model is touched, so there is nothing to judge\n"
    for check in ("success", "failure", "cancelled"):
        assert line.judge(check=check) == 1


@pytest.mark.parametrize("plan", ["failure", "cancelled", "skipped"])
def test_a_plan_that_did_not_end_well_is_no_pass(line: Line, capsys: pytest.CaptureFixture[str], plan: str) -> None:
    line.put(line.verdict("fraud"))
    assert line.judge("fraud", plan=plan) == 1
    assert line.judge(plan=plan, check="skipped") == 1
    assert f"The plan ended with {plan}" in capsys.readouterr().err


@pytest.mark.parametrize("models", ["", "null", "{}", '"fraud"', "[1]", '["../x"]', '["fraud", "fraud"]', "[["])
def test_a_plan_without_a_list_of_models_is_no_pass(
    line: Line, capsys: pytest.CaptureFixture[str], models: str
) -> None:
    ended = ["--plan-result", "success", "--check-result", "skipped"]
    assert main(["verdict", *ended, "--models", models, "--records", str(line.records)]) == 1
    assert "has to be a JSON list of models" in capsys.readouterr().err


def test_a_committed_record_is_refused(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    forged = line.root / "artifacts" / "plan.json"
    forged.parent.mkdir()
    forged.write_text("{}")
    assert line.judge(check="skipped") == 0
    git(line.root, "add", "--force", "artifacts/plan.json")
    assert line.judge(check="skipped") == 1
    assert "artifacts/plan.json is tracked by git" in capsys.readouterr().err


def test_a_planned_model_without_a_verdict_is_no_pass(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    line.put(line.verdict("fraud"))
    assert line.judge("churn", "fraud", check="failure") == 1
    said = capsys.readouterr()
    assert "1 of 2 models have no verdict (the check jobs ended with failure)" in said.err
    assert "check-churn/churn/smoke/verdict.json is missing" in said.err
    assert "fraud was judged" in said.out
    assert line.adopted("fraud")


def test_a_model_that_was_not_planned_does_not_count(line: Line) -> None:
    line.put(line.verdict("fraud"))
    line.put(line.verdict("churn", FAIL, blocks=True))
    assert line.judge("fraud") == 0
    assert not (line.root / "artifacts" / "churn").exists()


@pytest.mark.parametrize(("result", "code"), [("success", 0), ("failure", 1), ("cancelled", 1), ("skipped", 1)])
def test_a_job_that_failed_beside_a_pass_is_no_pass(line: Line, result: str, code: int) -> None:
    line.put(line.verdict("fraud"))
    assert line.judge("fraud", check=result) == code


@pytest.mark.parametrize(
    "where",
    [
        "check-churn/fraud/smoke/verdict.json",
        "fraud/smoke/verdict.json",
        "report-1/fraud/smoke/verdict.json",
        "check-fraud/fraud/full/verdict.json",
    ],
)
def test_a_record_that_lies_elsewhere_is_not_the_models(line: Line, where: str) -> None:
    line.put(line.verdict("churn"))
    line.put(line.verdict("fraud"), where)
    assert line.judge("churn", "fraud") == 1
    assert not (line.root / "artifacts" / "fraud").exists()


def test_a_job_that_judges_another_model_too_has_no_verdict(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    line.put(line.verdict("churn"))
    line.put(line.verdict("fraud"))
    assert line.judge("churn", "fraud") == 0
    line.put(line.verdict("fraud"), "check-churn/fraud/smoke/verdict.json")
    assert line.judge("churn", "fraud") == 1
    assert "is not for the check job of 'churn' to write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ({"model": "churn"}, "is of model 'churn', but 'fraud' is asked for"),
        ({"mode": "full"}, "is of mode 'full', but 'smoke' is asked for"),
        ({"commit": "d" * 40}, f"is of commit '{'d' * 40}', but '"),
        ({"commit": None}, "is of commit 'None', but '"),
    ],
)
def test_a_record_of_something_else_is_refused(
    line: Line, capsys: pytest.CaptureFixture[str], lie: dict[str, Any], words: str
) -> None:
    where = "check-fraud/fraud/smoke/verdict.json"
    line.put(line.verdict("fraud").model_copy(update=lie), where)
    assert line.judge("fraud") == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gates", "lie"),
    [
        ((FAIL, True), {"verdict": PASS, "blocks": False}),
        ((FAIL, False), {"verdict": PASS}),
        ((INCONCLUSIVE, True), {"blocks": False}),
        ((INCONCLUSIVE, True), {"verdict": PASS, "blocks": False}),
        ((PASS, False), {"problem": Problem(model="fraud", stage="train", message="stopped", exit_code=3)}),
    ],
)
def test_a_head_that_its_gates_do_not_bear_out_is_refused(
    line: Line, capsys: pytest.CaptureFixture[str], gates: tuple[Outcome, bool], lie: dict[str, Any]
) -> None:
    line.put(line.verdict("fraud", gates[0], blocks=gates[1]).model_copy(update=lie))
    assert line.judge("fraud") == 1
    assert "but its gates say" in capsys.readouterr().err


def test_a_link_is_not_followed(line: Line) -> None:
    line.put(line.verdict("fraud"), "elsewhere/fraud/smoke/verdict.json")
    (line.records / "check-fraud").symlink_to(line.records / "elsewhere")
    assert line.judge("fraud") == 1


def test_the_words_of_a_record_command_nothing(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    text = "ok\n::stop-commands::x\r::add-mask::y ##[group]z"
    good = line.verdict("fraud")
    gate = good.gates[0].model_copy(update={"reason": text, "rule": text, "gate": text})
    line.put(good.model_copy(update={"summary": text, "gates": (gate,)}))
    assert line.judge("fraud") == 0
    said = capsys.readouterr()
    assert "::" not in said.out + said.err
    assert "##[" not in said.out + said.err
