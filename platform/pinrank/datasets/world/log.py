"""The generated world's daily logs, chunk by chunk: each from the catalogue and its own number alone.

A page of PER_PAGE pins is shown to a user for a query; the user clicks by the true level, and saves to boards of their
own. Letters: P pages, R = P * PER_PAGE rows, E actions.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.datasets.world.catalogue import Catalogue
from pinrank.datasets.world.columns import numbered, taken, worded
from pinrank.datasets.world.settings import DAY_US, PER_PAGE, START, WorldSettings, rng_of
from pinrank.datasets.world.things import NUM_GROUPS, SOURCES, Ints, Things, joined, shown_pins, subject_of, true_levels
from pinrank.datasets.world.words import LOCALES, PHRASES, TOPICS
from pinrank.levels import NUM_LEVELS
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, TRUTH

COUNTRIES = ("US", "BR", "DE", "JP")
CLICK_RATES = (0.01, 0.03, 0.08, 0.25, 0.5)
"""Probability of a click by true level 1..5."""
SAVE_RATE = 0.5
"""Probability that a clicked pin is saved to a board."""
LONG_S = 10.0
ACTIONS: tuple[list[str], ...] = ([], ["click"], ["click", "save"])
NAMINGS = len(PHRASES["en"])
"""Ways in which people name their boards; every third of them keeps one a subject, the others one a topic."""


@dataclass(frozen=True)
class Chunk:
    """Pages first_page..stop_page of all, shown in a stretch of one day; `part` counts the day's chunks."""

    number: int
    day: int
    part: int
    first_page: int
    stop_page: int
    from_us: int
    to_us: int

    @property
    def file(self) -> str:
        """Where the chunk's rows lie in the folder of a table: a folder a day."""
        return f"{START.astype('datetime64[D]') + self.day}/part-{self.part:05d}.parquet"


@dataclass(frozen=True)
class Log:
    """IMPRESSIONS, the ENGAGEMENT that followed, by time, and the TRUTH, which has a row for each impression."""

    impressions: pa.Table
    engagement: pa.Table
    truth: pa.Table


@dataclass(frozen=True)
class _Views:
    """Who saw which pin for which query (as row numbers), and what came of it; dwell_s matters only after a click."""

    of_query_R: Ints
    of_pin_R: Ints
    of_user_R: Ints
    ts_R: NDArray[np.datetime64]
    levels_R: NDArray[np.int8]
    positions_R: Ints
    clicked_R: NDArray[np.bool_]
    saved_R: NDArray[np.bool_]
    dwell_s_R: NDArray[np.float32]


