"""k8s/training: two ways to one command, held to their schemas; test_training_processes.py runs that command."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters import kustomize, schemas
from tests.kubernetes import SCHEMAS, require_schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path()
WAYS = ("job", "trainjob")
Thing = dict[str, Any]


@pytest.fixture(scope="module")
def built() -> dict[str, list[Thing]]:
    """The objects of both ways."""
    return {way: kustomize.build(ROOT, f"k8s/training/{way}") for way in WAYS}


def of_kind(things: Sequence[Thing], kind: str) -> Thing:
    (found,) = [thing for thing in things if thing["kind"] == kind]
    return found


def node(things: Sequence[Thing]) -> Thing:
    """The container of a Job, or what a TrainJob says of it."""
    kinds = {thing["kind"] for thing in things}
    if "TrainJob" in kinds:
        trainer: Thing = of_kind(things, "TrainJob")["spec"]["trainer"]
        return trainer
    container: Thing = of_kind(things, "Job")["spec"]["template"]["spec"]["containers"][0]
    return container


@pytest.mark.parametrize("way", WAYS)
def test_every_object_keeps_to_its_schema(
    built: dict[str, list[Thing]], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_schemas()
    monkeypatch.setenv(schemas.VARIABLE, str(SCHEMAS))
    things = built[way]
    assert dict(zip([thing["kind"] for thing in things], schemas.errors(ROOT, things), strict=True)) == {
        thing["kind"]: [] for thing in things
    }
    assert {thing["kind"] for thing in things} > {"Namespace", "PersistentVolumeClaim"}
    broken = copy.deepcopy(things)
    node(broken)["comand"] = node(broken).pop("command")
    assert sum(map(len, schemas.errors(ROOT, broken))) > 0


def test_both_run_the_same_command(built: dict[str, list[Thing]]) -> None:
    job, trainjob = (node(built[way]) for way in WAYS)
    assert job["command"] == trainjob["command"]
    assert job["command"][-3:] == ["ml.stages.train", "fraud", "full"]
    assert job["image"] == trainjob["image"]
    assert "@sha256:" in job["image"]
    assert job["resources"] == trainjob["resourcesPerNode"]
    theirs = {each["name"]: each for each in trainjob["env"]}
    mine = {each["name"]: each for each in job["env"] if not each["name"].startswith("PET_")}
    assert mine == theirs  # the operator brings the PET_ ones


def test_one_number_of_nodes_reaches_all_that_need_it(built: dict[str, list[Thing]]) -> None:
    spec = of_kind(built["job"], "Job")["spec"]
    env = {each["name"]: each.get("value") for each in node(built["job"])["env"]}
    nodes = of_kind(built["trainjob"], "TrainJob")["spec"]["trainer"]["numNodes"]
    assert spec["completions"] == spec["parallelism"] == int(env["PET_NNODES"]) == nodes == 2


def test_pods_find_each_other_and_the_checkout(built: dict[str, list[Thing]]) -> None:
    service, job = of_kind(built["job"], "Service"), of_kind(built["job"], "Job")
    pod = job["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["subdomain"] == service["metadata"]["name"]
    env = {each["name"]: each.get("value") for each in node(built["job"])["env"]}
    assert env["PET_MASTER_ADDR"] == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    claim = of_kind(built["job"], "PersistentVolumeClaim")["metadata"]["name"]
    patch = of_kind(built["trainjob"], "TrainJob")["spec"]["runtimePatches"][0]
    (replicated,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    theirs = replicated["template"]["spec"]["template"]["spec"]
    assert theirs["volumes"] == pod["spec"]["volumes"]
    assert theirs["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim
    assert theirs["securityContext"] == pod["spec"]["securityContext"]
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}  # the taint of clusters' GPU nodes
    assert theirs["tolerations"] == pod["spec"]["tolerations"] == [gpu]
    assert {key: theirs["containers"][0][key] for key in ("securityContext", "volumeMounts")} == {
        key: pod["spec"]["containers"][0][key] for key in ("securityContext", "volumeMounts")
    }
    assert {thing["metadata"].get("namespace", "training") for things in built.values() for thing in things} == {
        "training"
    }
