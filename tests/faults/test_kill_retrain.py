"""Kill -9 after every side effect of a `retrain` and an `alert`: one pull request, one training counted, one issue."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.project import IDENTITY, ROOT
from tests.retraining import BRANCH, MODEL, ROWS, Yard, calm, drifted, frame, yard

if TYPE_CHECKING:
    from pathlib import Path


def killed_everywhere(line: Yard, log: Path, *command: str) -> list[str]:
    """Run a command, killed after each side effect once; the side effects, in order."""
    words = [sys.executable, "-m", "tests.faults.killer", str(line.root), str(log), *command, MODEL]
    env = {**os.environ, **IDENTITY, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{log.read_text()}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    assert "Traceback" not in done.stderr, done.stderr[-5000:]
    return log.read_text().splitlines()


def test_a_retraining_converges_to_one_pull_request_and_is_counted_once(tmp_path: Path) -> None:
    line = yard(tmp_path / "line", alerts="[{kind: issue}]")
    line.arrive("a", frame(ROWS - 100, 900))
    line.drift(drifted())
    effects = killed_everywhere(line, tmp_path / "log", "retrain")
    for part in ("dvc add", "dvc push", "refs/trunkline/retraining/churn", f"refs/heads/{BRANCH}", "pulls/000001.json"):
        assert any(part in effect for effect in effects), f"{part} was never seen among:\n" + "\n".join(effects)
    (pull,) = line.pulls()
    assert (pull.state, pull.labels) == ("open", ("retraining", "train"))
    assert line.data(BRANCH)["key"].to_list() == list(range(ROWS + 800))
    record = line.record()
    assert len(record.pushed) == 1
    assert record.proposed is not None
    assert record.proposed.number == 1
    assert line.git("status", "--porcelain") == ""

    killed_everywhere(line, tmp_path / "told", "alert")
    assert len(line.issues()) == 1

    line.drift(calm())
    effects = killed_everywhere(line, tmp_path / "gone", "retrain")
    assert any(f":refs/heads/{BRANCH}" in effect for effect in effects)
    assert [pull.state for pull in line.pulls()] == ["closed"]
    past = line.record().past
    assert past is not None
    assert past.how == "withdrawn"
    killed_everywhere(line, tmp_path / "over", "alert")
    assert [issue.state for issue in line.issues()] == ["closed"]
