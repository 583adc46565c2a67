from __future__ import annotations

from typing import Any

import pytest

from ci.core import registered
from ci.core.lineage import Lineage
from ci.core.records import Interval, MetricRow, Outcome
from ci.core.registered import Point, is_newest, judged, params, points, refusal, tags
from tests.unit.ci.core import cases, samples

LINEAGE = Lineage(
    model="fraud",
    commit="c" * 40,
    data_hash="d",
    params_hash="p",
    code_hash="k",
    environment_hash="e",
    lock_hash="l",
    model_hash=samples.MODEL,
    predictions_hash="r",
)
FULL = samples.passing().model_copy(update={"mode": "full"})


def row(metric: str, value: float | None, part: str | None = None) -> MetricRow:
    interval = None if value is None else Interval(low=value - 1, high=value + 1, confidence=0.95)
    return MetricRow(
        metric=metric, slice=part, n=10, higher_is_better=True, candidate=value, candidate_interval=interval
    )


def test_tags_are_the_whole_lineage_and_the_verdict() -> None:
    found = tags(LINEAGE, FULL)
    assert found == {
        **{name: getattr(LINEAGE, name) for name in Lineage.model_fields if name != "model"},
        "verdict": "pass",
        "summary": FULL.summary,
    }
    assert found[registered.KEY] == "l"
    assert judged(FULL).items() <= found.items()


def test_nothing_speaks_against_the_bytes_that_were_judged() -> None:
    assert refusal(samples.MODEL, "l", FULL, LINEAGE) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model_hash": "other"}, "it is not the model that was trained"),
        ({"lock_hash": "other"}, "dvc.lock has changed since commit cccccccccccc"),
        ({"verdict": samples.passing()}, "the verdict at hand is of smoke model"),
        ({"verdict": FULL.model_copy(update={"candidate_hash": "x"})}, "of full model x, not of these bytes"),
        ({"verdict": FULL.model_copy(update={"verdict": Outcome.FAIL})}, "its gates do not let it pass"),
        ({"verdict": FULL.model_copy(update={"blocks": True})}, "its gates do not let it pass"),
    ],
)
def test_other_bytes_locks_and_verdicts_are_refused(given: dict[str, Any], words: str) -> None:
    usual: dict[str, Any] = {"model_hash": samples.MODEL, "lock_hash": "l", "verdict": FULL, "lineage": LINEAGE}
    said = refusal(**(usual | given))
    assert said is not None
    assert words in said


def test_candidate_never_goes_back() -> None:
    assert is_newest("1", None)
    assert is_newest("10", "9")
    assert not is_newest("9", "10")
    assert not is_newest("9", "9")


def test_params_are_those_that_stages_read_by_dotted_key() -> None:
    entries = {
        "prepare@a-full": {"params": {"params.yaml": {"defaults.seed": 7}, "ml/models/a/params.yaml": {"kind": "x"}}},
        "train@a-full": {"params": {"ml/models/a/params.yaml": {"model": {"hidden": [64, 32], "odd(key)": None}}}},
        "evaluate@a-full": {"outs": []},
    }
    assert params(entries) == {
        "defaults.seed": "7",
        "kind": "x",
        "model.hidden": "[64, 32]",
        "model.odd_key_": "null",
    }


def test_points_are_every_epoch_and_each_measure_with_its_interval() -> None:
    rows = [row("recall_at_fpr@0.01", 0.5), row("roc_auc", 0.9, "BAND=high"), row("size_bytes", None)]
    found = points(cases.training(), rows, {"f1": 0.25})
    assert [point for point in found if point.step] == [
        *(Point(name="loss/train", value=1 / step, step=step) for step in (1, 2, 3)),
        *(Point(name="loss/validation", value=2 / step, step=step) for step in (1, 2, 3)),
    ]
    assert {point.name: point.value for point in found if not point.step} == {
        "f1": 0.25,
        "recall_at_fpr/0.01": 0.5,
        "recall_at_fpr/0.01.low": -0.5,
        "recall_at_fpr/0.01.high": 1.5,
    }
