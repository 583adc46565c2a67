"""A repository in which model `a` was trained in full and judged, made by hand: as much of it as the registry needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import yaml
from onnx import TensorProto, helper, numpy_helper

from ci.adapters import files
from ci.core.lineage import Lineage, of_lock
from ci.core.records import Evaluation, MetricRow, Outcome, Verdict
from tests.unit.ci.core import cases

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "c" * 40
EPOCHS = 3


@dataclass(frozen=True)
class Trained:
    """The repository, and what is registered of it."""

    root: Path
    verdict: Verdict
    lineage: Lineage

    @property
    def artifact(self) -> Path:
        return self.root / "artifacts" / "a" / "full" / "model.onnx"


def model(weight: float = 0.5) -> bytes:
    """Scores from a matrix of columns p and q, and from a column of texts that it lets pass by."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "w"], ["score"]),
            helper.make_node("Identity", ["contract"], ["seen"]),
        ],
        "a",
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 2]),
            helper.make_tensor_value_info("contract", TensorProto.STRING, ["n", 1]),
        ],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info("seen", TensorProto.STRING, ["n", 1]),
        ],
        [numpy_helper.from_array(np.full((2, 1), weight, dtype=np.float32), "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {"features": json.dumps(["p", "q"])})
    return bytes(made.SerializeToString(deterministic=True))


def lock(root: Path, **changed: str) -> dict[str, Any]:
    """The stages of dvc.lock for what lies under artifacts."""
    here = root / "artifacts" / "a"
    outs = {
        "prepare@a-full": ["test.parquet"],
        "train@a-full": ["model.onnx", "training.json"],
        "evaluate@a-full": ["predictions.parquet", "evaluation.json", "metrics.json"],
    }
    deps = {"constraints.txt": "e" * 32, "data/a": "d" * 32 + ".dir", "ml/models/a/model.py": "f" * 32} | changed
    entries: dict[str, Any] = {"validate@a": {"cmd": "validate", "outs": []}}
    for stage, names in outs.items():
        entries[stage] = {
            "cmd": stage,
            "deps": [{"path": path, "md5": md5} for path, md5 in deps.items()],
            "params": {"ml/models/a/params.yaml": {"model": {"depth": 3}}},
            "outs": [{"path": f"artifacts/a/full/{name}", "md5": files.md5(here / "full" / name)} for name in names],
        }
    return entries


def make(root: Path, weight: float = 0.5) -> Trained:
    """Write it all; another `weight` is another training."""
    full = root / "artifacts" / "a" / "full"
    full.mkdir(parents=True, exist_ok=True)
    (full / "model.onnx").write_bytes(model(weight))
    rows = pl.DataFrame({"p": [1.0, 2.0, 3.0, 4.0], "q": [0, 1, 0, 1], "contract": ["x", "y", "x", "y"]})
    rows.write_parquet(full / "test.parquet")
    rows.write_parquet(full / "predictions.parquet")
    model_hash = files.md5(full / "model.onnx")
    full_mode = {"mode": "full", "model_hash": model_hash}
    files.write_record(full / "training.json", cases.training().model_copy(update=full_mode))
    evaluation: Evaluation = cases.evaluation(4).model_copy(update=full_mode)
    files.write_record(full / "evaluation.json", evaluation)
    (full / "metrics.json").write_text(json.dumps({"f1": 0.5}))
    files.write_text(full.parent / "validation.json", "{}")
    files.write_text(root / "constraints.txt", "numpy==2.4.6\nonnxruntime==1.31.1\npolars==1.0\n")
    verdict = Verdict(
        model="a",
        mode="full",
        task="binary",
        commit=COMMIT,
        base_commit=None,
        candidate_hash=model_hash,
        verdict=Outcome.PASS,
        blocks=False,
        summary="a passes all 3 gates.",
        metrics=(MetricRow(metric="roc_auc", n=4, higher_is_better=True, candidate=0.9),),
    )
    files.write_record(full / "verdict.json", verdict)
    stages = lock(root)
    files.write_text(root / "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}))
    lineage = of_lock(stages, "a", COMMIT)
    assert lineage is not None
    return Trained(root, verdict, lineage)
