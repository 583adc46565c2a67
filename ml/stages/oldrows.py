"""The exported model scores the test rows that another version was judged on: whether it forgot anything.

No stage of dvc.yaml: `python -m ml.stages.oldrows MODEL MODE --out FOLDER --raw FOLDER`, where FOLDER `--out` has that
version's predictions as champion.parquet and a record old.json, and `--raw` the data that it was made of.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ml import kinds
from ml.errors import StageError
from ml.files import read_json, replacing, write_json
from ml.kinds.table import collect, scan
from ml.params import TimeSplit
from ml.stages.evaluate import predicted
from ml.stages.job import job_of
from ml.stages.run import parser, run

if TYPE_CHECKING:
    from ml.kinds import Job
    from ml.stages.run import Place


def body(arguments: argparse.Namespace, place: Place) -> None:
    """Write predictions.parquet of all those rows, and to old.json on how many of them the model was trained.

    Of rows that are among the model's own test rows its predictions are taken as they are, but with `anew`.
    """
    job = job_of(arguments, place)
    folder, out, data = place.mode(arguments.mode), arguments.out, job.params.data
    theirs = collect(scan(out / "champion.parquet", ("row_id",)).select("row_id"), out / "champion.parquet")
    known = collect(scan(folder / "predictions.parquet", ("row_id",)), folder / "predictions.parquet")
    known = known.head(0) if arguments.anew else known.join(theirs, on="row_id", how="semi")
    rows = made(job, arguments.raw / data.file, theirs.join(known, on="row_id", how="anti").get_column("row_id"))
    scores = kinds.load(job.params.head.kind).score(folder / "model.onnx", rows)
    with replacing(out / "predictions.parquet") as path:
        pl.concat([known, predicted(job, rows, scores)]).sort("row_id").write_parquet(path)
    trained = collect(scan(folder / "train.parquet", (data.id,)).select(data.id), folder / "train.parquet")
    trained = trained.join(theirs, left_on=data.id, right_on="row_id", how="semi")
    write_json(out / "old.json", read_json(out / "old.json") | {"scored": rows.height, "trained": trained.height})


def made(job: Job, source: Path, ids: pl.Series) -> pl.DataFrame:
    """The raw rows with these ids, with features. Raises StageError where one is not there.

    As in preparing, features look back on `split.history_days` where that is set.
    """
    data, split = job.params.data, job.params.split
    raw = scan(source, (data.id, data.label, *((data.time,) if data.time else ())))
    wanted = pl.col(data.id).is_in(ids.implode())
    if isinstance(split, TimeSplit) and split.history_days is not None and data.time is not None:
        first = collect(raw.filter(wanted).select(pl.col(data.time).min()), source).item()
        if first is not None:
            raw = raw.filter(pl.col(data.time) >= first - timedelta(days=split.history_days))
    rows = kinds.load(job.params.head.kind).made(job, collect(raw, source), source).filter(wanted)
    if rows.height != ids.len():
        raise StageError(
            f"{source} has {rows.height:,} of the {ids.len():,} rows to score; pull the data again", file=source
        )
    return rows


def arguments() -> argparse.ArgumentParser:
    """Its arguments."""
    result = parser("oldrows")
    result.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where champion.parquet lies")
    result.add_argument("--raw", type=Path, required=True, metavar="FOLDER", help="the data it was made of")
    result.add_argument("--anew", action="store_true", help="score all rows, also those that were scored")
    return result


if __name__ == "__main__":
    sys.exit(run("oldrows", body, arguments().parse_args()))
