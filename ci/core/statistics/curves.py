"""The points behind a report's plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ci.core.records import Curve
from ci.core.statistics.metrics import BINS
from ci.core.statistics.ranking import precision_recall
from ci.core.statistics.sums import calibration_bins

if TYPE_CHECKING:
    from ci.core.gating.evidence import Evidence
    from ci.core.records import Training
    from ci.core.statistics.rows import Floats, Rows

MOST_POINTS = 200

Series = Literal["candidate", "baseline"]


def curves(evidence: Evidence) -> tuple[Curve, ...]:
    """Precision over recall and calibration of candidate and baseline (binary tasks), and the training loss."""
    found: list[Curve] = []
    if evidence.task == "binary":
        both: tuple[tuple[Series, Rows | None], ...] = (
            ("candidate", evidence.rows),
            ("baseline", evidence.baseline_rows),
        )
        for series, rows in both:
            if rows is not None and rows.fault("binary") is None and 0 < rows.label.sum() < len(rows):
                found += [_precision_recall(rows, series), _calibration(rows, series)]
    if evidence.training is not None:
        found += _loss(evidence.training)
    return tuple(found)


def _precision_recall(rows: Rows, series: Series) -> Curve:
    """Recall as x, precision as y, where recall moves."""
    recall, precision = precision_recall(rows.label, rows.score)
    moves = np.flatnonzero(np.diff(recall, prepend=0.0) > 0)
    x, y = _thin(recall[moves], precision[moves])
    return Curve(name="precision_recall", series=series, x=x, y=y)


def _calibration(rows: Rows, series: Series) -> Curve:
    """Mean score as x, share of positives as y, of each bin of equal mass."""
    bins = calibration_bins(rows.score)
    counts = np.bincount(bins, minlength=BINS)
    used = counts > 0
    score = np.bincount(bins, weights=rows.score, minlength=BINS)[used] / counts[used]
    label = np.bincount(bins, weights=rows.label, minlength=BINS)[used] / counts[used]
    return Curve(name="calibration", series=series, x=tuple(map(float, score)), y=tuple(map(float, label)))


def _loss(training: Training) -> list[Curve]:
    """Step as x, mean loss as y, for the rows that have it."""
    found = []
    if training.loss:
        steps = np.array([point.step for point in training.loss], dtype=np.float64)
        x, y = _thin(steps, np.array([point.train for point in training.loss]))
        found.append(Curve(name="loss", series="train", x=x, y=y))
    validated = [(float(point.step), point.validation) for point in training.loss if point.validation is not None]
    if validated:
        pairs = np.array(validated)
        x, y = _thin(pairs[:, 0], pairs[:, 1])
        found.append(Curve(name="loss", series="validation", x=x, y=y))
    return found


def _thin(x: Floats, y: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """At most 200 points, evenly spaced by position, the first and the last among them."""
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).round().astype(np.int64))
    return tuple(map(float, x[keep])), tuple(map(float, y[keep]))
