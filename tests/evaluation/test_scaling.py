"""The rows of the scale, and the curves of its page."""

import pytest

from pinrank.evaluation.comparison import HEADINGS, Figure, Report, Section
from pinrank.evaluation.curve import Point, curve_chart
from pinrank.evaluation.scaling import HUMAN_ONLY, Step, steps, to_page
from tests.evaluation.shown import EVIL
from tests.evaluation.test_page import Reader


@pytest.mark.parametrize(
    ("num_labels", "found", "short"),
    [
        (1000, [Step("1x", 10), Step("3x", 30), Step("100x", 1000)], []),
        (999, [Step("1x", 10), Step("3x", 30), Step("1e+02x, all", 999)], [100]),
        (25, [Step("1x", 10), Step("2.5x, all", 25)], [3, 100]),
        (30, [Step("1x", 10), Step("3x", 30)], [100]),
        (4, [Step("0.4x, all", 4)], [1, 3, 100]),
    ],
)
def test_the_rows_are_the_multiples_that_there_are_labels_for(
    num_labels: int, found: list[Step], short: list[int]
) -> None:
    assert steps((100, 1, 3), 10, num_labels) == (found, short)


def test_a_curve_shows_points_in_their_order_a_band_and_what_they_are_held_against() -> None:
    points = [
        Point(count, f"{count // 10}x", Figure(value, (value - 0.1, value + 0.1)))
        for count, value in ((10, 0.5), (100, 0.7))
    ]
    reader = Reader()
    reader.feed(curve_chart("nDCG@20", points, HUMAN_ONLY, Figure(0.4, (0.3, 0.5))))
    circles = [attrs for tag, attrs in reader.tags if tag == "circle"]
    assert float(circles[0]["cx"] or 0) < float(circles[1]["cx"] or 0)
    assert float(circles[0]["cy"] or 0) > float(circles[1]["cy"] or 0)
    assert {"polygon", "polyline", "rect"} <= {tag for tag, _ in reader.tags}
    assert HUMAN_ONLY in reader.texts and "100" in reader.texts


def test_undefined_figures_are_left_out() -> None:
    unknown = Figure(None, (None, None))
    chart = curve_chart("accuracy", [Point(10, "1x", unknown)], HUMAN_ONLY, unknown)
    assert "circle" not in chart and "polyline" not in chart and 'class="level"' not in chart


def test_the_page_has_a_curve_a_metric_in_every_section() -> None:
    figures = {row: dict.fromkeys(HEADINGS, Figure(0.5, (0.4, 0.6))) for row in (HUMAN_ONLY, "1x", "3x")}
    section = Section(EVIL, 100, 20, figures, (), with_facts=True)
    page = to_page(Report("scale", (section,), {}), "{}", {"1x": 10, "3x": 30})
    reader = Reader()
    reader.feed(page)
    labels = [attrs["aria-label"] for tag, attrs in reader.tags if tag == "svg"]
    assert sum("by number of labels" in str(label) for label in labels) == len(HEADINGS)
    assert "script" not in {tag for tag, _ in reader.tags} and not reader.open
