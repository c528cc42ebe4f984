"""A comparison as Markdown."""

from pinrank.evaluation.comparison import Report
from pinrank.evaluation.sheets import LEGEND, Cell, Sheet, filled_sheet, section_sheets, section_title


def to_markdown(report: Report) -> str:
    """The whole report; every table has as many cells in a row as it has headings, whatever the names hold."""
    parts = [f"# {escaped(report.title)}", "\n".join(f"- {escaped(note)}" for note in report.notes)]
    for section in report.sections:
        parts.append(f"## {escaped(section_title(section))}")
        parts += map(table, section_sheets(section, report.facts))
    if sheet := filled_sheet(report):
        parts.append(table(sheet))
    return "\n\n".join(part for part in [*parts, LEGEND] if part) + "\n"


def table(sheet: Sheet) -> str:
    """One table, its title in bold above it; numbers stand at the right."""
    lines = [sheet.headings, ("---", *["---:"] * (len(sheet.headings) - 1)), *(map(_cell, row) for row in sheet.rows)]
    title = f"**{escaped(sheet.title)}**\n\n" if sheet.title else ""
    return title + "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def escaped(text: str) -> str:
    """Text that opens neither a cell, nor a line, nor a tag."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())


def _cell(cell: Cell) -> str:
    text = f"**{escaped(cell.text)}**" if cell.strong else escaped(cell.text)
    return f"{text} ({escaped(cell.detail)})" if cell.detail else text
