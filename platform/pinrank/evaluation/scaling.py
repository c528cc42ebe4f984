"""How many labels a student needs: the rows of the scale, and their page.

The labels of a smaller row lie in every larger one, and all rows learn the human judgments beside them (unless
human_weight is 0), so that a row differs from the one before by more labels alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pinrank.evaluation.comparison import Report, Section, columns_of
from pinrank.evaluation.curve import STYLE, Point, curve_chart
from pinrank.evaluation.page import document, section_part
from pinrank.evaluation.sheets import LEGEND, section_title

HUMAN_ONLY = "human only"
"""The row that learns no soft label."""


@dataclass(frozen=True)
class Step:
    """A row of the scale: its name in the table, and how many labels it learns."""

    name: str
    num_labels: int


def steps(multiples: Sequence[int], base: int, num_labels: int) -> tuple[list[Step], list[int]]:
    """The rows for multiples of `base` labels, and the multiples for which there are too few.

    The first multiple that wants more labels than there are takes all of them, and says so by its name.
    """
    found: list[Step] = []
    short = [multiple for multiple in sorted(multiples) if multiple * base > num_labels]
    for multiple in sorted(set(multiples) - set(short)):
        found.append(Step(f"{multiple}x", multiple * base))
    if short and (not found or found[-1].num_labels < num_labels):
        found.append(Step(f"{num_labels / base:.2g}x, all", num_labels))
    return found, short


def to_page(report: Report, record: str, labels_of_row: Mapping[str, int]) -> str:
    """The whole report with a curve a metric in each section."""
    body = "".join(_curves(section, labels_of_row) + section_part(section, report.facts) for section in report.sections)
    return document(report.title, report.notes, f"<style>{STYLE}</style>{body}<p>{LEGEND}</p>\n", record)


def _curves(section: Section, labels_of_row: Mapping[str, int]) -> str:
    figures = section.figures
    charts = []
    for metric, heading in columns_of(figures).items():
        points = [Point(count, row, figures[row][metric]) for row, count in labels_of_row.items()]
        charts.append(curve_chart(heading, points, HUMAN_ONLY, figures[HUMAN_ONLY][metric]))
    return f'<h2>{escape(section_title(section))}</h2>\n<div class="charts">{"".join(charts)}</div>\n'
