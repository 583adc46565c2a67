from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ci.core.errors import ConfigurationError
from ci.core.gating.waivers import apply, parse_waiver, require_slices
from ci.core.records import GateResult, Outcome, Waiver
from tests.unit.ci.core import cases

TODAY = date(2026, 6, 1)
GATES = cases.gates(
    """\
- {metric: roc_auc, min: 0.9}
- {metric: f1, min: 0.5, modes: [full]}
- {metric: roc_auc, slices: [BAND], no_worse_than: {baseline: merge_base, margin: 0.1}}
"""
)
SLICED = "roc_auc[BAND=%s].no_worse_than.merge_base"


def waiver(**given: Any) -> Waiver:
    data = {"gate": "roc_auc.min", "reason": "new market", "who": "Ada", "expires": "2026-06-30"} | given
    return parse_waiver(data, cases.nowhere, file="w.yaml", gates=GATES, today=TODAY)


def result(gate: str = "roc_auc.min", verdict: Outcome = Outcome.FAIL, *, blocks: bool = True) -> GateResult:
    return GateResult(
        gate=gate,
        metric="roc_auc",
        rule="min 0.9",
        verdict=verdict,
        value=0.8,
        reason="0.8 is below 0.9",
        blocks=blocks,
    )


def test_a_waived_gate_passes_and_shows_who_and_why() -> None:
    other = result("f1.min")
    waived, left = apply([result(), other], [waiver()])
    assert (waived.verdict, waived.blocks, waived.waived_by) == (Outcome.PASS, False, "Ada")
    assert waived.reason == "0.8 is below 0.9; waived by Ada until 2026-06-30: new market"
    assert left == other


def test_an_undecided_gate_is_waived_only_where_it_blocks() -> None:
    undecided = result(verdict=Outcome.INCONCLUSIVE, blocks=False)
    assert apply([undecided], [waiver()]) == (undecided,)
    (waived,) = apply([result(verdict=Outcome.INCONCLUSIVE)], [waiver()])
    assert waived.verdict is Outcome.PASS


def test_a_passing_gate_is_left_as_it_is() -> None:
    passing = result(verdict=Outcome.PASS, blocks=False)
    assert apply([passing], [waiver()]) == (passing,)


@pytest.mark.parametrize(
    ("expires", "expired"), [("2026-05-31", True), ("2026-06-01", False), (date(2026, 5, 31), True)]
)
def test_a_waiver_holds_to_the_end_of_its_day(expires: Any, expired: bool) -> None:
    found = waiver(expires=expires)
    assert found.expired is expired
    assert found.expires == str(expires)


def test_an_expired_waiver_fails_and_waives_nothing() -> None:
    failing, expired = apply([result()], [waiver(expires="2026-05-31")])
    assert failing == result()
    assert (expired.gate, expired.verdict, expired.blocks) == ("waiver", Outcome.FAIL, True)
    assert expired.reason == "the waiver of roc_auc.min by Ada expired on 2026-05-31; renew or remove w.yaml"


@pytest.mark.parametrize(
    "gate", ["schema", "full_training", "check.reproducible", "f1.min", SLICED % "high", SLICED % "anything"]
)
def test_gates_of_any_mode_can_be_waived(gate: str) -> None:
    assert waiver(gate=gate).gate == gate


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gate": "roc_auc.mim"}, "there is no gate 'roc_auc.mim' to waive; did you mean 'roc_auc.min'?"),
        ({"gate": "roc_auc.max"}, "did you mean 'roc_auc.min'?"),
        ({"gate": "roc_auc.no_worse_than.merge_base"}, "roc_auc[BAND=...].no_worse_than.merge_base"),
        ({"gate": "check.los_falls"}, "did you mean 'check.loss_falls'?"),
        ({"gate": "waiver"}, "there is no gate 'waiver'"),
        ({"expires": "soon"}, "'expires' is 'soon'; expected a day such as 2026-12-31"),
        ({"expires": 2026}, "'expires"),
        ({"reason": ""}, "'reason' is ''"),
        ({"until": "2026-12-31"}, "unknown key 'until'"),
        ({"who": None}, "'who' is empty"),
    ],
)
def test_mistakes_are_told(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        waiver(**given)
    assert words in caught.value.message
    assert caught.value.file == "w.yaml"


def test_a_waiver_needs_all_its_keys() -> None:
    with pytest.raises(ConfigurationError, match=r"w\.yaml: 'expires' is missing"):
        parse_waiver(
            {"gate": "roc_auc.min", "reason": "r", "who": "Ada"}, cases.nowhere, file="w.yaml", gates=GATES, today=TODAY
        )


def test_a_waiver_of_a_slice_that_the_data_lacks_is_refused() -> None:
    judged = [result(SLICED % "high"), result(SLICED % "low")]
    require_slices([waiver(gate=SLICED % "high"), waiver()], judged)
    require_slices([waiver(gate=SLICED % "hihg")], [result()])  # nothing of that column was judged in this run
    with pytest.raises(ConfigurationError, match=r"no such slice; did you mean 'roc_auc\[BAND=high\]"):
        require_slices([waiver(gate=SLICED % "hihg")], judged)


@pytest.mark.parametrize("key", ["reason", "who"])
def test_a_blank_is_no_reason_and_nobody(key: str) -> None:
    with pytest.raises(ConfigurationError, match=key):
        waiver(**{key: "  "})
