"""Reads the records that an untrusted run left, a model at a time: one that is refused takes no other with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.commands import collect
from ci.core.errors import ConfigurationError
from ci.core.plan import MOST

if TYPE_CHECKING:
    from pathlib import Path

    from ci.core.records import Plan, Verdict


@dataclass(frozen=True)
class Found:
    """What could be read, verdicts by model and mode, and why the rest could not."""

    verdicts: tuple[Verdict, ...]
    plan: Plan | None
    refused: tuple[ConfigurationError, ...]


def read(folder: Path, plan: Path | None) -> Found:
    """The verdicts under `folder`/<model>/, and `plan` if it is there.

    Refused is what `collect` refuses, and a verdict that does not lie in the folder of its model.
    """
    verdicts: list[Verdict] = []
    planned = None
    refused: list[ConfigurationError] = []
    for model in _folders(folder, refused):
        try:
            verdicts += _of_model(model)
        except ConfigurationError as fault:
            refused.append(fault)
    if plan is not None and (plan.exists() or plan.is_symlink()):
        try:
            planned = collect.plan(plan)
        except ConfigurationError as fault:
            refused.append(fault)
    return Found(tuple(verdicts), planned, tuple(refused))


def _folders(folder: Path, refused: list[ConfigurationError]) -> list[Path]:
    if not folder.is_dir():
        return []
    inside = sorted(folder.iterdir())
    if any(path.name == "verdict.json" for path in inside):
        refused.append(
            collect.refusal(folder / "verdict.json", "does not lie in the folder of a model; move it there.")
        )
    found = [path for path in inside if path.is_dir() and not path.is_symlink()]
    if len(found) > MOST:
        refused.append(
            collect.refusal(folder, f"holds {len(found)} folders, more than {MOST}; hand over one run's alone.")
        )
        return []
    return found


def _of_model(folder: Path) -> tuple[Verdict, ...]:
    found = collect.verdicts(folder)
    for verdict in found:
        if verdict.model != folder.name:
            raise collect.refusal(folder, f"holds a verdict of '{verdict.model}'; a folder's name is its model's.")
    return found
