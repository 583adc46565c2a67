"""Runs the stages of one model, and sees to it that one that stopped has said why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.adapters import dvc
from ci.core.lineage import all_stages_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ci.core.records import Mode


def bring_up(
    root: Path, model: str, mode: Mode, stale: Mapping[str, Any], env: Mapping[str, str] | None = None
) -> None:
    """Run what `stale`, DVC's status, names of the model's stages; `env` is added to what they see.

    One that stops leaves a problem.json that says why.
    """
    stages = all_stages_of(model, mode)
    (root / "artifacts" / model / "problem.json").unlink(missing_ok=True)
    if any(stage in stale for stage in stages) and not dvc.repro(root, stages, env):
        _explain(root, model)


def _explain(root: Path, model: str) -> None:
    """A stage that stopped has said why in problem.json; where DVC itself failed, say that."""
    from ci.adapters import files  # noqa: PLC0415 - only where something failed: a check is to start fast
    from ci.core.errors import EnvironmentFault  # noqa: PLC0415 - as above
    from ci.core.records import Problem  # noqa: PLC0415 - as above

    path = root / "artifacts" / model / "problem.json"
    if not path.is_file():
        words = "DVC could not run the stages and says why in the log; if its cache is damaged, remove .dvc/cache"
        code = EnvironmentFault.exit_code
        files.write_record(path, Problem(model=model, stage="dvc repro", message=words, exit_code=code))
