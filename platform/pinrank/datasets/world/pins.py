"""The generated world's pins as rows, in the words of their language; each piece of them from its bounds alone."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets.world.catalogue import Catalogue
from pinrank.datasets.world.columns import numbered, taken, worded
from pinrank.datasets.world.pictures import path_of
from pinrank.datasets.world.settings import DAY_US, START, rng_of
from pinrank.datasets.world.things import SOURCES, Things, joined, subject_of
from pinrank.datasets.world.words import FACETS, LOCALES, PHRASES, TOPICS
from pinrank.tables import PINS

DAYS = 90
"""Pins were last changed in so many days before the logs begin."""
NO_TEXT = 0.005
"""Share of the pins that have no text at all, as some real ones have."""


def pins_table(catalogue: Catalogue, start: int, stop: int) -> pa.Table:
    """PINS of the rows start..stop; the first `images` of all have the path of a picture."""
    rng = rng_of(catalogue.settings.seed, "pin texts", start)
    pins, number = catalogue.pins.take(slice(start, stop)), np.arange(start, stop)
    ids = numbered("pin:", number)
    speaks = pa.array(rng.random(len(pins)) >= NO_TEXT)
    source, kind = taken(SOURCES, pins.source), pins.kind()

    def said(text: pa.Array, *, by: tuple[str, ...]) -> pa.Array:
        return pc.if_else(pc.and_(speaks, pc.is_in(source, pa.array(by))), text, "")

    phrase = number % len(PHRASES["en"])
    page = worded(pins.group() * len(PHRASES["en"]) + phrase, lambda row: _page_title(pins, row, phrase[row]))
    linked = ("shop", "articles")
    changed_us = rng.integers(DAYS * DAY_US, size=len(pins)).astype("timedelta64[us]")
    columns = {
        "pin_id": ids,
        "source": source,
        "locale": taken(LOCALES, pins.locale),
        "title": said(worded(kind, lambda row: _title(pins, row)), by=SOURCES),
        "description": said(worded(kind, lambda row: _description(pins, row)), by=("shop",)),
        "caption": said(worded(kind, lambda row: _caption(pins, row)), by=("photos", "articles")),
        "board_titles": pa.array([[]] * len(pins), PINS.schema.field("board_titles").type),
        "link_title": said(page, by=linked),
        "link_description": said(worded(kind, lambda row: _page_text(pins, row)), by=linked),
        "link_url": said(numbered("https://", source, ".example/", number), by=linked),
        "image_url": [path_of(row) if row < catalogue.settings.images else "" for row in number.tolist()],
        "updated_at": START - changed_us,
    }
    return pa.table(columns, schema=PINS.schema)


def _title(pins: Things, row: int) -> str:
    locale = LOCALES[pins.locale[row]]
    return joined(locale, [*_facets(pins, row, locale)[:1], subject_of(pins, row, locale)])


def _description(pins: Things, row: int) -> str:
    locale = LOCALES[pins.locale[row]]
    return joined(locale, [*_facets(pins, row, locale), subject_of(pins, row, locale), _topic(pins, row, locale)])


def _caption(pins: Things, row: int) -> str:
    """Captioning models speak English whatever the pin's language."""
    return f"a photo of {' '.join([*_facets(pins, row, 'en'), subject_of(pins, row, 'en')])}"


def _page_title(pins: Things, row: int, phrase: int) -> str:
    locale = LOCALES[pins.locale[row]]
    return joined(locale, [_topic(pins, row, locale), PHRASES[locale][phrase]])


def _page_text(pins: Things, row: int) -> str:
    locale = LOCALES[pins.locale[row]]
    return joined(locale, [subject_of(pins, row, locale), _topic(pins, row, locale), *_facets(pins, row, locale)])


def _facets(pins: Things, row: int, locale: str) -> list[str]:
    return [FACETS[locale][facet] for facet in pins.facets_N2[row]]


def _topic(pins: Things, row: int, locale: str) -> str:
    return TOPICS[locale][pins.topic[row]]
