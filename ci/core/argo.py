"""What a Rollout's status says became of a canary, so that Git can be told.

The fields are those of the CustomResourceDefinition rollouts.argoproj.io (v1alpha1), `status`. That a status is about
the canary at hand is told by the images of the ReplicaSets it names, never by its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.core.canary.records import Decision
from ci.core.manifests.objects import dig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.core.canary.records import Rollout
    from ci.core.manifests.objects import Object
    from ci.core.release import Release

NAME = "server-rollout"
HASH = "rollouts-pod-template-hash"
"""The label by which the controller tells ReplicaSets apart."""
INVALID = "InvalidSpec"


def decision(release: Release, rollout: Object | None, sets: Sequence[Object]) -> Decision:
    """What the controller came to on the canary of `release`: it went back, it finished, or neither (yet).

    `rollout` is the Rollout as the cluster has it, None where it has none; `sets` are the ReplicaSets of its namespace.
    """
    canary = release.spec.canary
    if canary is None:
        return Decision(action="hold", words="nothing is being rolled out")
    status: Mapping[str, Any] = dig(rollout, "status") or {}
    images = {str(dig(one, "metadata", "labels", HASH)): _images(one) for one in sets}
    current, stable = str(status.get("currentPodHash")), str(status.get("stableRS"))
    if canary.image not in images.get(current, set()):
        return Decision(action="hold", words=f"the cluster does not run version {canary.version} yet")
    facts = _facts(status)
    said = f": {_line(status['message'])}" if status.get("message") else ""
    if str(status.get("message")).startswith(INVALID):
        return Decision(action="hold", words=f"Argo Rollouts cannot read its Rollout{said}", facts=facts)
    if status.get("abort") or status.get("phase") == "Degraded":
        verb = "aborted" if status.get("abort") else "could not finish"
        words = f"Argo Rollouts {verb} the rollout of version {canary.version}{said}"
        return Decision(action="rollback", words=words, facts=facts)
    if stable == current:
        words = f"Argo Rollouts finished the rollout of version {canary.version}"
        return Decision(action="promote", words=words, facts=facts)
    weight = dig(status, "canary", "weights", "canary", "weight")
    share = f", now with {weight} per cent of the traffic" if weight is not None else ""
    return Decision(action="hold", words=f"Argo Rollouts is rolling version {canary.version} out{share}", facts=facts)


def settled(seen: Rollout, decided: Decision | None) -> Rollout:
    """`seen` with what the controller came to, `decided`; None where there is no controller.

    Steps and promotions are the controller's alone. Evidence to go back counts whether or not the controller has heard
    of it: the commit takes the canary out of what it is to run.
    """
    if decided is None or (decided.action != "rollback" and seen.decision.action == "rollback"):
        return seen
    return seen.model_copy(update={"decision": decided})


def _images(replicas: Object) -> set[str]:
    containers = dig(replicas, "spec", "template", "spec", "containers") or ()
    return {str(container.get("image")) for container in containers}


def _facts(status: Mapping[str, Any]) -> tuple[str, ...]:
    """Lines of a status that tell how it came to be."""
    analysis = dig(status, "canary", "currentStepAnalysisRunStatus") or {}
    said = {
        "phase": status.get("phase"),
        "step": status.get("currentStepIndex"),
        "aborted at": status.get("abortedAt"),
        f"analysis {analysis.get('name')}": analysis
        and " ".join(filter(None, (analysis.get("status"), analysis.get("message")))),
    }
    return tuple(f"{key}: {_line(value)}" for key, value in said.items() if value not in (None, "", {}))


def _line(value: Any) -> str:
    """One line of at most 300 characters."""
    return " ".join(str(value).split())[:300]
