"""`trunkline drift` on raw labelled rows, whose features are made and scored as the model's own code does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.adapters import files
from ci.core.drift.records import Drift
from ci.core.records import Outcome

if TYPE_CHECKING:
    from tests.project import Project


def test_rows_by_time_are_held_to_the_smoke_training_while_there_is_no_other(project: Project) -> None:
    project.edit("ml/models/fraud/params.yaml", "drift:\n", "drift:\n  rows: data/fraud\n")
    said = project.trunkline("drift", "--end", "2018-06-10").stdout
    assert "fraud: held to what was trained in smoke mode, since there is no full training yet, 12,000 rows" in said
    drift = files.read_record(project.root / "artifacts/fraud/drift/drift.json", Drift)
    assert (drift.window.start, drift.window.end) == ("2018-06-03T00:00:00+00:00", "2018-06-10T00:00:00+00:00")
    assert drift.window.rows > 20_000
    assert drift.outcome is Outcome.PASS
    assert not [row.column for row in drift.columns if row.drifted]
    assert any("Labels take 7 days: quality is that of the rows from 2018-05-27" in note for note in drift.notes)
    assert {row.metric for row in drift.quality} > {"roc_auc", "average_precision"}
    assert {row.verdict for row in drift.quality} <= {Outcome.PASS, Outcome.INCONCLUSIVE}
    weights = [row.importance for row in drift.columns]
    assert abs(sum(weight for weight in weights if weight is not None) - 1) < 1e-9
