"""What a Rollout's status says of the canary at hand: gone back, finished, on its way, or of something else."""

from __future__ import annotations

from typing import Any

import pytest

from ci.core import argo
from ci.core.canary.records import Decision, Rollout, Step
from ci.core.manifests.overlays import placeholder
from ci.core.release import release

STABLE = placeholder("registry.example.com/line", "fraud", "production").spec.stable
CANARY = STABLE.model_copy(update={"image": STABLE.image.replace("0" * 64, "2" * 64), "version": "12"})
RELEASE = release("fraud", "production", stable=STABLE, canary=CANARY, weight=5)
ABORTED = 'RolloutAborted: Rollout aborted update to revision 2: Metric "evidence" assessed Failed\ndue to failed (1)'


def replicas(key: str, image: str) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "proxy", "image": "x"}, {"name": "server", "image": image}]}}}
    return {"kind": "ReplicaSet", "metadata": {"labels": {argo.HASH: key}}, "spec": spec}


SETS = [replicas("aaa", STABLE.image), replicas("bbb", CANARY.image)]


def told(**status: Any) -> Any:
    status = {"currentPodHash": "bbb", "stableRS": "aaa", "phase": "Progressing", **status}
    return argo.decision(RELEASE, {"kind": "Rollout", "status": status}, SETS)


def test_an_abort_is_a_reason_to_go_back_with_its_words_on_one_line() -> None:
    analysis = {"name": "server-rollout-bbb-2-1", "status": "Failed", "message": "failed (1) > failureLimit (0)"}
    found = told(abort=True, phase="Degraded", message=ABORTED, canary={"currentStepAnalysisRunStatus": analysis})
    assert found.action == "rollback"
    assert found.words == f"Argo Rollouts aborted the rollout of version 12: {ABORTED.replace(chr(10), ' ')}"
    assert "analysis server-rollout-bbb-2-1: Failed failed (1) > failureLimit (0)" in found.facts


def test_a_canary_that_cannot_finish_is_one_to_go_back_from() -> None:
    found = told(phase="Degraded", message='ProgressDeadlineExceeded: ReplicaSet "bbb" has timed out progressing.')
    assert (found.action, found.words[:31]) == ("rollback", "Argo Rollouts could not finish ")


def test_a_canary_that_is_stable_by_now_is_promoted() -> None:
    found = told(stableRS="bbb", phase="Healthy")
    assert (found.action, found.weight) == ("promote", None), "it has happened: nobody is to be asked"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"canary": {"weights": {"canary": {"weight": 25}}}}, "rolling version 12 out, now with 25 per cent"),
        ({}, "rolling version 12 out"),
        (
            {"phase": "Degraded", "message": "InvalidSpec: The Rollout is invalid"},
            "cannot read its Rollout: InvalidSpec",
        ),
        ({"currentPodHash": "aaa", "abort": True, "phase": "Degraded"}, "does not run version 12 yet"),
        ({"currentPodHash": "ccc", "stableRS": "ccc"}, "does not run version 12 yet"),
        ({"currentPodHash": None, "stableRS": None}, "does not run version 12 yet"),
    ],
)
def test_all_else_changes_nothing(status: dict[str, Any], words: str) -> None:
    found = told(**status)
    assert found.action == "hold"
    assert words in found.words


def test_a_cluster_without_the_rollout_changes_nothing() -> None:
    assert argo.decision(RELEASE, None, []).action == "hold"
    assert argo.decision(RELEASE, {"kind": "Rollout"}, SETS).action == "hold"
    alone = release("fraud", "production", stable=STABLE)
    assert (
        argo.decision(alone, {"kind": "Rollout", "status": {"abort": True}}, SETS).words
        == "nothing is being rolled out"
    )


@pytest.mark.parametrize(
    ("seen", "decided", "comes"),
    [
        ("step", None, "step"),
        ("step", "hold", "hold"),
        ("promote", "hold", "hold"),
        ("rollback", "hold", "rollback"),
        ("hold", "rollback", "rollback"),
        ("hold", "promote", "promote"),
        ("rollback", "promote", "rollback"),
    ],
)
def test_steps_are_the_controllers_and_evidence_to_go_back_counts(seen: Any, decided: Any, comes: str) -> None:
    told = Decision(action=decided, words="the controller") if decided else None
    step = Step(weight=5, since=0.0)
    names = {"stable": "a", "canary": "b", "stable_digest": "c", "canary_digest": "d"}
    record = Rollout(
        model="fraud", environment="production", **names, started=0.0, seen_until=0.0, looked=0.0, step=step,
        decision=Decision(action=seen, words="the evidence"),
    )  # fmt: skip
    assert argo.settled(record, told).decision.action == comes
