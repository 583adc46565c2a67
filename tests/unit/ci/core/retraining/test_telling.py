"""Why a candidate does not help, in the middle of a sentence."""

from __future__ import annotations

from ci.core.records import Outcome
from ci.core.retraining import telling
from tests.unit.ci.core import samples
from tests.unit.ci.core.gating.test_verdict import gate


def test_what_policy_would_let_pass_is_not_said_of_what_is_refused() -> None:
    summary = "fraud is inconclusive on 1 of 2 gates, and policy lets it pass: b."  # as tests of verdicts have it
    gates = (gate("a", Outcome.PASS), gate("b", Outcome.INCONCLUSIVE))
    sample = samples.inconclusive().model_copy(update={"model": "fraud", "gates": gates, "summary": summary})
    told = telling.refused(sample.model_copy(update={"blocks": False}))
    assert told == "inconclusive: fraud is inconclusive on 1 of 2 gates: b"
    blocked = "fraud is inconclusive on 1 of 2 gates, and policy blocks: b."
    told = telling.refused(sample.model_copy(update={"blocks": True, "summary": blocked}))
    assert told == f"inconclusive: {blocked[:-1]}"
