from __future__ import annotations

from typing import Any

import pytest

from ci.core.errors import ConfigurationError
from ci.core.experiments import Experiment, chosen, others, parse, ranked

BASE = "b" * 40
PARAMS = "ml/models/a/params.yaml"


def data(depth: int, *, auc: float | None = None, seed: int = 7, model: str = "a") -> dict[str, Any]:
    metrics: dict[str, Any] = {"error": {"type": "FileNotFoundError"}}
    if auc is not None:
        metrics = {"data": {"roc_auc": auc, "log_loss": 1 - auc}}
    return {
        "params": {
            PARAMS: {"data": {"model": {"depth": depth}}},
            "params.yaml": {"data": {"defaults": {"seed": seed}}},
            "ml/models/z/params.yaml": {"data": {"model": {"depth": 10 * depth}}},
        },
        "metrics": {f"artifacts/{model}/full/metrics.json": metrics},
    }


def ran(name: str, found: dict[str, Any] | None, state: str | None = "success") -> dict[str, Any]:
    revs = [{"rev": name * 10, "name": name, "data": found}] if found else None
    return {"name": name, "revs": revs, "executor": {"state": state} if state else None}


def shown(*experiments: dict[str, Any], base: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return [
        {"rev": "workspace", "data": data(3, auc=0.5), "experiments": None},
        {"rev": BASE, "name": "main", "data": base or data(3, auc=0.8), "experiments": list(experiments) or None},
    ]


def test_experiments_are_told_by_what_they_changed_and_what_came_of_it() -> None:
    start, one, two = parse(
        shown(ran("one", data(4, auc=0.9)), ran("two", data(3, auc=0.7, seed=8), None)), "a", "full"
    )
    assert (start.name, start.commit, start.base) == (None, BASE, BASE)
    assert (one.name, one.commit, one.base) == ("one", "one" * 10, BASE)
    assert [(each.key, each.before, each.after) for each in one.changed] == [("model.depth", 3, 4)]
    assert one.metrics["roc_auc"] == 0.9
    assert [each.key for each in two.changed] == ["defaults.seed"]


def test_what_did_not_end_well_and_what_is_of_another_model_or_mode_is_left_out() -> None:
    every = shown(
        ran("queued", data(4), "queued"),
        ran("failed", None, "failed"),
        ran("elsewhere", data(4, auc=0.9, model="z")),
        ran("unmeasured", data(4)),
    )
    assert [one.name for one in parse(every, "a", "full")] == [None]
    assert not parse(every, "a", "smoke")
    assert others(every) == {"failed": 1, "queued": 1}


def test_the_best_comes_first_whichever_way_its_metric_goes() -> None:
    found = parse(shown(ran("up", data(4, auc=0.9)), ran("down", data(2, auc=0.7))), "a", "full")
    for metric in ("roc_auc", "log_loss"):
        assert [one.name for one in ranked(found, metric)] == ["up", None, "down"]
    bare = Experiment(name="bare", commit="c", base=BASE, metrics={"f1": 1.0})
    assert ranked((bare, *found), "roc_auc")[-1] is bare


def test_the_metric_is_the_first_that_reports_show_or_the_one_named() -> None:
    found = parse(shown(ran("one", data(4, auc=0.9))), "a", "full")
    assert chosen(None, found) == "roc_auc"
    assert chosen("log_loss", found) == "log_loss"
    with pytest.raises(ConfigurationError, match="did you mean 'roc_auc'"):
        chosen("rocauc", found)
