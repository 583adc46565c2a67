from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.core.gating import names
from ci.core.statistics.metrics import Metric
from tests.unit.ci.core import cases


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("metric: average_precision, min: 0.3", "average_precision.min"),
        ("metric: roc_auc, no_worse_than: {baseline: merge_base, margin: 0.1}", "roc_auc.no_worse_than.merge_base"),
        ("metric: recall_at_fpr, fpr: 0.01, min: 0.3", "recall_at_fpr@0.01.min"),
        ("metric: card_precision, card: C, time: T, min: 0.3", "card_precision@100.min"),
        ("metric: accuracy, min: 0.3", "accuracy.min"),
        ("metric: accuracy, threshold: 0.7, min: 0.3", "accuracy@0.7.min"),
        ("metric: demographic_parity_difference, group: SEX, max: 0.3", "demographic_parity_difference@SEX.max"),
    ],
)
def test_gate_names(text: str, name: str) -> None:
    built = cases.gate(text).name()
    assert str(built) == name
    assert names.parse(name) == built


def test_slice_names() -> None:
    gate = cases.gate("metric: roc_auc, slices: [BAND], no_worse_than: {baseline: champion, margin: 0.1}")
    assert str(gate.name("BAND", "high")) == "roc_auc[BAND=high].no_worse_than.champion"
    old = cases.gate("metric: roc_auc, slices: [BAND], no_worse_than: {baseline: champion, rows: old, margin: 0.1}")
    assert str(old.name("BAND", "high")) == "roc_auc[BAND=high].no_worse_than.champion.on_old_rows"
    assert old.words == "no worse than champion by 0.1 on its test rows"


@given(
    st.text(max_size=20),
    st.sampled_from(["min", "max", "no_worse_than.merge_base", "no_worse_than.champion.on_old_rows"]),
)
def test_names_can_be_taken_apart_whatever_a_slice_is_called(value: str, rule: str) -> None:
    name = names.GateName("roc_auc", rule, "BAND", value.replace("\n", " ").replace("\r", " "))
    assert names.parse(str(name)) == name


@pytest.mark.parametrize("text", ["schema", "check.loss_falls", "roc_auc", "roc_auc.mean", "", "waiver"])
def test_other_names_are_no_gate_names(text: str) -> None:
    assert names.parse(text) is None


def test_checks_and_slices() -> None:
    assert names.check("loss_falls") == "check.loss_falls"
    assert names.slice_of("BAND", "high") == "BAND=high"
    assert Metric("roc_auc").label == "roc_auc"
