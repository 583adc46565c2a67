"""Where a full training keeps its checkpoints: a folder named by all that it depends on, so that none is ever stale."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import ml
from ml.files import md5

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ml.kinds import Job
    from ml.params import Mode
    from ml.stages.run import Place

HOME = Path(ml.__file__).resolve().parent


def folder(job: Job, place: Place, rows: Sequence[Path]) -> Path:
    """The folder for a job on these files of rows; it need not be there. Raises OSError where a file cannot be read."""
    digest = hashlib.sha256(json.dumps(list(_inputs(job, place, rows))).encode())
    return _home(place, job.params.mode) / digest.hexdigest()[:16]


def clear(place: Place, mode: Mode) -> None:
    """Remove every checkpoint of a model's mode: a training of it has ended."""
    shutil.rmtree(_home(place, mode), ignore_errors=True)


def _home(place: Place, mode: Mode) -> Path:
    return place.root / ".trunkline" / "checkpoints" / place.model / mode


def _inputs(job: Job, place: Place, rows: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """More than the stage's own: a checkpoint that is lost costs an hour, one that is stale a model."""
    params = job.params
    sections = {name: getattr(params, name).model_dump() for name in ("head", "data", "split", "size", "checks")}
    own = {**sections, "model": params.model, "modes": params.overrides, "mode": params.mode, "seed": job.seed}
    yield "params", json.dumps(own, sort_keys=True)
    for path in rows:
        yield path.name, md5(path)
    versions = place.root / "constraints.txt"
    yield versions.name, md5(versions) if versions.is_file() else ""
    for path in sorted(HOME.rglob("*.py")):
        part = path.relative_to(HOME)
        if part.parts[0] != "serve" and (part.parts[0] != "models" or part.parts[1] in {"__init__.py", place.model}):
            yield part.as_posix(), md5(path)
