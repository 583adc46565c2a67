"""A release of one model end to end with everything cached, beside its steps by hand: `python -m benchmarks.release`.

Needs a docker daemon, TRUNKLINE_BASE_IMAGE, and a registry (`--registry HOST:PORT/PATH`). Cached means: the files are
in DVC's cache, the layers on the daemon, the image in the registry. By hand are DVC's status and pull, MLflow's
log_model with registration, a push of the image that is there, a commit and its push: nothing is verified, judged or
built there, so the ratio is what that costs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from ci.core.lineage import stages_of
from tests import releases

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.releases import Line

ROUNDS = 5
REGISTER = """
import mlflow, mlflow.onnx, onnx
mlflow.set_tracking_uri("sqlite:///.trunkline/hand.db")
mlflow.set_experiment("churn")
model = onnx.load("artifacts/churn/full/model.onnx")
with mlflow.start_run():
    mlflow.onnx.log_model(model, name="model", registered_model_name="churn", pip_requirements=["onnxruntime"])
"""
PUSH = """
import docker, sys
for line in docker.from_env().api.push(sys.argv[1], stream=True, decode=True):
    assert "error" not in line, line
"""


def main() -> int:
    """Print the medians and ratios of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registry", default=releases.REGISTRY)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    outside = {name: os.environ[name] for name in ("DOCKER_HOST", "TRUNKLINE_BASE_IMAGE") if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        merged = releases.merged(Path(folder) / "merged", f"{given.registry}/benchmark", outside)
        merged.copy(Path(folder) / "first").release("churn")
        seconds: dict[str, list[float]] = {}
        for number in range(given.rounds):
            line = merged.copy(Path(folder) / f"line-{number}")
            (line.project.root / ".trunkline" / "mlflow.db").unlink()  # so that it is logged and registered as by hand
            hand = merged.copy(Path(folder) / f"hand-{number}")
            steps: dict[str, Callable[[], object]] = {
                "to staging and production": partial(line.release, "churn"),
                "again, nothing new": partial(line.release, "churn"),
                "plan alone": partial(line.release, "--plan"),
                "by hand": partial(by_hand, hand),
            }
            for name, step in steps.items():
                begin = time.perf_counter()
                step()
                seconds.setdefault(name, []).append(time.perf_counter() - begin)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    table = Table(title=f"trunkline release churn, everything cached: medians of {given.rounds}")
    for column in ("what", "s", "x by hand"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, each in medians.items():
        table.add_row(name, f"{each:.1f}", f"{each / medians['by hand']:.1f}")
    Console().print(table)
    return 0


def by_hand(line: Line) -> None:
    """The same programs, as a person or a script would call them."""
    project = line.project
    project.run("python", "-m", "dvc", "status", "--json")
    project.run("python", "-m", "dvc", "pull", "--quiet", *stages_of("churn", "full"))
    project.run("python", "-c", REGISTER)
    tag = next(iter(line.images()))
    project.run("python", "-c", PUSH, f"{line.registry}/churn:{tag}", code=0, **line.outside)
    (project.root / "k8s" / "models" / "churn" / "staging" / "image").write_text(tag)
    project.git("switch", "--quiet", "--create", "release")
    project.commit("release")
    project.git("init", "--quiet", "--bare", ".trunkline/hand.git")
    project.git("push", "--quiet", ".trunkline/hand.git", "release")


if __name__ == "__main__":
    sys.exit(main())
