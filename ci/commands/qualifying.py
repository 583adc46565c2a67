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
    time = _time(reference)
    window = predictions.read(labelled.predictions, words=words, days=days)
    rows = predictions.read(theirs, words=words, days=days | (predictions.dated(theirs) & {time}))
    defaults = params.defaults
    how = Resampling(defaults.gates.resamples, defaults.seed)
    shift = residuals(window, rows, rules) if task == "regression" else None
    return quality(mine, task, window, rows, rules, how, defaults.gates.confidence, time), shift


def _time(reference: Reference) -> str | None:
    """The column of the rows' time: what was kept of it beside the predictions tells the reference's seasons."""
    raw, _ = files.read_yaml(reference.root / "ml" / "models" / reference.model / "params.yaml")
    data = raw.get("data")
    return data.get("time") if isinstance(data, dict) else None
