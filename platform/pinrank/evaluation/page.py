"""A comparison as one HTML page that holds all it shows: no file, script, font or address outside it."""

from collections.abc import Iterable, Mapping
from html import escape

from pinrank.evaluation.chart import interval_chart
from pinrank.evaluation.comparison import Facts, Report, Section, columns_of
from pinrank.evaluation.sheets import LEGEND, Cell, Sheet, filled_sheet, section_sheets, section_title

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .25rem .7rem; text-align: right; vertical-align: top; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; font-weight: 600; }
small { display: block; opacity: .7; white-space: nowrap; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
svg text { font-size: 11px; fill: currentColor; }
svg .heading { font-size: 13px; font-weight: 600; }
svg .tick { text-anchor: middle; opacity: .7; }
svg .value { text-anchor: end; }
svg .grid { stroke: currentColor; opacity: .15; }
svg .interval { stroke: #2a78d6; stroke-width: 3; opacity: .5; }
svg .dot { fill: #2a78d6; }
pre { overflow-x: auto; font-size: 12px; }
"""


def to_page(report: Report, record: str) -> str:
    """The whole report with a chart a metric; `record` is shown folded at the end (settings and versions)."""
    sheet = filled_sheet(report)
    body = "".join(section_part(section, report.facts) for section in report.sections)
    body += f"{table(sheet) if sheet else ''}\n<p>{escape(LEGEND)}</p>\n"
    return document(report.title, report.notes, body, record)


def document(title: str, notes: Iterable[str], body: str, record: str) -> str:
    """A page of this style: title, notes as a list, the body (HTML), and the record folded at the end."""
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
        f"{f'<ul>{listed}</ul>' if listed else ''}\n{body}"
        f"<details><summary>Settings and versions</summary><pre>{escape(record)}</pre></details>\n</body></html>\n"
    )


def table(sheet: Sheet) -> str:
    """One table, its title as the caption."""
    caption = f"<caption>{escape(sheet.title)}</caption>" if sheet.title else ""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in sheet.headings)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in sheet.rows)
    return f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>\n'


def section_part(section: Section, facts: Mapping[str, Facts]) -> str:
    """A section with a chart a metric, as a part of a page."""
    charts = (
        interval_chart(heading, {row: figures[metric] for row, figures in section.figures.items()})
        for metric, heading in columns_of(section.figures).items()
    )
    figures, *gains = map(table, section_sheets(section, facts))
    title = f"<h2>{escape(section_title(section))}</h2>"
    return f'<section>{title}\n{figures}<div class="charts">{"".join(charts)}</div>\n{"".join(gains)}</section>\n'


def _cell(cell: Cell) -> str:
    text = f"<b>{escape(cell.text)}</b>" if cell.strong else escape(cell.text)
    return f"<td>{text}{f'<small>{escape(cell.detail)}</small>' if cell.detail else ''}</td>"
