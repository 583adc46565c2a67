"""`trunkline explain` in a repository with a past: by real git and DVC, from a log that the server's own code wrote."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl
import pytest
import yaml

from ci.cli import main
from ci.commands import lineage
from ci.core.release import Version, dump, path_of, release
from ml.serve import log_files
from ml.serve.log_files import Header
from ml.serve.log_store import Store
from tests.project import ROOT, Project
from tests.unit.ml.serve import models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ci.core.lineage import Lineage

    Explain = Callable[..., str]

TRAINED_ON = pl.DataFrame({"id": range(300), "a": np.linspace(0, 1, 300), "b": [2.0] * 300, "c": [3, 4, 5] * 100})
COLUMNS = dict.fromkeys(models.COLUMNS, "FP32")
HERE = "artifacts/churn/full"


def parquet(rows: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    rows.write_parquet(file)
    return file.getvalue()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


class Past:
    """A repository whose model was trained twice, and released once."""

    def __init__(self, where: Path) -> None:
        self.project = Project(where / "project")
        self.log = where / "log"
        self.remote = where / "remote"
        self.write("params.yaml", (ROOT / "params.yaml").read_text())
        self.write(".gitignore", "artifacts\n.trunkline\n")
        self.write(".dvc/config", f"[core]\n    remote = kept\n['remote \"kept\"']\n    url = {self.remote}\n")
        self.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        outs = {"prepare": "train.parquet", "train": "model.onnx", "evaluate": "predictions.parquet"}
        matrix = {"model": ["churn"], "mode": ["full"]}
        stages: dict[str, Any] = {
            name: {"matrix": matrix, "cmd": "true", "outs": [f"artifacts/${{item.model}}/${{item.mode}}/{out}"]}
            for name, out in outs.items()
        }
        stages["validate"] = {"matrix": {"model": ["churn"]}, "cmd": "true"}
        self.write("dvc.yaml", yaml.safe_dump({"stages": stages}, sort_keys=False))
        self.project.git("init", "--quiet", "--initial-branch", "main")
        self.old = self.train(models.matrix(), parquet(TRAINED_ON))
        self.release("staging", 100)
        self.release("production", 5)
        self.onnx = models.matrix()
        self.later = datetime.now(UTC) + timedelta(minutes=5)  # than the releases
        self.new = self.train(models.matrix(models.MATRIX.replace("matrix", "newer")), parquet(TRAINED_ON[:200]))

    def write(self, path: str, text: str) -> None:
        (self.project.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.project.root / path).write_text(text)

    def train(self, onnx: bytes, rows: bytes) -> Lineage:
        """Pin a model and the rows it was trained on, which DVC's remote has."""
        deps = [{"path": path, "md5": "0" * 32} for path in ("data/churn", "constraints.txt")]
        stages: dict[str, Any] = {"validate@churn": {"cmd": "true", "deps": deps}}
        made = {
            "prepare": ("train.parquet", rows),
            "train": ("model.onnx", onnx),
            "evaluate": ("predictions.parquet", b""),
        }
        for stage, (name, content) in made.items():
            kept = self.remote / "files" / "md5" / md5(content)[:2] / md5(content)[2:]
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(content)
            outs = [{"path": f"{HERE}/{name}", "hash": "md5", "md5": md5(content), "size": len(content)}]
            stages[f"{stage}@churn-full"] = {"cmd": "true", "deps": deps, "outs": outs}
        self.write("dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}))
        self.project.commit("train churn in full")
        found = lineage.of_head(self.project.root, "churn")
        assert found is not None
        return found

    def release(self, environment: str, weight: int) -> str:
        """Let an environment run the first version."""
        version = Version(image=f"r/churn@sha256:{'1' * 64}", version="1", lineage=self.old)
        before = Version(image=f"r/churn@sha256:{'0' * 64}", version="0", lineage=self.old)
        made = release("churn", environment, stable=version)
        if weight < 100:
            made = release("churn", environment, stable=before, canary=version, weight=weight)
        self.write(path_of("churn", environment), dump(made))
        return self.project.commit(f"Release churn 1 to {environment}")

    def logged(self, name: str, *rows: tuple[float, ...], score: float | None = None, **changes: Any) -> None:
        """Requests of a later minute, as a server logs them."""
        model_hash = changes.pop("model_hash", self.old.model_hash)
        track, later = changes.pop("track", "canary"), changes.pop("later", 0.0)
        header = Header("churn", model_hash, model_hash[:12], track, COLUMNS, changes.pop("sensitive", {}))
        at = self.later.timestamp() + later
        scores = [sum(row) if score is None else score for row in rows]
        line = orjson.dumps([name, 0, at, [list(column) for column in zip(*rows, strict=True)], scores])
        content = log_files.parquet(header, [line], b"k" * 32)
        Store(str(self.log)).put(log_files.path(header, int(at // 3600), f"{name}{track}"), content)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return Past(tmp_path_factory.mktemp("past"))


@pytest.fixture
def explain(past: Past, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Explain:
    """The command, in this process, and what it printed."""
    monkeypatch.chdir(past.project.root)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args: str, code: int = 0, log: str = str(past.log)) -> str:
        assert main(["explain", *args, *(["--log", log] if log else [])]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run


def test_it_leads_from_a_request_to_all_that_it_came_from(past: Past, explain: Explain) -> None:
    past.logged("known", (0.5, 2.0, 4.0), (1.0, 2.5, 4.0))
    shown = explain("known", "--row", "1")
    assert "request known, row 1 of 2" in shown
    assert f"score 7.5 by churn {past.old.model_hash[:12]}" in shown
    assert f"commit {past.old.commit[:12]}" in shown
    assert f"churn/1, lock {past.old.lock_hash[:12]}, data {past.old.data_hash}" in shown
    assert "ran in production as canary with 5 % since" in shown
    assert "Release churn 1 to production" in shown
    assert "ran in staging" not in shown  # it was logged by a canary
    found = json.loads(explain("known", "--row", "1", "--json"))
    assert found["chain"]["lineage"]["lock_hash"] == past.old.lock_hash
    moved = {one["feature"]: one["contribution"] for one in found["contributions"]}
    assert moved["b"] == pytest.approx(0.5, abs=1e-6)  # the model adds up its features
    assert found["base"] + sum(moved.values()) == pytest.approx(7.5, abs=1e-6)
    assert found["references"] == 200
    assert (past.project.root / ".trunkline").exists()
    assert past.project.git("worktree", "list").count("\n") == 0


def test_what_a_canary_in_the_shadow_said_is_told_apart(past: Past, explain: Explain) -> None:
    past.logged("copied", (0.5, 2.0, 4.0), track="canary", later=0.002)
    past.logged("copied", (0.5, 2.0, 4.0), track="stable")
    shown = explain("copied")
    assert "UTC, stable" in shown
    assert "another answer has this id: 6.5 by churn" in shown
    assert "UTC (--track canary)" in shown
    told = json.loads(explain("copied", "--track", "canary", "--json"))
    assert (told["logged"]["track"], [one["track"] for one in told["others"]]) == ("canary", ["stable"])
    assert "what the log has of this request is of: canary, stable." in explain("copied", "--track", "x", code=1)


def test_what_is_hashed_or_dropped_is_told_and_gets_what_is_left(past: Past, explain: Explain) -> None:
    past.logged("partly", (0.5, 3.0, 9.0), sensitive={"b": "hash", "c": "drop"})
    found = json.loads(explain("partly", "--json"))
    assert found["hidden"] == ["b", "c"]
    assert [one["feature"] for one in found["contributions"]] == ["a"]
    told = found["contributions"][0]["contribution"] + found["hidden_contribution"]
    assert found["base"] + told == pytest.approx(12.5)
    assert "b, c: hashed or dropped in the log, so not known here" in explain("partly")
    past.logged("nothing", (0.5, 3.0, 9.0), sensitive=dict.fromkeys("abc", "drop"))
    assert json.loads(explain("nothing", "--json"))["contributions"] == []


def test_a_score_that_the_model_does_not_give_is_refused(past: Past, explain: Explain) -> None:
    past.logged("changed", (0.5, 2.0, 4.0), score=6.51)
    told = explain("changed", code=3)
    assert "gives 6.5 for what was logged, but its server answered 6.51" in told


def test_a_model_that_nothing_pins_is_told(past: Past, explain: Explain) -> None:
    past.logged("foreign", (0.5, 2.0, 4.0), model_hash="f" * 32)
    assert "no dvc.lock pins a model of churn with the hash ffffffffffff" in explain("foreign", code=1)


def test_files_that_nobody_has_any_more_are_told(past: Past, explain: Explain) -> None:
    past.logged("lost", (0.5, 2.0, 4.0), model_hash=past.new.model_hash)
    (past.remote / "files" / "md5" / past.new.model_hash[:2] / past.new.model_hash[2:]).unlink()
    told = explain("lost", code=2)
    assert f"{HERE}/model.onnx with the hash {past.new.model_hash} is not here" in told


def test_what_is_asked_wrongly_is_told(past: Past, explain: Explain) -> None:
    past.logged("asked", (0.5, 2.0, 4.0))
    assert "the log has the rows 0 to 0" in explain("asked", "--row", "3", code=1)
    assert "no request 'other' is in the log at" in explain("other", code=1)
    assert "--since is 'noon'" in explain("asked", "--since", "noon", code=1)
    assert "since 2999-01-01" in explain("asked", "--since", "2999-01-01", code=1)
    assert "which log?" in explain("asked", code=1, log="")
