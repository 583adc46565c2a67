"""What is done about a retraining, over what can be found and what can be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ci.core.drift.rules import Retrain
from ci.core.forge import Ended, Pull
from ci.core.records import Outcome
from ci.core.retraining import deciding
from ci.core.retraining.deciding import DAY, Standing
from ci.core.retraining.records import Past, Pin, Proposed, Retraining, Rows
from tests.retraining import calm, drifted, finding

if TYPE_CHECKING:
    from ci.core.drift.records import Drift

NOW = 1_000 * DAY
RULES = Retrain(cooldown_days=7, least_labelled=500, per_week=2, snooze_days=30)
NAMES = ("data x", "quality average_precision")
NOTHING = Retraining(model="churn")
OLD, NEW = "0" * 32 + ".dir", "1" * 32 + ".dir"


def pull(number: int = 3) -> Pull:
    return Pull(number=number, branch="retrain/churn", base="main", title="t", body="b", url="u", head_commit="c" * 40)


def proposed(**changes: object) -> Proposed:
    made = Proposed(pin=Pin(md5=NEW), base=OLD, rows=Rows(rows=800), since=NOW - 9 * DAY, findings=NAMES, number=3)
    return made.model_copy(update=changes)


def record(*pushed: float, past: Past | None = None, **changes: object) -> Retraining:
    """With one open since nine days, where something of it is said."""
    there = proposed(**changes) if changes else None
    return Retraining(model="churn", pushed=tuple(NOW - days * DAY for days in pushed), proposed=there, past=past)


def first(drift: Drift, before: Retraining = NOTHING, age: float = 0, **standing: object) -> tuple[str, str]:
    there = Standing(base_pin=OLD, **standing)  # type: ignore[arg-type]
    made = deciding.first(drift, RULES.model_copy(update={"age_days": 90}), before, there, now=NOW, age=age)
    return made.action, made.words


def test_what_was_measured_outweighs_what_drifted() -> None:
    assert first(drifted())[0] == "look"
    assert first(drifted(worse=None))[0] == "look"
    action, words = first(drifted(worse=False))
    assert (action, words) == ("nothing", "quality was measured and held, whatever else drifted")
    sliced = finding("quality", "average_precision (region=north)", "in the north it fell")
    assert first(drifted(sliced, worse=False))[0] == "look"


@pytest.mark.parametrize(
    ("difference", "verdict", "action"),
    [
        (-0.019, Outcome.INCONCLUSIVE, "nothing"),  # measured within the margin, if not certainly
        (0.1, Outcome.INCONCLUSIVE, "nothing"),
        (-0.021, Outcome.INCONCLUSIVE, "look"),
        (None, Outcome.INCONCLUSIVE, "look"),  # too few labels
        (-0.021, Outcome.PASS, "nothing"),
        (-0.019, Outcome.FAIL, "look"),
    ],
)
def test_what_is_not_certain_outweighs_where_it_was_measured_within_the_margin(
    difference: float | None, verdict: Outcome, action: str
) -> None:
    found = drifted(worse=False)
    seen = {"difference": difference, "verdict": verdict, "margin": 0.02}
    rows = [row.model_copy(update=seen) for row in found.quality]
    assert first(found.model_copy(update={"quality": tuple(rows)}))[0] == action
    if difference is not None:
        loss = [row.model_copy(update={"higher_is_better": False, "difference": -difference}) for row in rows]
        assert first(found.model_copy(update={"quality": tuple(loss)}))[0] == action


@pytest.mark.parametrize("kind", ["schema", "missing", "volume", "freshness", "service", "business"])
def test_what_training_does_not_cure_is_no_reason(kind: str) -> None:
    only = calm(Outcome.FAIL).model_copy(update={"findings": (finding(kind, "x", "broken"),)})  # type: ignore[arg-type]
    assert first(only) == ("nothing", "nothing that training would cure")


def test_a_notice_is_no_alarm_and_age_is_a_reason() -> None:
    notice = calm().model_copy(update={"findings": (finding("data", "x", "a bit", alarm=False),)})
    assert first(notice)[0] == "nothing"
    assert first(calm(), age=91) == ("look", "it was trained 91 days ago")
    assert first(calm(), age=89)[0] == "nothing"


def test_cooldown_and_the_weeks_budget_keep_a_new_one_back() -> None:
    assert first(drifted(), record(6.9))[0] == "cooldown"
    assert first(drifted(), record(7.1))[0] == "look"
    merged = Past(how="merged", at=NOW - 2 * DAY, number=2, findings=NAMES)
    assert first(drifted(), record(9, past=merged))[0] == "cooldown"
    quick = RULES.model_copy(update={"cooldown_days": 0})
    made = deciding.first(drifted(), quick, record(3, 1), Standing(base_pin=OLD), now=NOW, age=0)
    assert made.action == "budget"
    assert "2 full trainings of this week are spent; none before 1972-10-01" in made.words
    withdrawn = Past(how="withdrawn", at=NOW, number=2)
    assert first(drifted(), record(8, past=withdrawn))[0] == "look"


def test_what_a_person_closed_is_snoozed_until_something_else_is_found_or_it_is_over() -> None:
    closed = Past(how="closed", at=NOW - 20 * DAY, number=3, findings=NAMES, words="dana: a promotion, over soon")
    action, words = first(drifted(), record(22, past=closed))
    assert action == "snoozed"
    assert "#3 was closed (dana: a promotion, over soon)" in words
    assert first(drifted(finding("data", "y", "y too")), record(22, past=closed))[0] == "look"
    assert first(drifted(), record(40, past=closed.model_copy(update={"at": NOW - 31 * DAY})))[0] == "look"


def test_too_few_rows_and_no_place_of_rows_are_said() -> None:
    looked = deciding.first(drifted(), RULES, NOTHING, Standing(base_pin=OLD), now=NOW, age=0)
    for rows, action in ((Rows(rows=499), "few"), (Rows(rows=500), "propose"), (None, "few")):
        made = deciding.second(looked, RULES, NOTHING, Standing(base_pin=OLD), rows)
        assert made.action == action
        assert made.findings == tuple(reversed(NAMES)) or made.findings == NAMES


def test_what_is_open_is_updated_by_enough_newer_rows_once_that_may_be() -> None:
    there = Standing(base_pin=OLD, pull=pull())
    assert first(drifted(), record(3, number=3), pull=pull())[0] == "keep"
    before = record(9, number=3)
    looked = deciding.first(drifted(), RULES, before, there, now=NOW, age=0)
    assert looked.action == "look"
    assert deciding.second(looked, RULES, before, there, Rows(rows=1299)).action == "keep"
    assert deciding.second(looked, RULES, before, there, Rows(rows=1300)).action == "update"


def test_what_was_put_behind_other_data_is_made_anew_at_once() -> None:
    there = Standing(base_pin="2" * 32, pull=pull())
    before = record(1, number=3)
    looked = deciding.first(drifted(), RULES, before, there, now=NOW, age=0)
    assert looked.action == "look"
    assert deciding.second(looked, RULES, before, there, Rows(rows=700)).action == "update"
    assert deciding.second(looked, RULES, before, there, Rows(rows=300)).action == "withdraw"


def test_what_is_open_goes_when_nothing_is_found_any_more_but_not_for_lack_of_rows() -> None:
    action, words = first(calm(), record(9, number=3), pull=pull())
    assert (action, words) == ("withdraw", "nothing that training would cure any more")
    assert first(calm(Outcome.INCONCLUSIVE), record(9, number=3), pull=pull())[0] == "keep"
    assert first(calm(Outcome.INCONCLUSIVE))[0] == "nothing"
    assert first(calm(), record(9, number=3), pull=pull(), theirs="the commit c by Dana")[0] == "theirs"


def test_what_does_not_help_is_left_to_people() -> None:
    there = Standing(base_pin=OLD, pull=pull(), refused="fail: average_precision")
    before = deciding.settled("churn", record(30, number=3), there, NOW)
    assert deciding.first(drifted(), RULES, before, there, now=NOW, age=0).action == "helpless"
    assert deciding.first(calm(), RULES, before, there, now=NOW, age=0).action == "withdraw"
    mended = deciding.settled("churn", before, Standing(base_pin=OLD, pull=pull()), NOW)
    assert mended.proposed is not None
    assert mended.proposed.helpless is None


def test_what_became_of_it_is_found_out() -> None:
    before = record(9, number=3)
    merged = deciding.settled("churn", before, Standing(base_pin=NEW), NOW)
    assert (merged.proposed, merged.past and merged.past.how) == (None, "merged")
    squashed = Standing(base_pin="2" * 32, ended=Ended(pull=pull(), merged=True))
    assert deciding.settled("churn", before, squashed, NOW).past == Past(how="merged", at=NOW, number=3, findings=NAMES)
    said = Ended(pull=pull(), merged=False, labels=("retraining", "train", "seasonal"), comment="dana: it\nis spring")
    closed = deciding.settled("churn", before, Standing(base_pin=OLD, ended=said), NOW)
    assert closed.past == Past(
        how="closed", at=NOW, number=3, findings=NAMES, words="dana: it is spring; labelled seasonal"
    )


def test_an_earlier_pull_request_says_nothing_of_one_that_was_not_opened_yet() -> None:
    before = record(0, number=None, after=3)
    there = Standing(base_pin=OLD, ended=Ended(pull=pull(3), merged=False))
    after = deciding.settled("churn", before, there, NOW)
    assert after == before
    assert deciding.first(drifted(), RULES, after, there, now=NOW, age=0).action == "look"  # whatever the cooldown
    closed = deciding.settled("churn", before, Standing(base_pin=OLD, ended=Ended(pull=pull(4), merged=False)), NOW)
    assert closed.past is not None
    assert closed.past.number == 4


def test_a_lost_record_begins_with_what_is_open() -> None:
    after = deciding.settled("churn", None, Standing(base_pin=OLD, pull=pull(), branch_pin=Pin(md5=NEW)), NOW)
    assert after.proposed is not None
    assert after.proposed.pin.md5 == NEW


def test_a_training_counts_once_however_often_a_run_was_killed() -> None:
    decision = deciding.Decision("propose", "w", NAMES)
    there = Standing(base_pin=OLD)
    once = deciding.proposing(NOTHING, decision, there, Pin(md5=NEW), Rows(rows=800), NOW)
    again = deciding.proposing(once, decision, there, Pin(md5=NEW), Rows(rows=800), NOW + 60)
    assert again == once
    open_one = Standing(base_pin=OLD, pull=pull())
    later = deciding.proposing(again, decision, open_one, Pin(md5="3" * 32), Rows(rows=1400), NOW + DAY)
    assert later.pushed == (NOW, NOW + DAY)
    assert later.proposed is not None
    assert later.proposed.since == NOW
