"""How good the model is on a window: by the labels that have arrived, and as the scores alone let expect it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.adapters import files, predictions
from ci.commands import gate
from ci.commands.reference import PREDICTIONS
from ci.core.drift.quality import quality
from ci.core.drift.residuals import residuals
from ci.core.gating import gates
from ci.core.statistics.measure import Resampling

if TYPE_CHECKING:
    from pathlib import Path

    from ci.commands.reference import Reference
    from ci.commands.windowing import Windowed
    from ci.core.drift.records import QualityRow
    from ci.core.drift.residuals import Residuals
    from ci.core.drift.rules import Rules


def by_labels(
    reference: Reference, labelled: Windowed, rules: Rules, folder: Path
) -> tuple[tuple[QualityRow, ...], Residuals | None]:
    """The gates' metrics of the labelled rows beside the reference's, and residuals where labels are numbers.

    The reference's predictions come to `folder`. Nothing where no label has arrived. Raises EnvironmentFault where
    they are nowhere, ConfigurationError for rows or gates that are of no use.
    """
    if labelled.predictions is None:
        return (), None
    theirs = folder / PREDICTIONS
    files.write_bytes(theirs, reference.fetch(PREDICTIONS)[PREDICTIONS])
    params = gate.root_params(reference.root)
    task, declared = gate.gates_of(reference.root, reference.model, params)
    mine = tuple(one for one in declared if reference.mode in one.modes)
    words, days = gates.columns(mine, reference.mode)
    known = predictions.columns(labelled.predictions) & predictions.columns(theirs)
    words, days = (words | set(rules.slices)) & known, days & known
    rows = [predictions.read(path, words=words, days=days) for path in (labelled.predictions, theirs)]
    defaults = params.defaults
    how = Resampling(defaults.gates.resamples, defaults.seed)
    shift = residuals(rows[0], rows[1], rules) if task == "regression" else None
    return quality(mine, task, rows[0], rows[1], rules, how, defaults.gates.confidence), shift
