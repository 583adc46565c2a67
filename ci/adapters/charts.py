"""The door to matplotlib: a report's pictures, the same bytes for the same numbers, redrawn when those change."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from typing import TYPE_CHECKING, Any

from ci.adapters import files
from ci.core.reporting.markdown import clip
from ci.core.reporting.plots import TITLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

    from ci.core.records import Curve, MetricRow, Verdict

STYLE = 1  # counts up when pictures of the same numbers are to look otherwise
DIFFERENCES = "differences"
NAMES = {**{name: title for name, (title, _, _) in TITLES.items()}, DIFFERENCES: "Differences from the baseline"}
MOST_DIFFERENCES = 16

# Okabe and Ito's blue and vermillion and a middle grey: they read on white and on black, with any colour vision,
# and the strokes differ too.
FIRST, SECOND, INK, FAINT = "#2E86C1", "#D55E00", "#7C828A", "#7C828A44"
STROKES: dict[str, dict[str, Any]] = {
    "candidate": {"color": FIRST, "linewidth": 2.2},
    "train": {"color": FIRST, "linewidth": 2.2},
    "baseline": {"color": SECOND, "linewidth": 1.8, "linestyle": (0, (5, 2))},
    "validation": {"color": SECOND, "linewidth": 1.8, "linestyle": (0, (5, 2))},
}
LOOK: dict[Any, Any] = {
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.parse_math": False,  # a metric's or slice's name is text, whatever signs it holds
}


def write_charts(folder: Path, verdict: Verdict) -> list[Path]:
    """Draw into `folder` a PNG for each kind of curve and one of the differences; remove those without numbers now."""
    drawn: list[Path] = []
    for name in NAMES:
        path = folder / f"{name}.png"
        numbers, draw = _content(name, verdict)
        if not numbers:
            path.unlink(missing_ok=True)
            continue
        key = hashlib.sha256(json.dumps([STYLE, numbers]).encode()).hexdigest()
        if not (path.is_file() and key.encode() in path.read_bytes()[:1024]):
            files.write_bytes(path, _png(draw, key, height=1.1 + 0.34 * len(numbers) if name == DIFFERENCES else 3.6))
        drawn.append(path)
    return drawn


def _content(name: str, verdict: Verdict) -> tuple[list[Any], Callable[[Axes], None]]:
    """The numbers that a picture rests on, and what draws them."""
    if name == DIFFERENCES:
        rows = [row for row in verdict.metrics if row.difference is not None and row.difference_interval is not None]
        rows = sorted(rows, key=lambda row: row.slice is not None)[:MOST_DIFFERENCES]
        return [row.model_dump() for row in rows], lambda axes: _draw_differences(axes, rows)
    curves = [curve for curve in verdict.curves if curve.name == name and curve.x and curve.y]
    return [curve.model_dump() for curve in curves], lambda axes: _draw_curves(axes, curves)


def _png(draw: Callable[[Axes], None], key: str, height: float) -> bytes:
    """One picture, transparent so that it lies on a light and on a dark page alike."""
    from matplotlib import rc_context  # noqa: PLC0415 - takes a second: only where something is drawn
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - likewise; needs no display
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    with rc_context(LOOK), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name in letters that the font lacks is drawn as boxes
        figure = Figure(figsize=(5.2, height), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        content = io.BytesIO()
        figure.savefig(
            content, format="png", dpi=160, transparent=True, metadata={"Software": None, "Description": key}
        )
    return content.getvalue()


def _draw_curves(axes: Axes, curves: list[Curve]) -> None:
    _, across, up = TITLES[curves[0].name]
    axes.grid(visible=True)
    if curves[0].name == "calibration":
        ends = [min(x for curve in curves for x in curve.x), max(x for curve in curves for x in curve.x)]
        axes.plot(ends, ends, color=INK, linewidth=1, linestyle=":", label="ideal")
    for curve in curves:
        points = sorted(zip(curve.x, curve.y, strict=False)) if curve.name != "precision_recall" else None
        xs, ys = (curve.x, curve.y) if points is None else zip(*points, strict=True)
        marker = "o" if curve.name == "calibration" else None
        axes.plot(xs, ys, label=curve.series, marker=marker, markersize=4, **STROKES[curve.series])
    if curves[0].name == "precision_recall":
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set(xlabel=across, ylabel=up)
    axes.legend()


def _draw_differences(axes: Axes, rows: list[MetricRow]) -> None:
    """A forest plot, each metric turned so that better lies on the right; hollow where the interval holds 0."""
    axes.axvline(0, color=INK, linewidth=1)
    for place, row in enumerate(rows):
        spread = row.difference_interval
        if spread is None or row.difference is None:
            continue
        ends = (spread.low, spread.high) if row.higher_is_better else (-spread.high, -spread.low)
        middle = row.difference if row.higher_is_better else -row.difference
        colour = SECOND if ends[1] < 0 else FIRST if ends[0] > 0 else INK
        axes.plot(ends, (place, place), color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(middle, place, marker="o", color=colour, markerfacecolor="none" if colour == INK else colour)
    axes.set_yticks(
        range(len(rows)), [clip(f"{row.slice}: {row.metric}" if row.slice else row.metric, 40) for row in rows]
    )
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=True, axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("← worse      difference and its interval      better →")
    axes.locator_params(axis="x", nbins=6)
