"""What a job in GitHub Actions trains or releases has to outlive the job."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def require(root: Path) -> None:
    """Raise ConfigurationError where a job would keep models, or their record, in a checkout that goes with it."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from ci.adapters import storage  # noqa: PLC0415 - DVC takes most of a second to import

    folder = storage.folder(root)
    if folder is not None and folder.is_relative_to(root.resolve()):
        raise ConfigurationError(
            f"DVC's remote is {folder.relative_to(root.resolve())}, which is gone with this job and the model in it; "
            "name one that all machines reach (`dvc remote add --default NAME URL`) and commit .dvc/config.",
            file=".dvc/config",
        )
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        raise ConfigurationError(
            "MLFLOW_TRACKING_URI is not set, and a registry of models in this checkout is gone with the job; set the "
            "repository's variable of that name to the team's MLflow."
        )
