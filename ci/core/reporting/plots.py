"""Plots in plain text, for places that hold no pictures: Mermaid's xychart and lines of block characters."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.core.reporting.show import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ci.core.records import Curve

BLOCKS = "▁▂▃▄▅▆▇█"
POINTS = 25  # on a Mermaid line: more is text without being picture
SPARKS = 24

# Okabe and Ito's colours: told apart with any colour vision, on a light and on a dark page.
COLOURS = {
    "candidate": "#0072B2",
    "train": "#0072B2",
    "baseline": "#E69F00",
    "validation": "#E69F00",
    "ideal": "#999999",
}
COLOUR_WORDS = {"candidate": "blue", "train": "blue", "baseline": "orange", "validation": "orange", "ideal": "grey"}
TITLES = {
    "precision_recall": ("Precision and recall", "recall", "precision"),
    "calibration": ("Calibration", "predicted", "observed"),
    "loss": ("Loss", "step", "loss"),
}


@dataclass(frozen=True)
class Spark:
    """One curve as a row of blocks, with where it starts and ends."""

    series: str
    blocks: str
    first: str
    last: str


@dataclass(frozen=True)
class Plot:
    """One figure: a Mermaid text (none where Mermaid could not draw it), its legend, and a spark for each curve."""

    title: str
    axes: str
    mermaid: str | None
    legend: str
    sparks: tuple[Spark, ...]


def plots(curves: Sequence[Curve]) -> tuple[Plot, ...]:
    """A plot for each kind of curve that has points, in a fixed order."""
    found = (tuple(curve for curve in curves if curve.name == name and _points(curve)) for name in TITLES)
    return tuple(_plot(group) for group in found if group)


def sparkline(values: Sequence[float]) -> str:
    """`values` as block characters, the lowest the lowest block; a level line is drawn in the middle."""
    low, high = min(values), max(values)
    if not low < high:
        return BLOCKS[3] * len(values)
    step = (high / 2 - low / 2) / (len(BLOCKS) - 1)  # halved, so that no span overflows
    return "".join(BLOCKS[min(round((value / 2 - low / 2) / step) if step else 0, len(BLOCKS) - 1)] for value in values)


def at(curve: Curve, grid: Iterable[float]) -> list[float]:
    """`curve` read off at each x of `grid`: linear between points, level beyond them, the highest of equal x."""
    points = _points(curve)
    xs = [x for x, _ in points]
    values = []
    for x in grid:
        right = bisect_left(xs, x)
        if right in {0, len(xs)}:
            values.append(points[min(right, len(xs) - 1)][1])
            continue
        (x0, y0), (x1, y1) = points[right - 1], points[right]
        share = (x / 2 - x0 / 2) / (x1 / 2 - x0 / 2) if x1 > x0 else 1.0
        values.append(y0 * (1 - share) + y1 * share)
    return values


def _points(curve: Curve) -> list[tuple[float, float]]:
    best: dict[float, float] = {}
    for x, y in zip(curve.x, curve.y, strict=False):
        best[x] = max(y, best.get(x, y))
    return sorted(best.items())


def _grid(low: float, high: float, points: int) -> list[float]:
    return [low * (1 - i / (points - 1)) + high * (i / (points - 1)) for i in range(points)]


def _plot(curves: tuple[Curve, ...]) -> Plot:
    title, across, up = TITLES[curves[0].name]
    low = max(_points(curve)[0][0] for curve in curves)
    high = min(_points(curve)[-1][0] for curve in curves)
    if not low < high:  # curves with no x in common: the first is drawn alone
        curves = curves[:1]
        low, high = _points(curves[0])[0][0], _points(curves[0])[-1][0]
    grid = _grid(low, high, POINTS)
    lines: dict[str, list[float]] = {curve.series: at(curve, grid) for curve in curves}
    if curves[0].name == "calibration":
        lines["ideal"] = grid
    bounds = (0.0, 1.0) if curves[0].name == "precision_recall" else _bounds(lines.values())
    drawn = _drawable(low, high) and _drawable(*bounds)
    return Plot(
        title=title,
        axes=f"{up} over {across}",
        mermaid=mermaid((across, low, high), (up, *bounds), lines, COLOURS) if drawn else None,
        legend=", ".join(f"{series} {COLOUR_WORDS[series]}" for series in lines),
        sparks=tuple(_spark(curve) for curve in curves),
    )


def _bounds(lines: Iterable[Sequence[float]]) -> tuple[float, float]:
    values = [value for line in lines for value in line]
    return min(values), max(values)


def _drawable(low: float, high: float) -> bool:
    """Whether Mermaid, which reads no exponents, can tell the ends apart."""
    return max(abs(low), abs(high)) < 1e9 and high - low > 1e-4


def mermaid(
    across: tuple[str, float, float],
    up: tuple[str, float, float],
    lines: Mapping[str, Sequence[float]],
    colours: Mapping[str, str],
) -> str:
    """An xychart of lines over evenly spaced x; an axis is its title, low end and high end."""
    palette = ", ".join(colours[series] for series in lines)
    return "\n".join(
        [
            f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%',
            "xychart-beta",
            *(
                f'    {axis} "{name}" {low:.4f} --> {high:.4f}'
                for axis, (name, low, high) in (("x-axis", across), ("y-axis", up))
            ),
            *(f"    line [{', '.join(f'{value:.4f}' for value in line)}]" for line in lines.values()),
        ]
    )


def _spark(curve: Curve) -> Spark:
    points = _points(curve)
    values = at(curve, _grid(points[0][0], points[-1][0], SPARKS))
    return Spark(curve.series, sparkline(values), number(points[0][1]), number(points[-1][1]))
