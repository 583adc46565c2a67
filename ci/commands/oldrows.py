"""Whether anything was forgotten: the test rows that the champion was judged on, scored by the candidate.

The reverse of what `baseline` does on new rows. Features of old raw rows are made by the code that is checked out;
rows that are among the candidate's own test rows were scored already.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import numpy as np

from ci.adapters import files, predictions, shell
from ci.commands import data, kept
from ci.commands.baseline import failed
from ci.core.errors import ConfigurationError
from ci.core.lineage import entries_of, lock_hash
from ci.core.records import Evaluation, OldRows
from ci.core.statistics.rows import shared

if TYPE_CHECKING:
    from pathlib import Path

    from ci.commands.champion import Champion
    from ci.core.lineage import Lineage
    from ci.core.statistics.rows import Rows

STAGE = "ml.stages.oldrows"


def made(champion: Champion, model: str, lineage: Lineage) -> OldRows:
    """Write artifacts/<model>/full/old, unless it was written before, whole (`key` is written last).

    `champion.parquet` has the champion's predictions as they were pinned, `predictions.parquet` the candidate's of the
    same rows, where its own test rows do not hold them all. Raises EnvironmentFault where what was pinned is nowhere.
    """
    here = champion.root / "artifacts" / model / champion.mode
    folder = here / "old"
    key = f"{lineage.commit} {lock_hash(entries_of(champion.lock_now, model))}\n"
    if (folder / "key").is_file() and (folder / "key").read_text() == key:
        return files.read_record(folder / "old.json", OldRows)
    shutil.rmtree(folder, ignore_errors=True)
    path = f"artifacts/{model}/{champion.mode}/predictions.parquet"
    found = kept.by_hash(champion.root, model, lineage.commit, {path: lineage.predictions_hash})
    kept.require_all({path: lineage.predictions_hash}, found)
    files.write_bytes(folder / "champion.parquet", found[path])
    theirs, mine = (predictions.read(one) for one in (folder / "champion.parquet", here / "predictions.parquet"))
    lacking = unscored(theirs, mine)
    old = OldRows(
        model=model,
        mode=champion.mode,
        model_hash=files.read_record(here / "evaluation.json", Evaluation).model_hash,
        commit=lineage.commit,
        rows=len(theirs),
        scored=lacking,
        trained=0,
    )
    files.write_record(folder / "old.json", old)
    if lacking:
        try:
            _score(champion, model, lineage.commit, folder, anew=lacking == len(theirs))
            old = files.read_record(folder / "old.json", OldRows)
        except ConfigurationError as fault:
            words = f"the candidate cannot score the test rows that the champion was judged on: {fault.message}"
            old = old.model_copy(update={"problem": words})
            files.write_record(folder / "old.json", old)
            return old
    files.write_text(folder / "key", key)
    return old


def unscored(theirs: Rows, mine: Rows) -> int:
    """How many of the champion's rows are to be scored: those that `mine` lacks.

    All of them where a row has another label by now: then an id may stand for another row as well.
    """
    here, there = shared(mine.ids, theirs.ids)
    same = np.array_equal(mine.label[here], theirs.label[there])
    return len(theirs) - len(there) if same else len(theirs)


def _score(champion: Champion, model: str, commit: str, folder: Path, *, anew: bool) -> None:
    """Let the candidate score them out of the data that the champion was made of. Raises ConfigurationError."""
    tree = champion.worktree(commit)
    shutil.rmtree(tree / "data" / model, ignore_errors=True)  # it may hold the new rows, for the champion to score
    data.ensure(tree, (model,))
    args = [
        sys.executable,
        "-m",
        STAGE,
        model,
        champion.mode,
        "--out",
        str(folder),
        "--raw",
        str(tree / "data" / model),
    ]
    done = shell.run([*args, *(["--anew"] if anew else [])], cwd=champion.root, loud=True, check=False)
    if done.code != 0:
        problem = champion.root / "artifacts" / model / "problem.json"
        fault = failed(problem, "its code cannot read the old rows")
        problem.unlink(missing_ok=True)  # no stage stopped: the next check is not to tell of it
        raise fault
