"""How many processes train, and whose failure it was when they stop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ml.errors import StageError
from ml.stages import processes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("env", "count"), [({}, 1), ({"TRUNKLINE_PROCESSES": ""}, 1), ({"TRUNKLINE_PROCESSES": "4"}, 4)]
)
def test_a_number_of_processes(env: dict[str, str], count: int) -> None:
    assert processes.wanted(env) == count


@pytest.mark.parametrize("value", ["0", "-1", "two", "2.5", "²", "99999999999"])
def test_no_number_of_processes(value: str) -> None:
    with pytest.raises(StageError, match=f"TRUNKLINE_PROCESSES is '{value}'; expected a number of processes"):
        processes.wanted({"TRUNKLINE_PROCESSES": value})


def test_a_member_is_what_torchrun_started() -> None:
    env = {"RANK": "0", "TORCHELASTIC_RUN_ID": "x"}
    assert processes.is_member(env)
    assert processes.is_first(env)
    assert not processes.is_first(env | {"RANK": "1"})
    assert not processes.is_member({"RANK": "0"})  # some schedulers set it for every container
    assert not processes.is_member({})


def told(tmp_path: Path, rank: int, error: StageError) -> Any:
    path = tmp_path / f"{rank}.json"
    processes.tell(error, {"RANK": str(rank), "TORCHELASTIC_ERROR_FILE": str(path)})
    return json.loads(path.read_bytes())


def test_the_first_to_fail_is_the_cause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cause = told(tmp_path, 1, StageError("the rows are gone", exit_code=2, file="x.py", line=3))
    follows = told(tmp_path, 0, StageError("RuntimeError: connection closed by peer"))
    assert "process 1: the rows are gone\n" in capsys.readouterr().err
    for order in ([cause, follows], [follows, cause, None, {"message": "of torchrun's own"}]):
        found = processes.cause(order)
        assert (found.message, found.exit_code, found.file, found.line) == ("the rows are gone", 2, "x.py", 3)


def test_processes_that_say_nothing() -> None:
    found = processes.cause([None, {}])
    assert found.exit_code == 2
    assert "the processes of the training were killed; free memory, and run it again" in found.message


@pytest.mark.parametrize(("codes", "killed"), [([-9, -15], True), ([-6], True), ([1, -15], False), ([2], False)])
def test_a_signal_is_no_mistake(codes: list[int], killed: bool) -> None:
    assert processes.killed(codes) == killed
