"""A stage that stops says so in one sentence, in problem.json and by its exit code."""

from __future__ import annotations

import errno
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from ci.core.records import Problem, Timings
from ml.errors import REFUSED, StageError
from ml.stages.run import Place, run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "ml/models/toy").mkdir(parents=True)
    (tmp_path / "ml/models/toy/params.yaml").write_text("kind: tabular\n")
    return tmp_path


def problem(root: Path) -> Problem:
    return Problem.model_validate_json((root / "artifacts/toy/problem.json").read_bytes())


def test_a_stage_error_becomes_a_sentence_a_record_and_an_exit_code(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(*_: object) -> None:
        raise StageError("the data is late", exit_code=REFUSED, file="data/toy.parquet", line=3)

    assert run("prepare", body, Namespace(model="toy", mode="smoke"), root=root) == 3
    assert capsys.readouterr().err == "prepare toy: the data is late\n"
    assert problem(root) == Problem(
        model="toy", stage="prepare", message="the data is late", exit_code=3, file="data/toy.parquet", line=3
    )
    assert not (root / "artifacts/toy/smoke/timings.json").exists()


def test_a_full_disk_is_the_environment_s_fault(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def body(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "model.onnx")

    assert run("train", body, Namespace(model="toy", mode="smoke"), root=root) == 2
    assert "model.onnx: No space left on device; free disk space" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback_and_is_told_with_its_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = root / "ml/models/toy/features.py"
    code.write_text("def features(raw):\n    return raw / 0\n")

    def body(*_: object) -> None:
        found: dict[str, Any] = {}
        exec(compile(code.read_text(), str(code), "exec"), found)
        found["features"](1)

    assert run("train", body, Namespace(model="toy", mode="smoke"), root=root) == 1
    told = "ml/models/toy/features.py:2: ZeroDivisionError: division by zero; the traceback is in the log"
    said = capsys.readouterr().err
    assert said.endswith(f"train toy: {told}\n")
    assert "Traceback" in said
    assert (problem(root).message, problem(root).file, problem(root).line) == (told, "ml/models/toy/features.py", 2)


def test_the_next_start_removes_the_problem_and_timings_add_up(root: Path) -> None:
    def late(*_: object) -> None:
        raise StageError("late")

    def fine(_: object, place: Place) -> None:
        assert not (place.artifacts / "problem.json").exists()

    run("validate", late, Namespace(model="toy"), root=root)
    assert run("validate", fine, Namespace(model="toy"), root=root) == 0
    assert run("train", fine, Namespace(model="toy", mode="full"), root=root) == 0
    full = Timings.model_validate_json((root / "artifacts/toy/full/timings.json").read_bytes())
    smoke = Timings.model_validate_json((root / "artifacts/toy/smoke/timings.json").read_bytes())
    assert set(full.seconds) == {"validate", "train"}
    assert set(smoke.seconds) == {"validate"}


def test_a_model_that_is_none(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", lambda *_: None, Namespace(model="toi", mode="full"), root=root) == 1
    assert "'toi' is not a model of this repository" in capsys.readouterr().err
