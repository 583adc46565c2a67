"""The job of a stage: a model's parameters in one mode, and the repository's seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml import params
from ml.kinds import Job

if TYPE_CHECKING:
    import argparse

    from ml.stages.run import Place


def job_of(arguments: argparse.Namespace, place: Place) -> Job:
    """Read the params files. Raises StageError with file and line of a mistake."""
    return Job(
        model=place.model,
        params=params.load(place.code / "params.yaml", arguments.mode),
        seed=params.seed(place.root / "params.yaml"),
    )
