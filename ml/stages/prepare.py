"""Stage prepare: raw rows become the rows a model is fitted on and the rows it is judged on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ml import kinds
from ml.errors import REFUSED, StageError
from ml.files import read_json, replacing
from ml.stages.job import job_of
from ml.stages.run import parser, run

if TYPE_CHECKING:
    import argparse

    from ml.stages.run import Place


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Write train.parquet and test.parquet. Raises StageError when the data did not pass validation."""
    job = job_of(arguments, place)
    validation = place.artifacts / "validation.json"
    if not read_json(validation).get("passed", False):
        words = f"{validation} says that the data breaks its schema; mend the data, or the schema, and validate again"
        raise StageError(words, exit_code=REFUSED, file=validation)
    rows = kinds.load(job.params.head.kind).prepare(job, place.data / job.params.data.file)
    folder = place.mode(arguments.mode)
    for name, part in (("train", rows.train), ("test", rows.test)):
        with replacing(folder / f"{name}.parquet") as path:
            part.write_parquet(path)


if __name__ == "__main__":
    sys.exit(run("prepare", body, parser("prepare").parse_args()))
