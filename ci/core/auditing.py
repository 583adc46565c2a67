"""What was in production when: the spans of time between the commits of one release.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from ci.core.forge import Approval
from ci.core.records import Part, Waiver
from ci.core.release import Version
from ci.core.tracing import approval, read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ci.core.history import ManifestChange


class Span(Part):
    """What one environment ran from one commit of its release.yaml to the next; `until` is None while it still does.

    `readable` is False where the file was removed or not written by Trunkline: what ran then is not known from it.
    """

    environment: str
    since: str
    until: str | None
    commit: str
    author: str
    subject: str
    approval: Approval | None
    readable: bool
    stable: Version | None
    canary: Version | None
    weight: int
    evidence: str | None = None
    waivers: tuple[Waiver, ...] = ()


def spans(changes: Sequence[ManifestChange]) -> list[Span]:
    """The spans of one model in one environment, oldest first."""
    found = []
    for index, change in enumerate(changes):
        made = read(change)
        following = changes[index + 1] if index + 1 < len(changes) else None
        found.append(
            Span(
                environment=change.environment,
                since=change.when,
                until=following.when if following else None,
                commit=change.commit,
                author=change.author,
                subject=change.subject,
                approval=approval(change),
                readable=made is not None,
                stable=made.spec.stable if made else None,
                canary=made.spec.canary if made else None,
                weight=made.spec.weights.canary if made else 0,
            )
        )
    return found


def waiver(text: str, file: str, on: date) -> Waiver:
    """A waiver as it lay at an older commit, read leniently: what its form was then is not ours to refuse now."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError:
        data = None
    entry = data if isinstance(data, dict) else {}
    words = {name: str(entry.get(name, "not readable")) for name in ("gate", "reason", "who", "expires")}
    return Waiver(**words, expired=words["expires"] < on.isoformat(), file=file)
