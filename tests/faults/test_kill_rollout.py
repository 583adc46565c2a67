"""Kill -9 after every side effect of a `rollout` that rolls back: one commit, one issue, aliases where they belong."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from ci.core.release import release
from tests import rollouts
from tests.project import IDENTITY, ROOT
from tests.rollouts import FAILING, FIRST, Stage, canary, version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def killed_everywhere(line: Stage, log: Path) -> list[str]:
    """Run `trunkline rollout`, killed after each side effect once; the side effects, in order."""
    command = [sys.executable, "-m", "tests.faults.killer", str(line.root), str(log), "rollout"]
    env = {**os.environ, **IDENTITY, **line.surroundings, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{log.read_text()}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    assert "Traceback" not in done.stderr, done.stderr[-5000:]
    return log.read_text().splitlines()


def test_a_rollback_converges_to_one_commit_one_pull_request_and_one_issue(
    watched: tuple[float, Mapping[str, str]], tmp_path: Path
) -> None:
    start, surroundings = watched
    line = rollouts.stage(tmp_path / "project", start, surroundings, how="rollback: pull_request")
    line.run("rollout")  # what was there before is taken in, so that a point costs little
    canary(line, FAILING)
    effects = killed_everywhere(line, tmp_path / "log")
    for part in (
        "refs/trunkline/rollouts/churn/production",
        "refs/heads/rollout/churn/production",
        "pulls/000001.json",
        "issues/000001.json",
        "refs/heads/main",
        "refs/notes/trunkline",
    ):
        assert any(part in effect for effect in effects), f"{part} was never seen among:\n" + "\n".join(effects)
    assert line.released() == release("churn", "production", stable=version(FIRST))
    assert line.log()[:2] == ["Roll churn 3 back in production", "Release churn 3 to production"]
    assert [pull.state for pull in line.pulls()] == ["merged"]
    assert len(line.issues()) == 1
    assert line.has_ended()
    assert line.aliases() == {"champion": "1"}
    assert line.run("rollout", "--plan") == "nothing is being rolled out\n"
