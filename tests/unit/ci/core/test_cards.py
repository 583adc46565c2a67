from __future__ import annotations

from typing import Any

import pytest

from ci.adapters.cards import card
from ci.core import cards
from ci.core.errors import ConfigurationError
from ci.core.records import Baseline, Evaluation, GateResult, MetricRow, Outcome, Period, Validation, Verdict
from ci.core.reporting.show import NOTHING
from tests.unit.ci.core import cases, samples
from tests.unit.ci.core.test_registered import FULL, LINEAGE

SAID = {"intended_use": "ranks things", "out_of_scope": "people", "limits": ["small", "old"], "owner": "team A"}
WORDS = cards.Words.model_validate(SAID)
IMAGE = "registry.example/a/fraud@sha256:" + "a" * 64
VALIDATION = Validation(
    model="fraud",
    file="data/fraud/t.parquet",
    data_hash="x",
    rows=312_400,
    columns=9,
    period=Period(column="AT", start="2018-04-01", end="2018-06-30"),
    passed=True,
)
EVALUATION = Evaluation(
    model="fraud",
    mode="full",
    task="binary",
    rows=31_240,
    training_rows=5_000,
    positives=260,
    rows_hash="r",
    model_hash=samples.MODEL,
    predictions_hash="p",
    checks=(),
)


def made(verdict: Verdict = FULL, validation: Validation = VALIDATION, words: cards.Words = WORDS) -> str:
    return card(LINEAGE, verdict, validation, EVALUATION, words, "3", IMAGE)


def fair(*, gated: bool) -> Verdict:
    metric = "demographic_parity_difference@SEX"
    row = MetricRow(metric=metric, n=100, higher_is_better=False, candidate=0.04)
    gate = GateResult(
        gate=f"{metric}.max", metric=metric, rule="max 0.1", verdict=Outcome.PASS, value=0.04, reason="", blocks=False
    )
    gates = (*FULL.gates, gate) if gated else FULL.gates
    return FULL.model_copy(update={"metrics": (*FULL.metrics, row), "gates": gates})


def test_a_card_says_what_the_issue_asks_of_it() -> None:
    text = made()
    for part in (
        "# Model card: fraud, version 3",
        "**Intended use.** ranks things",
        "**Out of scope.** people",
        "- small\n- old",
        "Owner: team A",
        "| hash | `d` |",
        "2018-04-01 to 2018-06-30 (AT)",
        "312,400",
        "Trained on 5,000 rows, measured on 31,240 others, 260 of them positive.",
        "| `average_precision` | 0.6480 | 0.6057 to 0.6903 | 0.6120 | +0.0360 |",
        "| `AMOUNT_BAND=high` | `average_precision` | 2,210 |",
        "Waived: `card_precision.min`",
        "Ada Lovelace | 2026-12-15 | labels of the last week are late",
        f"| lock | `{LINEAGE.lock_hash}` |",
        f"| image | `{IMAGE}` |",
        "`trunkline reproduce fraud/3`",
    ):
        assert part in text, part


def test_a_card_is_the_same_whatever_machine_measured_the_latency() -> None:
    slower = tuple(
        row.model_copy(update={"candidate": 99.0}) if row.metric == "latency_p99_ms" else row for row in FULL.metrics
    )
    gates = tuple(
        gate.model_copy(update={"verdict": Outcome.INCONCLUSIVE, "value": None})
        if gate.metric == "latency_p99_ms"
        else gate
        for gate in FULL.gates
    )
    assert slower != FULL.metrics
    assert gates != FULL.gates
    assert made(FULL.model_copy(update={"metrics": slower, "gates": gates, "summary": "another"})) == made()


def test_fairness_shows_the_gate_it_is_held_to_or_that_there_is_none() -> None:
    name = "`demographic_parity_difference@SEX`"
    assert f"| {name} | 0.0400 |  | max 0.1 | pass |" in made(fair(gated=True))
    assert f"| {name} | 0.0400 |  | {NOTHING} | no gate |" in made(fair(gated=False))
    assert "No gate of this model compares groups of people." in made()


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (None, "Compared with no other model."),
        (Baseline(kind="champion", status="missing", reason="nothing is in production"), "nothing is in production."),
        (
            Baseline(kind="champion", status="unchanged", commit="9" * 40, reason=""),
            "It is the champion (commit 999999999999), byte for byte.",
        ),
        (
            Baseline(kind="champion", status="compared", commit="9" * 40, reason=""),
            "Differences are to the champion (commit 999999999999), on the same rows.",
        ),
    ],
)
def test_a_card_says_what_the_model_was_compared_with(baseline: Baseline | None, words: str) -> None:
    assert words in made(FULL.model_copy(update={"baseline": baseline}))


def test_a_model_without_a_time_column_has_no_period() -> None:
    assert "no column of the data is a time" in made(validation=VALIDATION.model_copy(update={"period": None}))


def test_words_of_a_person_cannot_break_out_of_the_card() -> None:
    text = made(words=WORDS.model_copy(update={"owner": "<img src=x> @everyone\n# Heading", "limits": ["a | b"]}))
    assert "<img" not in text
    assert "@everyone" not in text
    assert "\n# Heading" not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"owner": None}, "owner"),
        ({"limits": []}, "limits"),
        ({"ownr": "x"}, "unknown key 'ownr'"),
        ({"intended_use": ""}, "intended_use"),
    ],
)
def test_words_are_read_strictly(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        cards.words({"card": SAID | change}, cases.nowhere, file="a.yaml")


def test_a_model_without_words_gets_no_card() -> None:
    with pytest.raises(ConfigurationError, match=r"a\.yaml: 'card' is missing.*intended_use"):
        cards.words({"kind": "tabular"}, cases.nowhere, file="a.yaml")
