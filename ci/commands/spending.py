"""What a model's last full training took, kept at the forge: who proposes the next one may have a fresh checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.adapters import files, kept
from ci.core.records import Timings
from ci.core.retraining.records import Spent, took
from ci.core.retraining.telling import Cost

if TYPE_CHECKING:
    from pathlib import Path

    from ci.adapters.forge import Forge
    from ci.adapters.kept import Held
    from ci.core.records import Verdict

FILE = "spent.json"


def ref_of(model: str) -> str:
    """Where it is."""
    return f"refs/trunkline/training/{model}"


def cost(root: Path, forge: Forge, model: str) -> Cost:
    """What the last full training took: by its times where they lie here, else as it was published."""
    path = root / "artifacts" / model / "full" / "timings.json"
    if path.is_file():
        return Cost(took(files.read_record(path, Timings).seconds))
    spent = _read(root, forge, model).record
    return Cost(spent.seconds, spent.rows) if spent else Cost()


def _read(root: Path, forge: Forge, model: str) -> Held[Spent]:
    return kept.read(root, forge, ref_of(model), FILE, Spent, "record of a training")


def write(root: Path, forge: Forge, verdict: Verdict) -> None:
    """Keep what a training took, by its verdict; nothing where no stage left its time.

    Where another publishes at the same time, its word stands.
    """
    seconds, model = took(verdict.seconds), verdict.model
    if seconds:
        spent = Spent(model=model, seconds=seconds, rows=verdict.change.rows_after)
        kept.write(root, forge, ref_of(model), FILE, spent, _read(root, forge, model), f"Full training of {model}")
