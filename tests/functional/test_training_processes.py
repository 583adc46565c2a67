"""Full training in two processes over gloo: the same result as in one, whichever of them is killed meanwhile."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ci.adapters import kustomize
from tests.functional.training import Toy, toy

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

TWO = {"TRUNKLINE_PROCESSES": "2"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Trained in one process."""
    found = toy(tmp_path_factory.mktemp("alone") / "root")
    found.train()
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Trained in two."""
    found = toy(tmp_path_factory.mktemp("both") / "root")
    found.train(TWO)
    return found


def agree(one: Toy, two: Toy) -> None:
    """Every loss of every epoch, within what the order of a sum changes: no row was left out or seen twice."""
    assert len(one.losses) == len(two.losses) == 5
    for mine, other in zip(one.losses, two.losses, strict=True):
        assert mine == pytest.approx(other, abs=2e-6)


def test_two_processes_come_to_what_one_does(alone: Toy, both: Toy) -> None:
    agree(alone, both)
    steps = [json.loads(each.made["training.json"])["checks"][1]["detail"] for each in (alone, both)]
    assert steps[0] == steps[1]
    assert sorted(path.name for path in both.root.glob("*.pid")) == ["process-0.pid", "process-1.pid"]
    assert both.checkpoints == []


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_costs_an_epoch_at_most(both: Toy, tmp_path: Path, rank: int) -> None:
    killed = toy(tmp_path / "root")
    told = killed.train({**TWO, "DIES": f"{rank}:3"})
    assert "train toy full: a process was killed; starting all of them again" in told
    # The other one may have ended the epoch, and if it is the first kept it, before the kill was seen.
    assert re.search(f"going on from its checkpoint: network 1, epoch {'2' if rank == 0 else '[23]'}", told)
    assert killed.made == both.made


def test_processes_end_with_the_stage(tmp_path: Path) -> None:
    mine = toy(tmp_path / "root")
    with mine.start({**TWO, "HANGS": "yes"}) as stage:
        try:
            noted = [mine.root / f"process-{rank}.pid" for rank in (0, 1)]
            assert soon(lambda: all(path.is_file() and path.read_text() for path in noted))
            pids = [int(path.read_text()) for path in noted]
            assert all(runs(pid) for pid in pids)
        finally:
            stage.kill()
    assert soon(lambda: not any(runs(pid) for pid in pids))


def test_the_cause_is_told_with_its_line(tmp_path: Path) -> None:
    mine = toy(tmp_path / "root")
    told = mine.train({**TWO, "BREAKS": "1"}, code=1)
    problem = json.loads((mine.root / "artifacts/toy/problem.json").read_bytes())
    assert problem["message"].startswith("ml/models/toy/model.py:")
    assert "ValueError: no such thing; the traceback is in the log" in problem["message"]
    assert (problem["file"], problem["exit_code"]) == ("ml/models/toy/model.py", 1)
    assert told.strip().splitlines()[-1] == f"train toy: {problem['message']}"
    assert told.count("process 1: ml/models/toy/model.py") == 1  # a mistake is not tried again


class Nodes:
    """Two nodes on this machine, each running what k8s/training/job gives to a pod."""

    def __init__(self) -> None:
        (job,) = (each for each in kustomize.build(Path(), "k8s/training/job") if each["kind"] == "Job")
        (container,) = job["spec"]["template"]["spec"]["containers"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.env = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        self.env |= {"POD_IP": "127.0.0.1", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(port)}
        expanded = [re.sub(r"\$\((\w+)\)", lambda name: self.env[name[1]], part) for part in container["command"]]
        assert expanded[0] == "torchrun"
        self.command = [sys.executable, "-m", "torch.distributed.run", *expanded[1:-2], "toy", "full"]

    def start(self, where: Toy, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return where.start({**self.env, **(env or {})}, self.command)


def test_two_nodes_train_together_and_one_that_dies_comes_back(both: Toy, tmp_path: Path) -> None:
    shared, nodes = toy(tmp_path / "root"), Nodes()
    with nodes.start(shared, {"DIES": "0:3"}) as first, nodes.start(shared, {"DIES": "0:3"}) as second:
        told = [each.communicate()[1] for each in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], told
    assert "going on from its checkpoint: network 1, epoch 2" in "".join(told)
    assert shared.made == both.made
    assert shared.checkpoints == []


def test_nodes_with_other_rows_are_refused(tmp_path: Path) -> None:
    nodes = Nodes()
    nodes.command = [part.replace("--max-restarts=3", "--max-restarts=0") for part in nodes.command]
    wheres = [toy(tmp_path / "first"), toy(tmp_path / "second", rows=1_002)]
    with nodes.start(wheres[0]) as first, nodes.start(wheres[1]) as second:
        told = [each.communicate()[1] for each in (first, second)]
    assert 0 not in {first.returncode, second.returncode}
    assert "process 1 has other rows, parameters or code than process 0; give every node the same commit" in "".join(
        told
    )


def test_a_wrong_number_of_processes_is_told(tmp_path: Path) -> None:
    told = toy(tmp_path / "root").train({"TRUNKLINE_PROCESSES": "many"}, code=1)
    assert told == (
        "train toy: TRUNKLINE_PROCESSES is 'many'; expected a number of processes, 1 or more, or leave it unset\n"
    )


def runs(pid: int) -> bool:
    """Whether the process is there, and not only waits to be missed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def soon(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within a minute."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.1)
    return False
