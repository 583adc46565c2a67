from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci.adapters import files
from ci.adapters.charts import write_charts
from ci.cli import main
from ci.commands.report import SUMMARY_LIMIT, write_reports
from ci.core.errors import EnvironmentFault
from ci.core.records import Curve, Verdict
from tests.unit.ci.core import samples

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a verdict of `fraud` and of `churn`, as `trunkline check` leaves them."""
    for verdict in (samples.passing(), samples.failing()):
        _put(tmp_path / "artifacts" / verdict.model / "smoke", verdict)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _put(folder: Path, verdict: Verdict) -> None:
    files.write_record(folder / "verdict.json", verdict)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


class TestFiles:
    def test_every_model_gets_its_report_and_plots_and_all_share_two(
        self, repo: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["report"]) == 0

        said = capsys.readouterr().out.splitlines()
        assert {"artifacts/fraud/report.md", "artifacts/report.md", "artifacts/report.html"} <= set(said)
        assert all((repo / line).is_file() for line in said)
        assert _text(repo / "artifacts/fraud/report.md").startswith(
            "<!-- trunkline:check:fraud -->\n## ✅ fraud: pass\n"
        )
        assert _text(repo / "artifacts/report.md").startswith("# ❌ 1 of 2 models fails\n")
        plots = sorted(path.name for path in (repo / "artifacts/fraud/plots").iterdir())
        assert plots == ["calibration.png", "differences.png", "loss.png", "precision_recall.png"]
        assert all(path.read_bytes().startswith(PNG) for path in (repo / "artifacts/fraud/plots").iterdir())
        assert _text(repo / "artifacts/report.html").count('src="data:image/png;base64,') == 8

    def test_a_second_run_writes_the_same_bytes(self, repo: Path) -> None:
        def content() -> dict[Path, bytes]:
            return {path: path.read_bytes() for path in write_reports(repo, [samples.passing()])}

        assert content() == content()

    def test_models_can_be_named(self, repo: Path) -> None:
        assert main(["report", "fraud"]) == 0
        assert _text(repo / "artifacts/report.md").startswith("## ✅ fraud: pass\n")
        assert not (repo / "artifacts/churn/report.md").exists()

    def test_verdicts_may_come_from_several_folders(self, repo: Path) -> None:
        _put(repo / "down" / "a" / "b", samples.unchanged().model_copy(update={"model": "demand"}))
        _put(repo / "load", samples.inconclusive())
        assert main(["report", "--verdicts", "down", "--verdicts", "load"]) == 0
        assert _text(repo / "artifacts/report.md").startswith("# ⚠️ 1 of 2 models is inconclusive\n")

    def test_the_other_mode_is_left_out(self, repo: Path) -> None:
        _put(repo / "artifacts" / "fraud" / "full", samples.passing().model_copy(update={"mode": "full"}))
        assert main(["report", "--mode", "full"]) == 0
        assert "<sub>full mode · " in _text(repo / "artifacts/report.md")

    def test_a_full_disk_is_an_environment_fault(self, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("ci.adapters.files.os.fsync", full)
        with pytest.raises(EnvironmentFault, match="No space left on device"):
            write_reports(repo, [samples.stopped()])
        assert not list((repo / "artifacts").rglob("report.*"))


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["report", "fruad"], "Model 'fruad' has no verdict in smoke mode; did you mean 'fraud'?"),
            (
                ["report", "--mode", "full"],
                "No verdict.json of full mode lies under artifacts; run `trunkline check`",
            ),
            (["report", "--verdicts", "nowhere"], "No verdict.json of smoke mode lies under nowhere"),
            (
                ["report", "--verdicts", "artifacts", "--verdicts", "artifacts/fraud"],
                "holds a second smoke verdict of 'fraud'",
            ),
        ],
    )
    def test_one_sentence_and_exit_code_1(
        self, repo: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
    ) -> None:
        assert main(arguments) == 1
        told = capsys.readouterr().err
        assert sentence in told
        assert len(told.splitlines()) == 1

    def test_a_record_that_was_cut_off_names_its_file(self, repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = repo / "artifacts/fraud/smoke/verdict.json"
        path.write_bytes(path.read_bytes()[:200])
        assert main(["report"]) == 1
        assert "artifacts/fraud/smoke/verdict.json is not a whole Verdict record" in capsys.readouterr().err

    def test_a_name_that_leads_elsewhere_writes_nothing(self, repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _put(repo / "fork", samples.stopped().model_copy(update={"model": "../../x"}))
        assert main(["report", "--verdicts", "fork"]) == 1
        assert "../../x" in capsys.readouterr().err
        assert not (repo.parent / "x").exists()


class TestStepSummary:
    def test_it_gets_the_report_of_all_models(self, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        summary = repo / "summary.md"
        summary.write_text("before\n")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        assert main(["report"]) == 0
        assert _text(summary) == f"before\n{_text(repo / 'artifacts/report.md')}\n"

    def test_it_never_grows_beyond_what_github_takes(self, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        summary = repo / "summary.md"
        summary.write_text("x" * (SUMMARY_LIMIT - 500))
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        assert main(["report"]) == 0
        assert summary.stat().st_size <= SUMMARY_LIMIT
        assert "The report is in artifacts/report.md" in _text(summary)

    def test_one_that_cannot_be_written_is_an_environment_fault(
        self, repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(repo / "no" / "such" / "folder"))
        assert main(["report"]) == 2
        assert "GITHUB_STEP_SUMMARY" in capsys.readouterr().err


class TestCharts:
    def test_the_same_numbers_give_the_same_bytes_and_no_date(self, tmp_path: Path) -> None:
        first = write_charts(tmp_path / "a", samples.passing())
        second = write_charts(tmp_path / "b", samples.passing())
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
        assert all(not re.search(rb"tIME|Matplotlib|Creation", path.read_bytes()) for path in first)

    def test_only_what_changed_is_drawn_again(self, tmp_path: Path) -> None:
        drawn = {path.name: path.stat().st_ino for path in write_charts(tmp_path, samples.passing())}
        changed = samples.passing()
        loss = Curve(name="loss", series="train", x=(1.0, 2.0), y=(1.0, 0.5))
        changed = changed.model_copy(update={"curves": (*(c for c in changed.curves if c.name != "loss"), loss)})
        again = {path.name: path.stat().st_ino for path in write_charts(tmp_path, changed)}
        assert {name for name in drawn if again[name] != drawn[name]} == {"loss.png"}

    def test_a_picture_without_numbers_goes(self, tmp_path: Path) -> None:
        write_charts(tmp_path, samples.passing())
        assert write_charts(tmp_path, samples.stopped()) == []
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("values", [(0.0, 0.0), (5.0, 5.0), (-1e300, 1e300), (1e-300, 2e-300)])
    @pytest.mark.parametrize("name", ["precision_recall", "calibration", "loss"])
    def test_odd_numbers_are_drawn_all_the_same(self, tmp_path: Path, name: str, values: tuple[float, ...]) -> None:
        curve = Curve.model_validate({"name": name, "series": "candidate", "x": values, "y": values})
        verdict = samples.stopped().model_copy(update={"curves": (curve,)})
        assert len(write_charts(tmp_path, verdict)) == 1
        assert write_reports(tmp_path, [verdict])
