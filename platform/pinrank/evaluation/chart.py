"""A metric of several rows as a small inline SVG: a dot for the value, a bar for its 95% interval."""

import math
from collections.abc import Iterable, Mapping
from html import escape

from pinrank.evaluation.comparison import Figure

WIDTH = 400
LABEL_WIDTH = 170
VALUE_WIDTH = 46
ROW_HEIGHT = 20
HEAD_HEIGHT = 22
FOOT_HEIGHT = 20
LONGEST_LABEL = 27
"""Characters of a row's name that fit; the whole name is in the tooltip."""


def interval_chart(heading: str, figures: Mapping[str, Figure]) -> str:
    """An SVG element without any reference to a file, font or style sheet beyond the page's own."""
    low, high = _range(figures.values())
    height = HEAD_HEIGHT + ROW_HEIGHT * len(figures) + FOOT_HEIGHT
    parts = [f'<text class="heading" x="0" y="14">{escape(heading)}</text>']
    for tick, label in ticks(low, high):
        x = _place(tick, low, high)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{HEAD_HEIGHT}" y2="{height - FOOT_HEIGHT}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{height - 6}">{label}</text>')
    for place, (row, figure) in enumerate(figures.items()):
        parts += _row(row, figure, HEAD_HEIGHT + ROW_HEIGHT * place + ROW_HEIGHT / 2, low, high)
    title = f"{heading} by row, with 95% intervals"
    return (
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}">{"".join(parts)}</svg>'
    )


def ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round values inside a range, one to four of them by steps of 1, 2 or 5, and how they are written."""
    rough = (high - low) / 3
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(each * magnitude for each in (1, 2, 5, 10) if each * magnitude >= rough * (1 - 1e-9))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(count * step, f"{count * step:.{decimals}f}") for count in range(first, last + 1)]


def _row(row: str, figure: Figure, y: float, low: float, high: float) -> list[str]:
    label = row if len(row) <= LONGEST_LABEL else f"{row[: LONGEST_LABEL - 1]}…"
    parts = [f'<text class="label" x="0" y="{y + 4}"><title>{escape(row)}</title>{escape(label)}</text>']
    if figure.value is None:
        return [*parts, f'<text class="value" x="{WIDTH}" y="{y + 4}">-</text>']
    from_, to = figure.ci95
    if from_ is not None and to is not None:
        x1, x2 = _place(from_, low, high), _place(to, low, high)
        parts.append(f'<line class="interval" x1="{x1}" x2="{x2}" y1="{y}" y2="{y}"/>')
    parts.append(f'<circle class="dot" cx="{_place(figure.value, low, high)}" cy="{y}" r="4"/>')
    return [*parts, f'<text class="value" x="{WIDTH}" y="{y + 4}">{figure.value:.3f}</text>']


def _range(figures: Iterable[Figure]) -> tuple[float, float]:
    """What the axis spans: all values and intervals with a little room, or 0..1 where nothing is defined."""
    known = [each for figure in figures for each in (figure.value, *figure.ci95) if each is not None]
    if not known:
        return 0.0, 1.0
    room = 0.05 * (max(known) - min(known)) or 0.05
    return min(known) - room, max(known) + room


def _place(value: float, low: float, high: float) -> float:
    """The x of a value on the axis."""
    span = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    return round(LABEL_WIDTH + span * (value - low) / (high - low), 1)
