"""Why a candidate does not help, in the middle of a sentence."""

from __future__ import annotations

from ci.core.retraining import telling
from tests.unit.ci.core import samples


def test_what_policy_would_let_pass_is_not_said_of_what_is_refused() -> None:
    summary = "fraud is inconclusive on 1 of 2 gates, and policy lets it pass: b."  # as tests of verdicts have it
    told = telling.refused(samples.inconclusive().model_copy(update={"summary": summary}))
    assert told == "inconclusive: fraud is inconclusive on 1 of 2 gates: b"
