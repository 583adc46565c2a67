"""A repository with one small torch model, `toy`, whose stage train the tests start, kill and start again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.unit.ml.kinds.tables import signal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARAMS = """
kind: tabular
task: binary
data: {file: rows.parquet, id: id, label: label}
split: {by: hash, test_fraction: 0.3}
model: {epochs: 4, batch_rows: 64, learning_rate: 0.02, members: 2, folds: 4}
modes: {smoke: {}, full: {}}
checks: {onnx_tolerance: 1.0e-4, base_rate_margin: 0.1, leakage_auc: 0.99, loss_fall: 0.05}
"""
FEATURES = '''"""Two numbers."""
FEATURES, CATEGORICAL = ("a", "b"), ()
features = lambda raw: raw
'''
MODEL = '''"""A network, in a process that kills itself once (DIES=RANK:EPOCHS), hangs or breaks where a test asks."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from torch import nn

from ml.kinds import torch_mlp, torch_run

Hyperparameters = torch_run.Settings
DIES, HANGS, BREAKS = (os.environ.get(name, "") for name in ("DIES", "HANGS", "BREAKS"))
HERE = os.environ.get("RANK", "0")


def fit(table, params, seed, session):
    left = int(DIES.partition(":")[2] or 0)

    def tick(step, train, validation):
        nonlocal left
        left -= 1
        Path(f"process-{HERE}.pid").write_text(str(os.getpid()))
        if DIES.startswith(HERE) and left == 0 and not (died := Path(f"died-{DIES}")).exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if HANGS:
            time.sleep(600)
        session.tick(step, train, validation)

    if BREAKS == HERE:
        raise ValueError("no such thing")
    return torch_mlp.fit(table, params, network, seed, replace(session, tick=tick))


def network(columns):
    return nn.Sequential(nn.Linear(columns, 8), nn.ReLU(), nn.Dropout(0.0), nn.Linear(8, 1))


def smoke_checks(*_):
    return ()
'''


NOTHING: Mapping[str, str] = {}
STAGE = (sys.executable, "-m", "ml.stages.train", "toy", "full")


@dataclass(frozen=True)
class Toy:
    """The repository, in which the stage runs as DVC starts it, unless a test says how."""

    root: Path

    def start(self, env: Mapping[str, str] = NOTHING, command: Sequence[str] = STAGE) -> subprocess.Popen[str]:
        """The stage, started."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("TRUNKLINE_", "PET_"))}
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=mine | {"PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1"} | dict(env),
            stderr=subprocess.PIPE,
            text=True,
        )

    def train(self, env: Mapping[str, str] = NOTHING, *, code: int = 0) -> str:
        """Run the stage; what it told."""
        with self.start(env) as process:
            _, told = process.communicate()
        assert process.returncode == code, told
        return told

    @property
    def made(self) -> dict[str, bytes]:
        """What it left for DVC."""
        return {
            name: (self.root / "artifacts/toy/full" / name).read_bytes() for name in ("model.onnx", "training.json")
        }

    @property
    def losses(self) -> list[list[float]]:
        """The training and validation loss by epoch."""
        found: list[dict[str, Any]] = json.loads(self.made["training.json"])["loss"]
        return [[each["train"], each["validation"]] for each in found]

    @property
    def checkpoints(self) -> list[str]:
        """The checkpoints that are left."""
        return [path.name for path in (self.root / ".trunkline").rglob("*.pt")]


def toy(root: Path, rows: int = 1_001) -> Toy:
    """A repository; an odd number of rows, so that no batch's share comes out even by chance."""
    shutil.copytree("ml", root / "ml", ignore=shutil.ignore_patterns("__pycache__", "serve", "churn", "fraud"))
    for name in ("dvc.yaml", "params.yaml", "constraints.txt"):
        shutil.copy(name, root)
    home = root / "ml/models/toy"
    home.mkdir()
    for name, text in (("params.yaml", PARAMS), ("features.py", FEATURES), ("model.py", MODEL), ("__init__.py", "")):
        (home / name).write_text(text)
    folder = root / "artifacts/toy/full"
    folder.mkdir(parents=True)
    signal(rows).write_parquet(folder / "train.parquet")
    signal(300, seed=4).write_parquet(folder / "test.parquet")
    return Toy(root)
