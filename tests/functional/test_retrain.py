"""`trunkline retrain` on one machine: real git and DVC, the local forge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import yaml

from ci.adapters import kept, trees
from ci.adapters.forge.local import Local
from ci.commands import spending
from ci.core.records import Change, Outcome, Verdict
from tests.retraining import BRANCH, MODEL, ROWS, Yard, calm, drifted, finding, frame, yard

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    """A model that drifted, and 800 new rows. Not to be changed."""
    made = yard(tmp_path_factory.mktemp("start"))
    made.arrive("a", frame(ROWS - 100, 900))
    made.drift(drifted())
    return made


@pytest.fixture(scope="module")
def opened(start: Yard, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    """The same with its retraining proposed. Not to be changed."""
    made = start.copy(tmp_path_factory.mktemp("opened"))
    made.retrain()
    return made


@pytest.fixture
def there(opened: Yard, tmp_path: Path) -> Yard:
    """One of one's own."""
    return opened.copy(tmp_path)


def lock(data: str, model: str = MODEL) -> str:
    """A dvc.lock with the full training of a model on that data."""
    out = {"hash": "md5", "md5": "a" * 32, "size": 1}
    stages = {}
    for name in (f"validate@{model}", *(f"{stage}@{model}-full" for stage in ("prepare", "train", "evaluate"))):
        deps = [
            {"path": f"data/{model}", "hash": "md5", "md5": data, "size": 1, "nfiles": 1},
            {"path": "constraints.txt", **out},
        ]
        outs = [{"path": f"artifacts/{model}/full/{file}", **out} for file in ("model.onnx", "predictions.parquet")]
        stages[name] = {"cmd": "python", "deps": deps, "outs": outs if name.startswith("evaluate") else []}
    return yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)


def publish(line: Yard) -> str:
    """Bring full training to the branch, as `trunkline publish` does; the commit."""
    line.git("fetch", "--quiet", line.bare, BRANCH)
    line.git("checkout", "--quiet", "FETCH_HEAD")
    pin = line.record().proposed
    assert pin is not None
    (line.root / "dvc.lock").write_text(lock(pin.pin.md5))
    line.git("add", "dvc.lock")
    line.git("commit", "--quiet", "--message", "Full training", who=trees.BOT)
    line.git("push", "--quiet", line.bare, f"HEAD:refs/heads/{BRANCH}")
    made = line.git("rev-parse", "HEAD")
    line.git("checkout", "--quiet", "main")
    return made


def test_it_is_proposed_with_evidence_rows_and_the_label_that_starts_training(opened: Yard) -> None:
    (pull,) = opened.pulls("open")
    assert (pull.branch, pull.title, pull.labels) == (BRANCH, "Retrain churn on 800 new rows", ("retraining", "train"))
    for part in ("fell from 0.7 to 0.58", "```mermaid", "| rows added | 800 |", "split is by hash", "2026-11-06"):
        assert part in pull.body, part
    data = opened.data(BRANCH)
    assert data["key"].to_list() == list(range(ROWS + 800))
    assert opened.git("--git-dir", opened.bare, "diff", "--stat", "main", BRANCH).startswith("data.dvc | 4 ++--")
    assert opened.at("main", "data.dvc").splitlines()[6:] == opened.at(BRANCH, "data.dvc").splitlines()[6:]
    assert opened.record().pushed == (1795154400.0,)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(start: Yard, tmp_path: Path) -> None:
    line = start.copy(tmp_path)
    assert "churn: propose: average_precision fell from 0.7 to 0.58" in line.retrain("--dry-run")
    assert line.pulls() == []
    assert line.git("--git-dir", line.bare, "for-each-ref", "refs/trunkline") == ""
    assert line.git("status", "--porcelain") == ""


def test_again_it_is_the_same_and_newer_rows_wait_for_the_cooldown(there: Yard) -> None:
    head = there.git("--git-dir", there.bare, "rev-parse", BRANCH)
    there.arrive("b", frame(ROWS + 800, 600))
    assert "keep: " in there.retrain(at=1)
    assert there.git("--git-dir", there.bare, "rev-parse", BRANCH) == head
    assert "update: " in there.retrain(at=8)
    assert there.data(BRANCH).height == ROWS + 1400
    (pull,) = there.pulls("open")
    assert pull.title == "Retrain churn on 1,400 new rows"
    assert len(there.record().pushed) == 2


def test_a_label_that_a_person_took_off_stays_off(there: Yard) -> None:
    (pull,) = there.pulls("open")
    Local(there.root)._write(pull.model_copy(update={"labels": ("retraining",)}))
    there.retrain(at=1)
    assert there.pulls("open")[0].labels == ("retraining",)


