"""Annotations: at the right line, and no text can start a command of its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ci.core.annotations import annotation, of_verdict
from ci.core.records import Outcome, Problem, Verdict, Violation

SCHEMA = "class Raw(pa.DataFrameModel):\n    amount: pl.Float64 = pa.Field(ge=0)\n\n    def total(cls, data):\n"
VERDICT = Verdict(
    model="fraud",
    mode="smoke",
    task="binary",
    commit=None,
    base_commit=None,
    candidate_hash=None,
    verdict=Outcome.FAIL,
    blocks=True,
    summary="",
)


def test_values_are_escaped_as_github_does_it() -> None:
    assert annotation("50 %\nmore", "a:b,c", 3) == "::error file=a%3Ab%2Cc,line=3::50 %25%0Amore"
    assert annotation("nowhere", None, None) == "::error::nowhere"


@given(st.text(), st.text())
def test_an_annotation_is_one_line_whatever_is_said(message: str, file: str) -> None:
    told = annotation(message, file, 1)
    assert "\n" not in told
    assert "\r" not in told
    assert told.startswith("::error file=")


def test_a_broken_rule_stands_at_its_column_or_its_check() -> None:
    broken = [
        Violation(column="amount", check="greater_than_or_equal_to(0)", count=2, message="negative amounts"),
        Violation(column=None, check="total", count=1, message="does not add up"),
        Violation(column="gone", check="column", count=1, message="is missing"),
    ]
    told = list(of_verdict(VERDICT.model_copy(update={"violations": tuple(broken)}), SCHEMA))
    assert told == [
        "::error file=ml/models/fraud/schema.py,line=2::fraud: negative amounts (2 rows)",
        "::error file=ml/models/fraud/schema.py,line=4::fraud: does not add up (1 rows)",
        "::error file=ml/models/fraud/schema.py::fraud: is missing (1 rows)",
    ]


def test_a_stage_that_stopped_stands_where_it_says() -> None:
    problem = Problem(model="fraud", stage="train", message="unknown key", exit_code=1, file="params.yaml", line=7)
    told = list(of_verdict(VERDICT.model_copy(update={"problem": problem}), SCHEMA))
    assert told == ["::error file=params.yaml,line=7::fraud: unknown key"]
