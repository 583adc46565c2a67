"""How a model stands in an environment: what runs, since when, what is being rolled out, and what waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ci.core.canary.progress import is_of
from ci.core.canary.records import Decision, Evidence
from ci.core.forge import Pull
from ci.core.records import Part
from ci.core.release import Version
from ci.core.tracing import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.canary.records import Rollout
    from ci.core.history import ManifestChange


class Standing(Part):
    """One model in one environment. Times are ISO 8601 with a zone; `fault` says why it is not known.

    `decision` is the last one on what is being rolled out now, `change` the last commit of its release.yaml.
    """

    model: str
    environment: str
    stable: Version | None = None
    since: str | None = None
    canary: Version | None = None
    canary_since: str | None = None
    weight: int = 0
    shadow: bool = False
    requests: int | None = None
    evidence: tuple[Evidence, ...] = ()
    decision: Decision | None = None
    looked: str | None = None
    change: str | None = None
    pulls: tuple[Pull, ...] = ()
    fault: str | None = None


def standing(
    model: str,
    environment: str,
    changes: Sequence[ManifestChange],
    rollout: Rollout | None,
    pulls: Sequence[Pull],
) -> Standing:
    """How a model stands by the changes of its release.yaml, oldest first, and the record of its rollout."""
    found = Standing(model=model, environment=environment, pulls=tuple(pulls))
    if not changes:
        return found
    last, now = changes[-1], read(changes[-1])
    change = f"{last.commit[:12]} {last.subject}"
    if now is None:
        return found.model_copy(update={"change": change, "fault": "its release.yaml was removed or edited by hand"})
    spec = now.spec
    found = found.model_copy(
        update={
            "stable": spec.stable,
            "since": _since(changes, spec.stable),
            "canary": spec.canary,
            "canary_since": _since(changes, spec.canary) if spec.canary else None,
            "weight": spec.weights.canary,
            "shadow": spec.shadow,
            "change": change,
        }
    )
    if rollout is None or not is_of(rollout, now):
        return found
    looked = datetime.fromtimestamp(rollout.looked, UTC).isoformat(timespec="seconds")
    shown = {"requests": rollout.requests, "evidence": rollout.evidence, "decision": rollout.decision}
    return found.model_copy(update={**shown, "looked": looked})


def _since(changes: Sequence[ManifestChange], version: Version) -> str:
    """When a version came to where it is now, as stable or as canary."""
    arms = [_arm(change, version) for change in changes]
    first = len(arms) - 1
    while first > 0 and arms[first - 1] == arms[-1]:
        first -= 1
    return changes[first].when


def _arm(change: ManifestChange, version: Version) -> str | None:
    made = read(change)
    if made is None:
        return None
    if made.spec.stable.digest == version.digest:
        return "stable"
    return "canary" if made.spec.canary is not None and made.spec.canary.digest == version.digest else None
