"""`trunkline trace` and `trunkline audit` in a repository with 1,000 releases, beside `git log` of the same files.

python benchmarks/trace.py [--releases 1000]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.history import Past, rollout, version

RUNS = 5
MODELS = ("churn", "fraud")
BIN = Path(sys.executable).parent


def seconds(command: list[str], root: Path) -> float:
    """The median wall time of a command."""
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, cwd=root, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    """Build the repository, time the commands, print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=1000)
    releases = parser.parse_args().releases
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        past = Past()
        past.commit("A repository", {"params.yaml": (Path(__file__).parents[1] / "params.yaml").read_text()})
        stable = dict.fromkeys(MODELS)
        for number in range(1, releases // len(MODELS) + 1):
            for model in MODELS:
                stable[model] = rollout(past, model, number, stable[model])
        commits = past.write(root)
        middle = version("churn", releases // 4)
        trunkline = str(BIN / "trunkline")
        git = seconds(["git", "log", "--first-parent", "-p", "--", "k8s"], root)
        print(f"{releases} releases, {len(commits)} commits; git log -p of the same files: {git:.2f} s")
        for words in (
            ["trace", "churn/2"],
            ["trace", middle.lineage.model_hash[:12]],
            ["trace", middle.digest],
            ["trace", commits[len(commits) // 2]],
            ["audit", "churn"],
        ):
            took = seconds([trunkline, *words], root)
            print(f"trunkline {words[0]} {words[1][:19]:19}  {took:5.2f} s  {took / git:5.2f}x git log -p")


if __name__ == "__main__":
    main()
