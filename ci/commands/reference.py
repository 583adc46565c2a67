"""What a window is held to: the profile of the rows that production's model was trained on, and what lies beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ci.adapters import dvc
from ci.commands import kept
from ci.commands.champion import Champion
from ci.commands.lineage import LOCK
from ci.core.drift.profiles import Profile, parse_profile
from ci.core.errors import ConfigurationError
from ci.core.lineage import of_lock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ci.core.lineage import Lineage
    from ci.core.records import Mode

FILES = {
    "profile": "profile.json",
    "train": "model.onnx",
    "prepare": "train.parquet",
    "evaluate": "predictions.parquet",
}
"""What is asked of each stage."""
PROFILE, ONNX, TRAINED_ON, PREDICTIONS = FILES.values()


@dataclass(frozen=True)
class Reference:
    """A trained model's files, each held to the hash that dvc.lock has of it; `words` say which model it is.

    `commit` is the one that production's model was made at, None where nothing is in production; `pinned` the one whose
    dvc.lock has the hashes, None for the dvc.lock that lies here.
    """

    root: Path
    model: str
    mode: Mode
    commit: str | None
    pinned: str | None
    hashes: Mapping[str, str]
    words: str

    @property
    def folder(self) -> str:
        """Where its files belong."""
        return f"artifacts/{self.model}/{self.mode}"

    @property
    def model_hash(self) -> str:
        """The hash of its model.onnx."""
        return self.hashes[ONNX]

    @cached_property
    def profile(self) -> Profile:
        """Its profile. Raises ConfigurationError for one of another schema version, EnvironmentFault as `fetch`."""
        path = f"{self.folder}/{PROFILE}"
        try:
            data = json.loads(self.fetch(PROFILE)[PROFILE])
        except ValueError as wrong:
            raise ConfigurationError(f"{path} is no JSON: {wrong}; train {self.model} again.", file=path) from wrong
        if not isinstance(data, dict):
            raise ConfigurationError(f"{path} is no profile; train {self.model} again.", file=path)
        return parse_profile(data, path)

    def fetch(self, *names: str) -> dict[str, bytes]:
        """Files by their names. Raises EnvironmentFault where one is nowhere."""
        hashes = {f"{self.folder}/{name}": self.hashes[name] for name in names}
        found = kept.by_hash(self.root, self.model, self.pinned, hashes)
        kept.require_all(hashes, found)
        return {name: found[f"{self.folder}/{name}"] for name in names}


def of(root: Path, model: str) -> Reference:
    """The reference of a model: production's by the release.yaml at hand, else what dvc.lock has of its training.

    Raises ConfigurationError where nothing was trained, or what is in production has no profile.
    """
    with Champion.at_hand(root, model) as champion:
        if champion.lineage is not None:
            return _of_champion(champion, model, champion.lineage)
    lock = dvc.lock_of(root)
    words: dict[Mode, str] = {
        "full": "what was trained in full, since nothing is in production",
        "smoke": "what was trained in smoke mode, since there is no full training yet",
    }
    for mode, told in words.items():
        if hashes := _hashes(lock, model, mode):
            return Reference(root, model, mode, None, None, hashes, told)
    raise ConfigurationError(
        f"{LOCK} has no profile of {model}, so there is nothing to hold its data to; run `trunkline check {model}`."
    )


def _of_champion(champion: Champion, model: str, lineage: Lineage) -> Reference:
    """Its profile may have been made after it was, and then is in the dvc.lock that lies here."""
    words = f"the model {lineage.model_hash[:12]}, which production runs"
    is_here = of_lock(champion.lock_now, model, lineage.commit) == lineage
    for pinned, lock in ((None, champion.lock_now if is_here else {}), (lineage.commit, champion.lock_before)):
        if hashes := _hashes(lock, model, champion.mode):
            return Reference(champion.root, model, champion.mode, lineage.commit, pinned, hashes, words)
    raise ConfigurationError(
        f"{words}, was trained before profiles were made, so there is nothing to hold {model}'s data to; train it "
        f"again (`trunkline train {model}`) and release it."
    )


def _hashes(lock: Mapping[str, Any], model: str, mode: Mode) -> dict[str, str]:
    """The hash of each file by a dvc.lock; none unless it has all."""
    found = {name: dvc.outs(dict(lock), f"{stage}@{model}-{mode}") for stage, name in FILES.items()}
    here = {name: made.get(f"artifacts/{model}/{mode}/{name}") for name, made in found.items()}
    known = {name: md5 for name, md5 in here.items() if md5 is not None}
    return known if len(known) == len(FILES) else {}
