"""Whether a dvc.lock holds the full training of what lies beside it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ci.core.gating import names
from ci.core.lineage import all_stages_of
from ci.core.records import Outcome
from ci.core.training import behind, gate, to_train

PINS = {"data/a": "d1.dir", "data/b": "other.dir"}


def file(path: str, md5: str) -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": md5, "size": 1}


def lock() -> dict[str, Any]:
    """The entries of one model: each stage reads what the one before wrote."""
    full = "artifacts/a/full"
    return {
        "validate@a": {
            "cmd": "v",
            "deps": [file("data/a", "d1.dir")],
            "outs": [file("artifacts/a/validation.json", "v1")],
        },
        "prepare@a-full": {
            "cmd": "p",
            "deps": [file("artifacts/a/validation.json", "v1"), file("data/a", "d1.dir")],
            "outs": [file(f"{full}/test.parquet", "t1")],
        },
        "train@a-full": {
            "cmd": "t",
            "deps": [file("constraints.txt", "c1"), file(f"{full}/test.parquet", "t1")],
            "outs": [file(f"{full}/model.onnx", "m1")],
        },
        "evaluate@a-full": {
            "cmd": "e",
            "deps": [file(f"{full}/model.onnx", "m1")],
            "outs": [file(f"{full}/predictions.parquet", "p1")],
        },
        "profile@a-full": {
            "cmd": "q",
            "deps": [file(f"{full}/predictions.parquet", "p1")],
            "outs": [file(f"{full}/profile.json", "q1")],
        },
    }


def test_a_lock_that_holds_it_all_is_not_behind() -> None:
    assert behind("a", lock(), {}, PINS) == ()


def test_what_is_only_missing_is_no_reason() -> None:
    """As in a fresh clone."""
    stale = {
        "validate@a": [{"changed deps": {"data/a": "deleted"}}, {"changed outs": {"artifacts/a/x": "not in cache"}}],
        "train@a-full": [{"changed deps": {"artifacts/a/full/test.parquet": "modified"}}],
    }
    assert behind("a", lock(), stale, PINS) == ()


@pytest.mark.parametrize("stage", all_stages_of("a", "full"))
def test_a_stage_that_is_not_there_is_named(stage: str) -> None:
    entries = lock()
    del entries[stage]
    assert behind("a", entries, {}, PINS) == (f"dvc.lock has no entry for {stage}",)


def test_what_changed_since_is_named() -> None:
    stale = {"train@a-full": [{"changed deps": {"ml/x.py": "modified", "params.yaml": {"model": "modified"}}}]}
    words = "dvc.lock is behind train@a-full: ml/x.py modified, model modified in params.yaml"
    assert behind("a", lock(), stale, PINS) == (words,)


def test_another_model_and_its_smoke_training_are_of_no_matter() -> None:
    stale = {"train@a-smoke": ["changed command"], "train@b-full": ["changed command"]}
    assert behind("a", lock(), stale, PINS) == ()
    assert behind("a", lock(), {"validate@a": ["changed command"]}, PINS) != ()


def test_data_that_is_pinned_anew_is_told_without_the_data() -> None:
    stale = {"prepare@a-full": [{"changed deps": {"data/a": "deleted"}}]}
    words = ("dvc.lock is of other data than is pinned as data/a",)
    assert behind("a", lock(), stale, {"data/a": "d2.dir"}) == words
    assert behind("a", lock(), stale, {}) == words


@pytest.mark.parametrize(
    ("stage", "path", "maker"),
    [
        ("prepare@a-full", "artifacts/a/validation.json", "validate@a"),
        ("train@a-full", "artifacts/a/full/test.parquet", "prepare@a-full"),
        ("evaluate@a-full", "artifacts/a/full/model.onnx", "train@a-full"),
        ("profile@a-full", "artifacts/a/full/predictions.parquet", "evaluate@a-full"),
    ],
)
def test_stages_that_do_not_follow_from_each_other_are_told(stage: str, path: str, maker: str) -> None:
    """As after half a training, or where two branches were merged."""
    entries = deepcopy(lock())
    next(dep for dep in entries[stage]["deps"] if dep["path"] == path)["md5"] = "older"
    assert behind("a", entries, {}, PINS) == (f"dvc.lock is behind {stage}: {path} is not what {maker} made",)


def test_the_plan_names_what_lacks_and_leaves_out_what_does_not() -> None:
    plan = to_train({"a": (), "b": ("no entry",)}, "c0")
    assert (plan.models, plan.reasons, plan.base_commit) == (("b",), {"b": ("no entry",)}, "c0")
    assert plan.words == "1 of 2 models to be trained in full: b"
    assert to_train({"a": ()}, None).words == "nothing to train: dvc.lock holds the full training of a"
    assert to_train({}, None).models == ()


def test_the_gate_blocks_with_how_to_get_it() -> None:
    failed = gate("a", ("dvc.lock has no entry for train@a-full", "and another"))
    assert (failed.gate, failed.verdict, failed.blocks) == (names.FULL_TRAINING, Outcome.FAIL, True)
    assert "train@a-full (and 1 more): label the pull request `train`" in failed.reason
    assert "`trunkline train a`" in failed.reason
    passed = gate("a", ())
    assert (passed.verdict, passed.blocks) == (Outcome.PASS, False)