def judged(outcome: Outcome, *, commit: str | None = None, summary: str = "", **more: Any) -> Verdict:
    """The verdict of a full training."""
    return Verdict(
        model=MODEL,
        mode="full",
        task="binary",
        commit=commit,
        base_commit=None,
        candidate_hash=None,
        verdict=outcome,
        blocks=outcome is Outcome.FAIL,
        summary=summary,
        **more,
    )


def test_the_cost_is_what_the_last_training_took_wherever_it_was(there: Yard) -> None:
    assert "not known: no full training has left its times" in there.pulls("open")[0].body
    seconds = {"train": 700.0, "prepare": 20.0, "latency": 5000.0}
    verdict = judged(Outcome.PASS, change=Change(rows_after=3000), seconds=seconds)
    for _ in range(2):
        spending.write(there.root, Local(there.root), verdict)
    there.retrain(at=1)
    assert "about 12 min 00 s of training on 3,000 rows" in there.pulls("open")[0].body
    here = there.root / "artifacts/churn/full/timings.json"
    here.parent.mkdir(parents=True, exist_ok=True)
    here.write_text('{"model": "churn", "mode": "full", "seconds": {"train": 60}}')
    there.retrain(at=2)
    assert "about 60 s of training" in there.pulls("open")[0].body


def test_what_was_trained_on_it_stays_on_the_branch_also_when_the_base_conflicts(there: Yard) -> None:
    trained = publish(there)
    there.retrain(at=1)
    assert there.git("--git-dir", there.bare, "rev-parse", BRANCH) == trained
    path = there.root / "data.dvc"
    path.write_text(
        path.read_text().replace("nfiles: 1\n  hash: md5\n- path", "nfiles: 1\n  hash: md5\n  desc: d\n- path")
    )
    (there.root / "dvc.lock").write_text(lock("9" * 32, "other"))
    there.git("add", "dvc.lock")
    there.git("commit", "--quiet", "--all", "--message", "another model, beside it")
    there.retrain(at=2)
    assert there.git("--git-dir", there.bare, "rev-parse", f"{BRANCH}^") == there.git("rev-parse", "main")
    stages = yaml.safe_load(there.at(BRANCH, "dvc.lock"))["stages"]
    assert {name.partition("@")[2] for name in stages} == {MODEL, "churn-full", "other", "other-full"}
    assert "desc: d" in there.at(BRANCH, "data.dvc")
    assert len(there.record().pushed) == 1


def test_merged_it_cools_down_and_then_begins_anew(there: Yard) -> None:
    there.merge()
    assert "cooldown: " in there.retrain(at=1)
    assert "few: " in there.retrain(at=9)
    record = there.record()
    assert record.past is not None
    assert (record.past.how, record.past.number, record.proposed) == ("merged", 1, None)
    there.arrive("c", frame(ROWS + 800, 500))
    assert "propose: " in there.retrain(at=10)
    assert [pull.state for pull in there.pulls()] == ["merged", "open"]


def test_closed_it_snoozes_with_the_reason_until_something_else_is_found(there: Yard) -> None:
    there.close("it is the season, and over soon")
    for at in (8, 20):
        said = there.retrain(at=at)
        assert "churn: snoozed: #1 was closed (dana: it is the season, and over soon)" in said
    past = there.record().past
    assert past is not None
    assert (past.how, past.words) == ("closed", "dana: it is the season, and over soon")
    there.drift(drifted(finding("concept", "score", "the same scores mean less")))
    assert "#2" in there.retrain(at=21)
    assert [pull.state for pull in there.pulls()] == ["closed", "open"]


def test_the_same_is_proposed_again_when_the_snooze_is_over(there: Yard) -> None:
    there.close("not now")
    assert "snoozed: " in there.retrain(at=2)
    assert "#2" in there.retrain(at=33)


def test_it_is_closed_with_words_when_nothing_is_found_any_more(there: Yard) -> None:
    there.drift(calm(Outcome.INCONCLUSIVE))
    assert "keep: nothing can be said of this window: 3 rows, of 500 needed" in there.retrain(at=1)
    there.drift(calm())
    assert "withdraw: " in there.retrain(at=2)
    (pull,) = there.pulls()
    assert pull.state == "closed"
    assert pull.comments == {"closed": "Closed by Trunkline: Nothing that training would cure any more."}
    there.drift(drifted())
    assert "#2" in there.retrain(at=9)  # it was not a person who closed it


