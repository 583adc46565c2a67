"""Lineage: everything a trained model was made of, by hash, read from the entries of one dvc.lock."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ci.core.records import Mode, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRONMENT = "constraints.txt"
STAGES = ("prepare", "train", "evaluate")
TRAINING = ("validate", *STAGES, "profile")
"""What runs for one training, by the names that its stages have for every model."""


class Lineage(Part):
    """What one model was made of. `*_hash` of files are DVC's md5; the others are sha256 of canonical JSON.

    `commit` is the one that brought these entries of dvc.lock: the same for whoever asks, and whenever.
    """

    model: str
    commit: str
    data_hash: str
    params_hash: str
    code_hash: str
    environment_hash: str
    lock_hash: str
    model_hash: str
    predictions_hash: str

    @property
    def hashes(self) -> tuple[str, ...]:
        """All that a version can be called by: its commit and every hash."""
        return tuple(str(value) for name, value in self if name != "model")


def stages_of(model: str, mode: Mode) -> tuple[str, ...]:
    """The names DVC gives the stages that make one model, in running order."""
    return (f"validate@{model}", *(f"{stage}@{model}-{mode}" for stage in STAGES))


def all_stages_of(model: str, mode: Mode) -> tuple[str, ...]:
    """The same, and what is made of a trained model that is no part of it: its profile."""
    return (*stages_of(model, mode), f"profile@{model}-{mode}")


def entries_of(lock: Mapping[str, Any], model: str, mode: Mode = "full") -> dict[str, Any]:
    """The entries of dvc.lock that are about one model in one mode; empty unless all of its stages are there."""
    names = stages_of(model, mode)
    return {name: lock[name] for name in names} if all(name in lock for name in names) else {}


def all_entries_of(lock: Mapping[str, Any], model: str, mode: Mode = "full") -> dict[str, Any]:
    """The same with its profile's entry, where the lock has one: all that goes from one lock into another."""
    names = all_stages_of(model, mode) if entries_of(lock, model, mode) else ()
    return {name: lock[name] for name in names if name in lock}


def lock_hash(entries: Mapping[str, Any]) -> str:
    """One hash for what the lock says of a model: the key under which a trained version is known everywhere."""
    return _digest(entries)


def of_lock(lock: Mapping[str, Any], model: str, commit: str, mode: Mode = "full") -> Lineage | None:
    """The lineage that a dvc.lock holds of a model; None where not all of its stages have run."""
    entries = entries_of(lock, model, mode)
    if not entries:
        return None
    made = {str(out["path"]): str(out["md5"]) for entry in entries.values() for out in entry.get("outs", ())}
    used = {str(dep["path"]): str(dep["md5"]) for entry in entries.values() for dep in entry.get("deps", ())}
    here = f"artifacts/{model}/{mode}"
    try:
        return Lineage(
            model=model,
            commit=commit,
            data_hash=used[f"data/{model}"],
            params_hash=_digest({name: entry.get("params", {}) for name, entry in entries.items()}),
            code_hash=_digest({path: md5 for path, md5 in used.items() if path.startswith("ml/")}),
            environment_hash=used[ENVIRONMENT],
            lock_hash=lock_hash(entries),
            model_hash=made[f"{here}/model.onnx"],
            predictions_hash=made[f"{here}/predictions.parquet"],
        )
    except KeyError:
        return None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