def chunks(settings: WorldSettings) -> list[Chunk]:
    """The chunks of all days, none with more than rows_per_chunk rows; an empty one when there are no pages at all."""
    most, num_pages = settings.rows_per_chunk // PER_PAGE, settings.num_impressions // PER_PAGE
    found: list[Chunk] = []
    for day, (first, stop) in enumerate(pairwise(_cut(0, num_pages, settings.num_days))):
        num_parts = -(-(stop - first) // most)
        pages = pairwise(_cut(first, stop, num_parts))
        times = pairwise(_cut(day * DAY_US, (day + 1) * DAY_US, num_parts))
        for part, (page, time_us) in enumerate(zip(pages, times, strict=True)):
            found.append(Chunk(len(found), day, part, *page, *time_us))
    return found or [Chunk(0, 0, 0, 0, 0, 0, DAY_US)]


def _cut(start: int, stop: int, num_parts: int) -> list[int]:
    """The bounds of so many parts of about equal size."""
    return [start + (stop - start) * part // num_parts for part in range(num_parts + 1)] if num_parts else []


def log_of(catalogue: Catalogue, chunk: Chunk) -> Log:
    """What happened in a chunk; the same whatever came before."""
    views = _views(rng_of(catalogue.settings.seed, "log", chunk.number), catalogue, chunk)
    impressions = _impressions(views, catalogue, chunk.first_page * PER_PAGE)
    pairs = {name: impressions.column(name) for name in ("impression_id", "query", "pin_id")}
    truth = pa.table({**pairs, "level": views.levels_R}, schema=TRUTH.schema)
    return Log(impressions, _engagement(views, catalogue, impressions), truth)


def _views(rng: np.random.Generator, catalogue: Catalogue, chunk: Chunk) -> _Views:
    queries, pins = catalogue.queries, catalogue.pins
    num_pages = chunk.stop_page - chunk.first_page
    page_R = np.repeat(np.arange(num_pages), PER_PAGE)
    of_query_R = np.searchsorted(catalogue.cumulated_Q, rng.random(num_pages), side="right")[page_R]
    of_pin_R = shown_pins(rng, queries, of_query_R, catalogue.shelves)
    levels_R = true_levels(queries, of_query_R, pins, of_pin_R)
    clicked_R = rng.random(len(page_R)) < np.array(CLICK_RATES)[levels_R - 1]
    ts_us_P = np.sort(rng.integers(chunk.from_us, chunk.to_us, size=num_pages))
    return _Views(
        of_query_R=of_query_R,
        of_pin_R=of_pin_R,
        of_user_R=rng.integers(len(catalogue.user_hashes), size=num_pages)[page_R],
        ts_R=START + ts_us_P.astype("timedelta64[us]")[page_R],
        levels_R=levels_R,
        positions_R=_ranked(rng, levels_R),
        clicked_R=clicked_R,
        saved_R=clicked_R & (rng.random(len(page_R)) < SAVE_RATE),
        dwell_s_R=rng.exponential(4.0 * levels_R).astype(np.float32),
    )


def _ranked(rng: np.random.Generator, levels_R: NDArray[np.int8]) -> Ints:
    """The position 1, 2, ... of each row on its page, by a ranker that is better than chance."""
    noisy_R = rng.random(len(levels_R)) * NUM_LEVELS - levels_R
    order_PK = np.argsort(noisy_R.reshape(-1, PER_PAGE), axis=1)
    return np.argsort(order_PK, axis=1).ravel() + 1


def _impressions(views: _Views, catalogue: Catalogue, first_row: int) -> pa.Table:
    locale_R = catalogue.queries.locale[views.of_query_R]
    done = pa.array(ACTIONS, IMPRESSIONS.schema.field("actions").type)
    columns = {
        "impression_id": numbered("impression:", first_row + np.arange(len(locale_R))),
        "ts": views.ts_R,
        "query": taken(catalogue.texts_Q, views.of_query_R),
        "query_locale": taken(LOCALES, locale_R),
        "country": taken(COUNTRIES, locale_R),
        "pin_id": numbered("pin:", views.of_pin_R),
        "position": views.positions_R.astype(np.int32),
        "actions": done.take(pa.array(views.clicked_R.astype(np.int8) + views.saved_R)),
        "source": taken(SOURCES, catalogue.queries.source[views.of_query_R]),
    }
    return pa.table(columns, schema=IMPRESSIONS.schema)


def _engagement(views: _Views, catalogue: Catalogue, impressions: pa.Table) -> pa.Table:
    clicks, saves = np.flatnonzero(views.clicked_R), np.flatnonzero(views.saved_R)
    rows_E = np.r_[clicks, saves]
    saved_E = np.arange(len(rows_E)) >= len(clicks)
    by_time_E = np.argsort(views.ts_R[rows_E], kind="stable")
    rows_E, saved_E = rows_E[by_time_E], saved_E[by_time_E]
    dwell_s_E, saved = views.dwell_s_R[rows_E], pa.array(saved_E)
    pins = catalogue.pins.take(views.of_pin_R[rows_E])
    columns = {
        "user_hash": taken(catalogue.user_hashes, views.of_user_R[rows_E]),
        "action": taken(("click", "long_click", "save"), np.where(saved_E, 2, dwell_s_E >= LONG_S)),
        "board_title": pc.if_else(saved, _boards(pins, views.of_user_R[rows_E]), None),
        "dwell_s": pc.if_else(saved, None, pa.array(dwell_s_E)),
    }
    shown = impressions.take(pa.array(rows_E))
    chosen = [columns[name] if name in columns else shown.column(name) for name in ENGAGEMENT.schema.names]
    return pa.table(chosen, schema=ENGAGEMENT.schema)


def _boards(pins: Things, of_user_E: Ints) -> pa.Array:
    """The title of the user's board for each pin; a user and a title are one board."""
    naming_E = of_user_E % NAMINGS
    return worded(naming_E * NUM_GROUPS + pins.group(), lambda row: _board(pins, row, int(naming_E[row])))


def _board(pins: Things, row: int, naming: int) -> str:
    """People name their boards after the topic, some after the subject, in their own way."""
    locale = LOCALES[pins.locale[row]]
    about = subject_of(pins, row, locale) if naming % 3 == 0 else TOPICS[locale][pins.topic[row]]
    title = joined(locale, [about, PHRASES[locale][naming]])
    return title.title() if naming % 2 else title
