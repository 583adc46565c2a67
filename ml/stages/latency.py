"""Single-row inference time of the exported model on this machine; measured anew only for a model not yet measured."""

from __future__ import annotations

import gc
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from ml import kinds
from ml.errors import StageError
from ml.files import md5, read_json, write_json
from ml.kinds.table import collect, scan
from ml.stages.job import job_of
from ml.stages.run import parser, run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from ml.stages.run import Place

ROWS = 200  # different rows, so that no branch of a tree stays warm alone
WARM_UP = 200
RUNS = 2000


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Write latency.json, unless it is there for this very model."""
    job = job_of(arguments, place)
    folder = place.mode(arguments.mode)
    artifact, source, record = folder / "model.onnx", folder / "test.parquet", folder / "latency.json"
    if not artifact.is_file():
        raise StageError(f"{artifact} is missing; run the stage train first: dvc repro", file=artifact)
    model_hash = md5(artifact)
    if measured_before(record, model_hash):
        return
    rows = collect(scan(source, ()).head(ROWS), source)
    milliseconds = 1000 * measure(kinds.load(job.params.head.kind).single(artifact, rows), WARM_UP, RUNS)
    write_json(
        record,
        {
            "schema_version": 1,
            "model": place.model,
            "mode": arguments.mode,
            "model_hash": model_hash,
            "runs": RUNS,
            "p50_ms": round(float(np.percentile(milliseconds, 50)), 6),
            "p99_ms": round(float(np.percentile(milliseconds, 99)), 6),
        },
    )


def measured_before(record: Path, model_hash: str) -> bool:
    """Whether `record` is a whole latency record of the model with this hash."""
    try:
        return read_json(record).get("model_hash") == model_hash
    except StageError:  # missing or damaged: measure
        return False


def measure(score: Callable[[int], object], warm_up: int, runs: int) -> NDArray[np.float64]:
    """Seconds of each of `runs` calls, [runs], after `warm_up` calls that do not count; without garbage collection."""
    for index in range(warm_up):
        score(index)
    seconds = np.empty(runs)
    gc.disable()
    try:
        for index in range(runs):
            started = time.perf_counter()
            score(index)
            seconds[index] = time.perf_counter() - started
    finally:
        gc.enable()
    return seconds


if __name__ == "__main__":
    sys.exit(run("latency", body, parser("latency").parse_args()))
