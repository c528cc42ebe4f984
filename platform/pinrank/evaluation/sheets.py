"""A comparison as the tables that people read, before they become Markdown or HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pinrank.evaluation.comparison import LEAST_QUERIES, Contrast, Facts, Figure, Gain, Report, Section, columns_of

UNDEFINED = "-"
FACT_HEADINGS = ("train pairs", "parameters", "pairs/s", "$ per million pairs")

LEGEND = (
    "Beside a figure stands its 95% interval, from a bootstrap over what the heading names last; fewer than "
    f"{LEAST_QUERIES} of these give none. In a table of differences a percentage says in how many resamples the row is "
    "above the other, and bold marks an interval that leaves out zero. Nothing corrects for the number of rows and "
    "columns looked at."
)


@dataclass(frozen=True)
class Cell:
    """One cell: what counts, what stands beside it in smaller type, and whether it is set in bold."""

    text: str
    detail: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Sheet:
    """One table; the first column names the rows."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def section_title(section: Section) -> str:
    """A section's heading, with the size of what was measured."""
    pairs, queries = section.counted
    return f"{section.name}: {section.num_pairs:,} {pairs} of {section.num_queries:,} {queries}"


def figures_sheet(section: Section, facts: Mapping[str, Facts]) -> Sheet:
    """Every metric of every row; in the section that asks for them, also what a row is and costs."""
    shown = facts if section.with_facts else {}
    rows = tuple(
        (Cell(row), *map(_figure_cell, figures.values()), *(_fact_cells(facts.get(row, Facts())) if shown else ()))
        for row, figures in section.figures.items()
    )
    return Sheet("", ("", *columns_of(section.figures).values(), *(FACT_HEADINGS if shown else ())), rows)


def gains_sheet(contrast: Contrast) -> Sheet:
    """The differences of a contrast; a column names the other row where it is not the same for all."""
    others = set(contrast.against.values())
    differ = len(others) > 1
    rows = tuple(
        (Cell(row), *([Cell(contrast.against[row])] if differ else []), *map(_gain_cell, gains.values()))
        for row, gains in contrast.gains.items()
    )
    title = contrast.title if differ else f"{contrast.title}: {next(iter(others))}"
    return Sheet(title, ("", *(["against"] if differ else []), *columns_of(contrast.gains).values()), rows)


def filled_sheet(report: Report) -> Sheet | None:
    """The share of pins that have text in each field, or None where the report says nothing of it."""
    if not report.filled:
        return None
    fields = tuple(next(iter(report.filled.values())))
    rows = tuple(
        (Cell(pins), *(Cell(f"{shares[name]:.1%}") for name in fields)) for pins, shares in report.filled.items()
    )
    return Sheet("Pins that have text in a field", ("", *fields), rows)


def section_sheets(section: Section, facts: Mapping[str, Facts]) -> Sequence[Sheet]:
    """All tables of a section."""
    return [figures_sheet(section, facts), *map(gains_sheet, section.contrasts)]


def _figure_cell(figure: Figure) -> Cell:
    return Cell(_shown(figure.value), _interval(figure.ci95, "{:.3f}"))


def _gain_cell(gain: Gain) -> Cell:
    share = "" if gain.share_above is None else f"{gain.share_above:.0%}"
    details = (_interval(gain.ci95, "{:+.3f}"), share)
    return Cell(_shown(gain.difference, "{:+.3f}"), ", ".join(filter(None, details)), gain.is_sure)


def _fact_cells(facts: Facts) -> list[Cell]:
    return [
        Cell(_shown(facts.train_pairs, "{:,}")),
        Cell(_magnitude(facts.parameters)),
        Cell(_shown(facts.pairs_per_s, "{:,.1f}")),
        Cell(_shown(facts.dollars_per_million_pairs, "{:,.2f}")),
    ]


def _magnitude(count: int | None) -> str:
    if count is None:
        return UNDEFINED
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= unit:
            return f"{count / unit:.1f}{name}"
    return str(count)


def _shown(value: float | None, form: str = "{:.3f}") -> str:
    return UNDEFINED if value is None else form.format(value)


def _interval(bounds: tuple[float | None, float | None], form: str) -> str:
    return " to ".join(form.format(bound) for bound in bounds if bound is not None)
