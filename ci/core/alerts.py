"""Which alarms are to be told where: each once on every channel, and once more when it is over."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ci.core.records import Outcome, Part, Record
from ci.core.reporting.markdown import clean, clip
from ci.core.reporting.show import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.records import Drift
    from ci.core.drift.rules import Alert

Status = Literal["firing", "resolved"]

LABEL = "drift"
"""The label of an issue about drift, which it is found by."""
LONGEST = 500  # characters of one alarm's words
MOST = 20  # alarms that one text names


class Alarm(Part):
    """An alarm by its key, as it was told: since when (ISO 8601), and in which words."""

    key: str
    kind: str
    subject: str
    since: str
    words: str


class Alerts(Record):
    """alerts.json of one model: what was told and is not over, by channel.

    `episodes` counts how often all was over again on the channel of issues, each of which had one.
    """

    told: dict[str, tuple[Alarm, ...]] = Field(default_factory=dict)
    episodes: int = 0


class Message(Part):
    """What is to be sent on a channel; `standing` are all alarms after it. The same message has the same `id`."""

    id: str
    channel: str
    model: str
    status: Status
    alarms: tuple[Alarm, ...]
    standing: tuple[Alarm, ...]
    window: str
    episode: int = 0


def name_of(channel: Alert) -> str:
    """What a channel is called in the record: never what its variable holds."""
    parts = [channel.kind, channel.url_from, channel.server_from, *(channel.to or ())]
    return " ".join(part for part in parts if part)


def due(drift: Drift, before: Alerts, channels: Sequence[Alert]) -> tuple[Message, ...]:
    """What is to be sent: on each channel what is new, then what is over.

    A window of too few rows is no evidence that anything is over.
    """
    now = {alarm.key: alarm for alarm in _alarms(drift)}
    found = []
    for name in dict.fromkeys(map(name_of, channels)):
        told = {alarm.key: alarm for alarm in before.told.get(name, ())}
        new = tuple(alarm for key, alarm in now.items() if key not in told)
        judged = drift.outcome is not Outcome.INCONCLUSIVE
        over = tuple(alarm for key, alarm in told.items() if key not in now) if judged else ()
        standing = (*(alarm for alarm in told.values() if alarm not in over), *new)
        if new:
            found.append(_message(drift, name, "firing", new, standing, before.episodes))
        if over:
            found.append(_message(drift, name, "resolved", over, standing, before.episodes))
    return tuple(found)


def after(before: Alerts, sent: Message) -> Alerts:
    """The record once a message was sent."""
    told = {alarm.key: alarm for alarm in before.told.get(sent.channel, ())}
    if sent.status == "firing":
        told |= {alarm.key: alarm for alarm in sent.alarms}
    else:
        told = {key: alarm for key, alarm in told.items() if key not in {one.key for one in sent.alarms}}
    ended = sent.channel == "issue" and sent.status == "resolved" and not told
    kept = {name: alarms for name, alarms in before.told.items() if name != sent.channel}
    if told:
        kept[sent.channel] = tuple(told.values())
    return before.model_copy(update={"told": kept, "episodes": before.episodes + ended})


def title(message: Message) -> str:
    """One line for a subject."""
    what = plural(len(message.alarms), "alarm")
    if message.status == "firing":
        return f"{message.model} drifted: {what}"
    left = f", {len(message.standing)} left" if message.standing else ""
    return f"{message.model}: {what} over{left}"


def lines(message: Message) -> tuple[str, ...]:
    """The alarms in plain words, one a line."""
    shown = [f"{alarm.words} (since {alarm.since[:10]})" for alarm in message.alarms[:MOST]]
    more = len(message.alarms) - MOST
    return (*shown, *([f"and {more} more"] if more > 0 else []))


def marker(message: Message) -> str:
    """The first line of the issue that tells of an episode."""
    return f"<!-- trunkline:drift:{message.model}:{message.episode} -->"


def _alarms(drift: Drift) -> list[Alarm]:
    return [
        Alarm(
            key=f"{one.kind} {one.subject}",
            kind=one.kind,
            subject=clean(one.subject),
            since=one.since,
            words=clip(one.words, LONGEST),
        )
        for one in drift.alarms
    ]


def _message(
    drift: Drift, channel: str, status: Status, alarms: tuple[Alarm, ...], standing: tuple[Alarm, ...], episode: int
) -> Message:
    told = [drift.model, channel, status, *sorted(f"{alarm.key} {alarm.since}" for alarm in alarms)]
    return Message(
        id=hashlib.sha256("\0".join(told).encode()).hexdigest()[:32],
        channel=channel,
        model=drift.model,
        status=status,
        alarms=alarms,
        standing=standing,
        window=f"{drift.window.start} to {drift.window.end}, {plural(drift.window.rows, 'row')}",
        episode=episode,
    )
