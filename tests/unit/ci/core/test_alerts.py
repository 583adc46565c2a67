"""Each alarm is told once on a channel, and once more when it is over."""

from __future__ import annotations

from ci.core import alerts
from ci.core.alerts import Alerts
from ci.core.drift.rules import Alert
from ci.core.records import Outcome
from tests.retraining import calm, drifted, finding

ISSUE, HOOK = Alert(kind="issue"), Alert(kind="webhook", url_from="DRIFT_URL")
NONE = Alerts(model="churn")


def test_what_is_new_is_told_on_each_channel_once() -> None:
    due = alerts.due(drifted(), NONE, [ISSUE, HOOK, HOOK])
    assert [(one.channel, one.status, len(one.alarms)) for one in due] == [
        ("issue", "firing", 2),
        ("webhook DRIFT_URL", "firing", 2),
    ]
    sent = alerts.after(NONE, due[1])
    assert [one.channel for one in alerts.due(drifted(), sent, [ISSUE, HOOK])] == ["issue"]
    more = alerts.due(drifted(finding("schema", "y", "y is gone")), sent, [HOOK])
    assert [[alarm.key for alarm in one.alarms] for one in more] == [["schema y"]]
    assert len(more[0].standing) == 3
    assert alerts.title(more[0]) == "churn drifted: 1 alarm"


def test_what_is_over_is_told_once_and_counts_an_episode_of_the_issue() -> None:
    sent = alerts.after(NONE, alerts.due(drifted(), NONE, [ISSUE])[0])
    (over,) = alerts.due(calm(), sent, [ISSUE])
    assert (over.status, over.standing, alerts.title(over)) == ("resolved", (), "churn: 2 alarms over")
    ended = alerts.after(sent, over)
    assert (ended.told, ended.episodes) == ({}, 1)
    assert alerts.due(calm(), ended, [ISSUE]) == ()
    again = alerts.due(drifted(), ended, [ISSUE])[0]
    assert alerts.marker(again) == "<!-- trunkline:drift:churn:1 -->"
    assert alerts.after(alerts.after(NONE, due := alerts.due(drifted(), NONE, [HOOK])[0]), due).episodes == 0


def test_a_window_of_too_few_rows_says_nothing_is_over() -> None:
    sent = alerts.after(NONE, alerts.due(drifted(), NONE, [HOOK])[0])
    assert alerts.due(calm(Outcome.INCONCLUSIVE), sent, [HOOK]) == ()
    assert alerts.due(drifted(worse=False), sent, [HOOK])[0].status == "resolved"


def test_notices_are_not_told_and_the_same_message_has_the_same_id() -> None:
    notice = calm().model_copy(update={"findings": (finding("data", "x", "a bit", alarm=False),)})
    assert alerts.due(notice, NONE, [HOOK]) == ()
    one, other = (alerts.due(drifted(), NONE, [channel])[0] for channel in (HOOK, ISSUE))
    assert one.id == alerts.due(drifted(), NONE, [HOOK])[0].id != other.id


def test_many_alarms_are_cut_and_a_name_cannot_break_a_line() -> None:
    many = drifted(*(finding("data", f"c{at}", f"c{at}\ndrifted") for at in range(30)))
    (due,) = alerts.due(many, NONE, [HOOK])
    assert len(alerts.lines(due)) == 21
    assert alerts.lines(due)[-1] == "and 12 more"
    assert not any("\n" in line for line in alerts.lines(due))


def test_a_channel_is_called_by_its_variable() -> None:
    mail = Alert(kind="email", server_from="DRIFT_MAIL", to=["a@b.c", "d@e.f"])
    assert alerts.name_of(mail) == "email DRIFT_MAIL a@b.c d@e.f"
