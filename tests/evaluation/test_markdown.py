"""pinrank.evaluation.markdown: tables whose columns match, whatever the names hold."""

import re

from pinrank.evaluation.comparison import HEADINGS
from pinrank.evaluation.markdown import to_markdown
from pinrank.evaluation.sheets import FACT_HEADINGS
from tests.evaluation.shown import small_report


def tables(text: str) -> list[list[list[str]]]:
    """Every table as rows of cells."""
    blocks = re.findall(r"(?:^\|.*\|$\n?)+", text, flags=re.MULTILINE)
    return [
        [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        for block in blocks
    ]


def test_every_row_has_the_columns_of_its_table() -> None:
    found = tables(to_markdown(small_report()))
    assert len(found) == 5  # figures, two contrasts, figures of the second section, filled fields
    for table in found:
        assert {len(row) for row in table} == {len(table[0])}
    assert found[0][0] == ["", *HEADINGS.values(), *FACT_HEADINGS]
    assert found[2][0] == ["", "against", *HEADINGS.values()]
    assert found[3][0] == ["", *HEADINGS.values()]


def test_cells_show_figures_intervals_and_what_is_sure() -> None:
    figures, contrast, *_, filled = tables(to_markdown(small_report()))
    assert figures[2][:2] == ["first", "0.750 (0.700 to 0.800)"]
    assert figures[2][-4:] == ["2,000", "22.7M", "123.5", "0.23"]
    assert figures[3][-4:] == ["-"] * 4 and figures[3][5] == "-"
    assert contrast[2][1] == "**-0.250** (-0.300 to -0.200, 0%)"
    assert contrast[2][-1] == "+0.010 (-0.020 to +0.040, 70%)"
    assert filled[2:] == [["trained on", "50.0%", "0.0%"], ["measured on dev", "100.0%", "0.0%"]]


def test_names_open_no_tag() -> None:
    text = to_markdown(small_report())
    assert "<script" not in text and "<b>" not in text
    assert '- a note on &lt;script>"a\\|b"&lt;/script>' in text
