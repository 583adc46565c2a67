"""Whether a dvc.lock holds the full training of what lies beside it, and the gate that asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.core.gating import names
from ci.core.lineage import all_stages_of
from ci.core.loglines import quiet
from ci.core.plan import changes
from ci.core.records import GateResult, Outcome, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LABEL = "train"
"""The label that asks for full training of a pull request."""


def behind(model: str, lock: Mapping[str, Any], stale: Mapping[str, Any], pins: Mapping[str, str]) -> tuple[str, ...]:
    """Why the lock does not hold the full training of what lies beside it, in words; empty where it does.

    `stale` is DVC's status, `pins` the hashes of data by path. A file that is only missing is no reason: it says
    nothing of what was trained. So data is known by its pin, and what stages hand on by the lock itself.
    """
    stages = all_stages_of(model, "full")
    if lacking := tuple(f"dvc.lock has no entry for {name}" for name in stages if name not in lock):
        return lacking
    entries = {name: lock[name] for name in stages}
    told = {name: ", ".join(changes(stale.get(name, ()))) for name in entries}
    return (
        *(quiet(f"dvc.lock is behind {name}: {what}") for name, what in told.items() if what),
        *broken(entries),
        *_repinned(model, entries, pins),
    )


def to_train(reasons: Mapping[str, Sequence[str]], base: str | None) -> Plan:
    """The plan of full training, from why each model that comes into question lacks it, if it does."""
    lacking = {model: tuple(why) for model, why in reasons.items() if why}
    words = f"{len(lacking)} of {len(reasons)} models to be trained in full: {', '.join(lacking)}"
    none = f"nothing to train: dvc.lock holds the full training of {', '.join(reasons) or 'all that changed'}"
    return Plan(base_commit=base, models=tuple(lacking), reasons=lacking, words=words if lacking else none)


def gate(model: str, behind: Sequence[str]) -> GateResult:
    """The gate of `training.before_merge`: what would be merged was trained in full; `behind` says why it was not."""
    more = f" (and {len(behind) - 1} more)" if len(behind) > 1 else ""
    lacking = (
        f"{behind[0]}{more}: label the pull request `{LABEL}`, or run `trunkline train {model}` and commit dvc.lock"
        if behind
        else ""
    )
    return GateResult(
        gate=names.FULL_TRAINING,
        metric=names.FULL_TRAINING,
        rule="in dvc.lock",
        verdict=Outcome.FAIL if behind else Outcome.PASS,
        value=None,
        reason=lacking or "dvc.lock holds the full training of this very data, code and parameters",
        blocks=bool(behind),
    )


def broken(entries: Mapping[str, Any]) -> Iterator[str]:
    """Where entries of one model do not follow from each other: a stage read other bytes than an earlier one wrote."""
    made = {out["path"]: (out["md5"], name) for name, entry in entries.items() for out in entry.get("outs", ())}
    for name, entry in entries.items():
        for dep in entry.get("deps", ()):
            md5, maker = made.get(dep["path"], (dep["md5"], ""))
            if dep["md5"] != md5:
                yield quiet(f"dvc.lock is behind {name}: {dep['path']} is not what {maker} made")


def _repinned(model: str, entries: Mapping[str, Any], pins: Mapping[str, str]) -> Iterator[str]:
    path = f"data/{model}"
    used = {dep["md5"] for entry in entries.values() for dep in entry.get("deps", ()) if dep["path"] == path}
    if used != {pins.get(path)}:
        yield f"dvc.lock is of other data than is pinned as {path}"