def test_a_persons_commit_is_respected(there: Yard) -> None:
    there.git("fetch", "--quiet", there.bare, BRANCH)
    there.git("checkout", "--quiet", "FETCH_HEAD")
    there.git("commit", "--quiet", "--allow-empty", "--message", "another learning rate")
    there.git("push", "--quiet", there.bare, f"HEAD:refs/heads/{BRANCH}")
    there.git("checkout", "--quiet", "main")
    before = there.pulls()
    there.arrive("b", frame(ROWS + 800, 600))
    assert "by Dana Developer is on its branch" in there.retrain(at=9)
    there.drift(calm())
    assert "theirs: " in there.retrain(at=10)
    assert there.pulls() == before


def test_what_does_not_help_is_said_once_to_people_and_not_tried_again(there: Yard) -> None:
    there.arrive("b", frame(ROWS + 800, 600))
    path = there.root / "artifacts/churn/full/verdict.json"
    path.parent.mkdir(parents=True)
    head = there.git("--git-dir", there.bare, "rev-parse", BRANCH)
    verdict = judged(Outcome.FAIL, commit=head, summary="average_precision is 0.03 below the champion's")
    path.write_text(verdict.model_dump_json())
    for at in (9, 10, 30):
        assert "helpless: training again did not help (fail: average_precision is 0.03" in there.retrain(at=at)
    (pull,) = there.pulls("open")
    assert "Training again did not help" in pull.body
    assert pull.title == "Retrain churn on 800 new rows"
    (issue,) = there.issues()
    assert (issue.title, issue.labels) == ("Retraining does not help churn", ("retraining",))
    assert there.git("--git-dir", there.bare, "rev-parse", BRANCH) == head
    there.close("features first")
    assert "snoozed: " in there.retrain(at=31)


def test_other_data_on_the_base_is_built_upon(there: Yard) -> None:
    path = there.root / "data/churn/rows.parquet"
    pl.concat([pl.read_parquet(path), frame(50_000, 7)]).write_parquet(path)
    there.dvc("commit", "--quiet", "--force", "data.dvc")
    there.dvc("push", "--quiet")
    there.git("commit", "--quiet", "--all", "--message", "seven rows by hand")
    assert "update: " in there.retrain(at=1)
    assert there.data(BRANCH).height == ROWS + 807


def test_two_at_once_propose_once(start: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, write = start.copy(tmp_path), kept.write

    def overtaken(*args: object, **named: object) -> object:
        monkeypatch.undo()
        monkeypatch.setattr("ci.commands.retrain.locks.exclusive", lambda *_: pytest.MonkeyPatch.context())
        line.retrain()
        return write(*args, **named)  # type: ignore[arg-type, type-var]

    monkeypatch.setattr("ci.commands.retrain.locks.exclusive", lambda *_: pytest.MonkeyPatch.context())
    monkeypatch.setattr("ci.adapters.kept.write", overtaken)
    line.retrain()
    assert len(line.pulls()) == 1
    assert len(line.record().pushed) == 1


def test_rows_of_a_time_end_with_the_last_day_whose_labels_are_final(tmp_path: Path) -> None:
    line = yard(tmp_path, timed=True)
    line.arrive("a", frame(ROWS, 8000, day=0.2))
    line.arrive("b", frame(20_000, 8000, day=1.2))
    line.drift(drifted())
    assert "few: " in line.retrain(at=7)
    assert "propose: " in line.retrain(at=8.8)
    (pull,) = line.pulls()
    assert "takes the newest days by itself (21 to train, 7 of delay, 14 to test)" in pull.body
    proposed = line.record().proposed
    assert proposed is not None
    assert proposed.rows.last is not None
    assert "2026-11-21T23" < proposed.rows.last < "2026-11-22"
    assert line.data(BRANCH)["when"].is_sorted()


def test_bad_input_is_one_sentence(start: Yard, tmp_path: Path) -> None:
    line = start.copy(tmp_path)
    record = line.root / "artifacts/churn/drift/drift.json"
    assert "there is no model 'chrn' in params.yaml; did you mean 'churn'?" in line.run(
        "retrain", "chrn", "--record", str(record), code=1
    ) or "is about churn, not chrn" in line.run("retrain", "chrn", "--record", str(record), code=1)
    record.write_text("{")
    assert "drift.json is not a whole Drift record" in line.retrain(code=1)
    record.unlink()
    assert "run `trunkline drift churn`, which writes it" in line.retrain(code=1)
    line.drift(drifted())
    frame(1, 2).drop("x").write_parquet(line.rows / "z.parquet")
    assert "z.parquet has no column 'x', which rows.parquet has" in line.retrain(code=1)
    assert line.pulls() == []
