"""pinrank.evaluation.page and .chart: one page that needs nothing beside itself."""

import json
import re
from html.parser import HTMLParser

import pytest

from pinrank.evaluation.chart import WIDTH, interval_chart, ticks
from pinrank.evaluation.comparison import HEADINGS, Figure
from pinrank.evaluation.page import to_page
from tests.evaluation.shown import EVIL, small_report

VOID = {"meta", "line", "circle"}


class Reader(HTMLParser):
    """Collects tags and text, and fails where an element is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return to_page(small_report(), json.dumps({"settings": {"name": EVIL}}))


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_the_page_refers_to_nothing_outside_it(page: str) -> None:
    assert not re.search(r"https?:|//[a-z]|url\(|@import|\b(src|href)=", page)
    assert {tag for tag, _ in read(page).tags}.isdisjoint({"script", "link", "img", "iframe", "object"})


def test_names_are_text_and_never_markup(page: str) -> None:
    reader = read(page)
    assert "<script" not in page
    assert any(text == EVIL for text in reader.texts)
    assert any(json.dumps(EVIL) in text for text in reader.texts)  # in the record of settings


def test_every_metric_has_a_chart_in_every_section(page: str) -> None:
    charts = [attributes["aria-label"] for tag, attributes in read(page).tags if tag == "svg"]
    assert charts == [f"{heading} by row, with 95% intervals" for heading in HEADINGS.values()] * 2


def test_a_chart_has_a_dot_a_row_inside_its_width_and_none_for_what_is_undefined() -> None:
    figures = {
        "one": Figure(0.5, (0.4, 0.6)),
        "no interval": Figure(0.9, (None, None)),
        "undefined": Figure(None, (None, None)),
    }
    tags = read(interval_chart("accuracy", figures)).tags
    places = [float(attributes["cx"] or 0) for tag, attributes in tags if tag == "circle"]
    assert len(places) == 2 and 0 < places[0] < places[1] < WIDTH
    assert len([1 for _, attributes in tags if attributes.get("class") == "interval"]) == 1
    read(interval_chart("accuracy", {"undefined": Figure(None, (None, None))}))
    read(interval_chart("accuracy", {"same": Figure(1.0, (1.0, 1.0))}))


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 1.0, ["0.0", "0.5", "1.0"]),
        (0.601, 0.652, ["0.62", "0.64"]),
        (-0.3, 0.3, ["-0.2", "0.0", "0.2"]),
        (0.9991, 0.9999, ["0.9995"]),
        (12.0, 40.0, ["20", "30", "40"]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, labels: list[str]) -> None:
    found = ticks(low, high)
    assert [label for _, label in found] == labels
    assert all(low - 1e-9 <= place <= high + 1e-9 for place, _ in found)
