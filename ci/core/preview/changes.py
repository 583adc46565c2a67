"""What to do next, of what is wanted and what runs: a rolling update that never has too few pods to answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.core.preview.pods import Wanted

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before a container is started again; Kubernetes goes to 300
Kind = Literal["startup", "readiness", "liveness"]


@dataclass(frozen=True)
class Seen:
    """A pod as it is. A pod that `leaves` answers what it has accepted, and gets no more."""

    id: str
    owner: str
    key: str
    ready: bool
    leaves: bool = False


@dataclass(frozen=True)
class Plan:
    """Pods to start (how many of which), pods to let go, and the pods that get requests, by Deployment."""

    start: Sequence[tuple[Wanted, int]]
    leave: Sequence[str]
    serving: Mapping[str, Sequence[str]]


def plan(wanted: Sequence[Wanted], seen: Sequence[Seen]) -> Plan:
    """What a Deployment does with `maxUnavailable: 0`: new pods first, and the old ones go when all new are ready."""
    start: list[tuple[Wanted, int]] = []
    leave: list[str] = []
    serving: dict[str, Sequence[str]] = {}
    owners = {one.owner for one in wanted}
    leave += [pod.id for pod in seen if pod.owner not in owners and not pod.leaves]
    for one in wanted:
        mine = [pod for pod in seen if pod.owner == one.owner and not pod.leaves]
        new = [pod for pod in mine if pod.key == one.key]
        old = [pod for pod in mine if pod.key != one.key]
        up = [pod for pod in new if pod.ready]
        if len(new) < one.replicas:
            start.append((one, one.replicas - len(new)))
        if len(up) >= one.replicas:
            spare = [pod for pod in new if not pod.ready] + up[one.replicas :]
            leave += [pod.id for pod in (*old, *spare)]
            serving[one.owner] = [pod.id for pod in up[: one.replicas]]
        else:
            serving[one.owner] = [pod.id for pod in old if pod.ready] or [pod.id for pod in up]
    return Plan(start, leave, serving)


def pause(restarts: int) -> float:
    """Seconds to wait before a container is started for the `restarts`-th time after its first."""
    return PAUSES[min(max(restarts - 1, 0), len(PAUSES) - 1)]


@dataclass(frozen=True)
class Health:
    """What a pod's probes have told. `broken` is for the container to be started again."""

    started: bool
    ready: bool = False
    broken: bool = False
    failed: Mapping[Kind, int] | None = None

    @classmethod
    def of(cls, one: Wanted) -> Health:
        """Before anything was asked."""
        started = one.startup is None
        return cls(started=started, ready=started and one.readiness is None)

    def due(self, one: Wanted) -> Sequence[Kind]:
        """The probes that are asked now: the startup probe alone until it is content."""
        if not self.started:
            return ("startup",)
        kinds: tuple[Kind, ...] = ("readiness", "liveness")
        return tuple(kind for kind in kinds if getattr(one, kind) is not None)

    def after(self, kind: Kind, one: Wanted, *, content: bool) -> Health:
        """With one more answer, as the kubelet counts them."""
        failed = {**(self.failed or {}), kind: 0 if content else (self.failed or {}).get(kind, 0) + 1}
        over = failed[kind] >= getattr(one, kind).failures
        now = replace(self, failed=failed)
        if kind == "startup":
            return replace(now, started=content, broken=over, ready=content and one.readiness is None)
        if kind == "liveness":
            return replace(now, broken=over)
        return replace(now, ready=content or (self.ready and not over))
