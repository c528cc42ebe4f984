"""A metric over the number of labels as a small inline SVG: a line with its 95% band, and what it is held against."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pinrank.evaluation.chart import ticks
from pinrank.evaluation.comparison import Figure

WIDTH = 400
HEIGHT = 220
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 26, 34

STYLE = """
svg .band { fill: #2a78d6; opacity: .18; }
svg .line { fill: none; stroke: #2a78d6; stroke-width: 2; }
svg .level { stroke: #c2571a; stroke-width: 2; stroke-dasharray: 5 4; }
svg .levelband { fill: #c2571a; opacity: .12; }
svg .ytick { text-anchor: end; opacity: .7; }
svg .levelname { fill: #c2571a; }
"""


@dataclass(frozen=True)
class Point:
    """A figure at a number of labels."""

    num_labels: int
    name: str
    figure: Figure


def curve_chart(heading: str, points: Sequence[Point], level_name: str, level: Figure) -> str:
    """An SVG element: points over a logarithmic axis, and a level that does not depend on the labels.

    It refers to no file, font or style sheet beyond the page's own and STYLE.
    """
    shown = [point for point in points if point.figure.value is not None]
    low, high = _range([*(point.figure for point in shown), level])
    title = f"{heading} by number of labels, with 95% intervals"
    parts = [f'<text class="heading" x="0" y="14">{escape(heading)}</text>']
    for tick, label in ticks(low, high):
        y = _y(tick, low, high)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="ytick" x="{LEFT - 6}" y="{y + 4}">{label}</text>')
    parts += _level(level_name, level, low, high)
    if shown:
        parts += _line(shown, low, high)
    return (
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}">{"".join(parts)}</svg>'
    )


def _line(points: Sequence[Point], low: float, high: float) -> list[str]:
    xs = _places([point.num_labels for point in points])
    parts = []
    banded = [(x, *point.figure.ci95) for x, point in zip(xs, points, strict=True)]
    known = [(x, from_, to) for x, from_, to in banded if from_ is not None and to is not None]
    if len(known) > 1:
        edge = [f"{x},{_y(to, low, high)}" for x, _, to in known]
        edge += [f"{x},{_y(from_, low, high)}" for x, from_, _ in reversed(known)]
        parts.append(f'<polygon class="band" points="{" ".join(edge)}"/>')
    placed = [(x, _y(point.figure.value or 0.0, low, high)) for x, point in zip(xs, points, strict=True)]
    parts.append(f'<polyline class="line" points="{" ".join(f"{x},{y}" for x, y in placed)}"/>')
    for (x, y), point in zip(placed, points, strict=True):
        said = f"{point.name}: {point.num_labels:,} labels, {point.figure.value:.3f}"
        parts.append(f'<g><title>{escape(said)}</title><circle class="dot" cx="{x}" cy="{y}" r="4"/></g>')
        parts.append(f'<text class="tick" x="{x}" y="{HEIGHT - 16}">{escape(point.name)}</text>')
        parts.append(f'<text class="tick" x="{x}" y="{HEIGHT - 3}">{_short(point.num_labels)}</text>')
    return parts


def _level(name: str, level: Figure, low: float, high: float) -> list[str]:
    if level.value is None:
        return []
    parts = []
    from_, to = level.ci95
    if from_ is not None and to is not None:
        top, bottom = _y(to, low, high), _y(from_, low, high)
        width = WIDTH - LEFT - RIGHT
        parts.append(
            f'<rect class="levelband" x="{LEFT}" y="{top}" width="{width}" height="{round(bottom - top, 1)}"/>'
        )
    y = _y(level.value, low, high)
    parts.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
    return [*parts, f'<text class="levelname" x="{LEFT + 4}" y="{y - 4}">{escape(name)}</text>']


def _places(counts: Sequence[int]) -> list[float]:
    """The x of each number of labels, on a logarithmic axis with a little room at both ends."""
    logs = [math.log(max(count, 1)) for count in counts]
    span = (max(logs) - min(logs)) or 1.0
    room, width = 30, WIDTH - LEFT - RIGHT - 60
    return [round(LEFT + room + width * (each - min(logs)) / span, 1) for each in logs]


def _y(value: float, low: float, high: float) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)


def _range(figures: Sequence[Figure]) -> tuple[float, float]:
    known = [each for figure in figures for each in (figure.value, *figure.ci95) if each is not None]
    if not known:
        return 0.0, 1.0
    room = 0.05 * (max(known) - min(known)) or 0.05
    return min(known) - room, max(known) + room


def _short(count: int) -> str:
    for unit, name in ((10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return str(count)
