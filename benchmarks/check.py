"""`trunkline check` with nothing changed beside the bare `dvc status`, and `trunkline --help`, in one run.

Run in a checkout in which `trunkline check` has passed: `python benchmarks/check.py`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

BIN = Path(sys.executable).parent
RUNS = 7
COMMANDS = {
    "dvc status": [str(BIN / "dvc"), "status"],
    "trunkline check": [str(BIN / "trunkline"), "check"],
    "trunkline --help": [str(BIN / "trunkline"), "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
}


def seconds(command: list[str]) -> float:
    """Wall seconds of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Run all commands in turn, so that a change of the machine's speed meets them alike, and print medians."""
    for command in COMMANDS.values():
        seconds(command)
    rounds = [{name: seconds(command) for name, command in COMMANDS.items()} for _ in range(RUNS)]
    table = Table("command", "median s", "min s", "max s", "x dvc status (median of pairs)")
    for name in COMMANDS:
        times = [each[name] for each in rounds]
        ratio = statistics.median(each[name] / each["dvc status"] for each in rounds)
        table.add_row(name, f"{statistics.median(times):.2f}", f"{min(times):.2f}", f"{max(times):.2f}", f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
