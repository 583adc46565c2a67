"""The second run of a smoke training, in a process of its own: `python -m ml.stages.again MODEL MODE OUT`.

It makes the rows anew from the raw data, fits and exports, asks nothing, and leaves all of it in the folder OUT.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from ml import kinds
from ml.errors import ENVIRONMENT, StageError
from ml.files import write_json
from ml.params import MODES
from ml.stages.code import require_named
from ml.stages.job import job_of
from ml.stages.run import Place


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Write train.parquet, test.parquet, model.onnx and loss.json to `arguments.out`."""
    job = job_of(arguments, place)
    kind = kinds.load(job.params.head.kind)
    rows = kind.prepare(job, place.data / job.params.data.file)
    out: Path = arguments.out
    rows.train.write_parquet(out / "train.parquet")
    rows.test.write_parquet(out / "test.parquet")
    trained = kind.fit(job, rows)
    (out / "model.onnx").write_bytes(trained.artifact)
    write_json(out / "loss.json", {"loss": [dataclasses.asdict(point) for point in trained.loss]})
    require_named("train", place.model, place.root)


def main() -> int:
    """Run on the arguments of the command line, from the repository's root."""
    parser = argparse.ArgumentParser(prog="python -m ml.stages.again")
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("mode", metavar="MODE", choices=MODES)
    parser.add_argument("out", metavar="OUT", type=Path, help="an empty folder")
    arguments = parser.parse_args()
    try:
        body(arguments, Place(arguments.model))
    except StageError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'a file'}: {error.strerror or error}\n")
        return ENVIRONMENT
    return 0


if __name__ == "__main__":
    sys.exit(main())
