"""What every stage's main shares: arguments, timings, and a stop told in one sentence and in problem.json."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml.errors import ENVIRONMENT, StageError
from ml.files import read_json, write_json
from ml.params import MODES, Mode
from ml.stages.code import require_named

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Place:
    """Where the stages of one model read and write, relative to the repository root."""

    model: str
    root: Path = Path()

    @property
    def code(self) -> Path:
        """The model's params.yaml, schema, features, model and simulator."""
        return self.root / "ml" / "models" / self.model

    @property
    def data(self) -> Path:
        """The folder of raw data, pinned by hash."""
        return self.root / "data" / self.model

    @property
    def artifacts(self) -> Path:
        """The folder of records of all modes."""
        return self.root / "artifacts" / self.model

    def mode(self, mode: Mode) -> Path:
        """The folder of one mode's records."""
        return self.artifacts / mode


def parser(stage: str, *, moded: bool = True) -> argparse.ArgumentParser:
    """The arguments MODEL [MODE] of `python -m ml.stages.<stage>`."""
    result = argparse.ArgumentParser(prog=f"python -m ml.stages.{stage}")
    result.add_argument("model", metavar="MODEL", help="a folder under ml/models")
    if moded:
        result.add_argument("mode", metavar="MODE", choices=MODES, help="smoke or full")
    return result


def run(
    stage: str, body: Callable[[argparse.Namespace, Place], None], arguments: argparse.Namespace, *, root: Path = Path()
) -> int:
    """Run a stage's body and return its exit code; a StageError or OSError becomes a sentence and problem.json.

    `body` gets the parsed arguments (`model`, perhaps `mode`) and the model's Place. Its seconds are merged into the
    mode's timings.json (of both modes for a stage without one), unless it stopped.
    """
    place = Place(arguments.model, root)
    problem = place.artifacts / "problem.json"
    started = time.perf_counter()
    try:
        _require_model(place)
        problem.unlink(missing_ok=True)
        body(arguments, place)
        require_named(stage, arguments.model, root)
        _record_seconds(stage, place, getattr(arguments, "mode", None), time.perf_counter() - started)
    except Exception as error:  # noqa: BLE001 - a model's own code may raise anything
        return _stop(stage, place, failure(error, root))
    return 0


def failure(error: Exception, root: Path) -> StageError:
    """Any error as one sentence; of one that nobody foresaw, its author gets the traceback too."""
    if isinstance(error, StageError):
        return error
    if isinstance(error, OSError):
        name = error.filename or "a file"
        reason = error.strerror or str(error)
        message = f"{name}: {reason}; free disk space or mend permissions, then run the stage again"
        return StageError(message, exit_code=ENVIRONMENT)
    traceback.print_exception(error)
    return _bug(error, root)


def _bug(error: Exception, root: Path) -> StageError:
    """The error at the innermost line that is in this repository's `ml`."""
    home = (root / "ml").resolve()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(home)]
    file = frames[-1].filename[len(str(home.parent)) + 1 :] if frames else None
    line = frames[-1].lineno if frames else None
    where = f"{file}:{line}: " if frames else ""
    return StageError(f"{where}{type(error).__name__}: {error}; the traceback is in the log", file=file, line=line)


def _require_model(place: Place) -> None:
    if not (place.code / "params.yaml").is_file():
        message = f"{place.code / 'params.yaml'} is missing; '{place.model}' is not a model of this repository"
        raise StageError(message, file=place.code / "params.yaml")


def _stop(stage: str, place: Place, error: StageError) -> int:
    sys.stderr.write(f"{stage} {place.model}: {error.message}\n")
    record = {
        "schema_version": 1,
        "model": place.model,
        "stage": stage,
        "message": error.message,
        "exit_code": error.exit_code,
        "file": error.file,
        "line": error.line,
    }
    try:
        write_json(place.artifacts / "problem.json", record)
    except OSError as full:
        sys.stderr.write(f"{stage} {place.model}: problem.json could not be written either: {full.strerror or full}\n")
    return error.exit_code


def _record_seconds(stage: str, place: Place, mode: Mode | None, seconds: float) -> None:
    for each in (mode,) if mode else MODES:
        path = place.mode(each) / "timings.json"
        known = _timings(path) | {stage: round(seconds, 3)}
        write_json(path, {"schema_version": 1, "model": place.model, "mode": each, "seconds": known})


def _timings(path: Path) -> dict[str, float]:
    try:
        seconds = read_json(path).get("seconds", {})
    except StageError:  # none yet, or damaged: timings are a courtesy, never a reason to stop
        return {}
    return seconds if isinstance(seconds, dict) else {}
