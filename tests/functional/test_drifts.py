"""The records of past windows on a ref of their own, by real git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ci.adapters import drifts, forge, trees
from ci.core.drift.records import Drift, Reference, Window
from ci.core.records import Outcome
from tests.project import Project

if TYPE_CHECKING:
    from pathlib import Path


def window(day: int, *, rows: int = 1000, days: int = 7) -> Drift:
    """What the window of some days up to a day of November showed."""
    start, end = (f"2026-11-{at:02}T00:00:00Z" for at in (day - days, day))
    return Drift(
        model="churn",
        window=Window(start=start, end=end, rows=rows),
        reference=Reference(rows=5000),
        outcome=Outcome.PASS,
        summary="Nothing drifted.",
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.root.mkdir()
    made.git("init", "--quiet", "--initial-branch", "main")
    made.commit_empty("nothing yet")
    forge.of(made.root).sync()
    return made


def test_windows_are_kept_by_their_ends_each_once(project: Project) -> None:
    there = forge.of(project.root)
    kept = drifts.read(project.root, there, "churn")
    assert kept == drifts.Kept()
    for day in (14, 21, 15, 14):
        written = drifts.write(project.root, there, window(day), drifts.read(project.root, there, "churn"))
        assert written is not None
    kept = drifts.read(project.root, there, "churn")
    assert kept.windows == (window(14), window(15), window(21))
    again = drifts.write(project.root, there, window(15, rows=900), kept)
    assert again is not None
    assert drifts.read(project.root, there, "churn") == again
    assert again.windows == (window(14), window(15, rows=900), window(21))
    assert drifts.read(project.root, there, "fraud") == drifts.Kept()


def test_the_same_again_moves_nothing(project: Project) -> None:
    there = forge.of(project.root)
    first = drifts.write(project.root, there, window(14), drifts.Kept())
    assert first is not None
    assert drifts.write(project.root, there, window(14), first) is first


def test_a_window_that_another_run_wrote_meanwhile_is_not_lost(project: Project) -> None:
    there = forge.of(project.root)
    assert drifts.write(project.root, there, window(14), drifts.Kept()) is not None
    assert drifts.write(project.root, there, window(21), drifts.Kept()) is None
    assert drifts.read(project.root, there, "churn").windows == (window(14),)


def test_windows_before_one_are_those_that_ended_earlier(project: Project) -> None:
    kept = drifts.Kept(None, (window(14), window(21, days=14), window(21), window(22)))
    assert kept.before("2026-11-14T00:00:00Z", "2026-11-21T00:00:00Z") == (window(14), window(21, days=14))


def test_old_windows_go(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drifts, "MOST", 2)
    there, kept = forge.of(project.root), drifts.Kept()
    for day in (14, 15, 16):
        kept = drifts.write(project.root, there, window(day), kept) or kept
    assert kept.windows == (window(15), window(16))
    assert drifts.read(project.root, there, "churn") == kept


def test_what_is_no_record_is_passed_over_with_words(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    there = forge.of(project.root)
    good = f"{drifts.FOLDER}/good.json"
    files = {good: window(14).model_dump_json(), f"{drifts.FOLDER}/bad.json": '{"schema_version": 2}'}
    commit = trees.commit(project.root, trees.changed(project.root, None, files), message="by hand")
    assert there.remote.push(commit, drifts.ref_of("churn"), None)
    assert drifts.read(project.root, there, "churn").windows == (window(14),)
    assert "bad.json on refs/trunkline/drift/churn is no record of a window" in capsys.readouterr().err
