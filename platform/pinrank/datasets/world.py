"""A small Pinterest-like world from a seed, in pinrank's own tables. It proves NOTHING about search quality.

It exists so that every part can run and be tested where no real data is: pins with text in four languages, people
with boards, queries with a Zipf head, impressions, an engagement log, and grades whose truth is known. Relevance is
made of the words themselves, so a model that learns anything does well here; that says nothing about real queries.

A query wants a subject of a topic, perhaps with facets ("rustic green kitchen shelf ideas"). The true level of a pin:
5 the subject with all facets asked for, 4 the subject, 3 another subject of the topic, 2 the neighbouring topic, 1 the
rest.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank.datasets.query_groups import splits_by_text
from pinrank.datasets.world_things import (
    SOURCES,
    Ints,
    Things,
    distinct_queries,
    draw,
    joined,
    shown_pins,
    subject_of,
    true_levels,
)
from pinrank.datasets.world_words import FACETS, LOCALES, PHRASES, TOPICS
from pinrank.keys import hashes, rank_within
from pinrank.levels import LEVELS
from pinrank.parquet import exists, filesystem_of, remove_folder
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, JUDGMENTS, PINS

COUNTRIES = ("US", "BR", "DE", "JP")
CLICK_RATES = (0.01, 0.03, 0.08, 0.25, 0.5)
"""Probability of a click by true level 1..5."""
SAVE_RATE = 0.5
"""Probability that a clicked pin is saved to a board."""
LONG_S = 10.0
MARK = "generated.json"
"""The file that says that the tables beside it are generated."""
START = np.datetime64("2026-01-01T00:00:00", "us")
DAYS = 90
PER_PAGE = 10
NOISE = 0.1
"""Share of the human grades that are one level off."""
NO_TEXT = 0.005
"""Share of the pins that have no text at all, as some real ones have."""


class WorldSettings(BaseModel):
    """The size of a world; the same settings make the same world."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(0, ge=0)
    num_pins: int = Field(3_000, ge=1)
    num_users: int = Field(200, ge=1)
    num_queries: int = Field(400, ge=1)
    judged_per_query: int = Field(16, ge=1)
    num_impressions: int = Field(20_000, ge=0, description=f"rounded down to pages of {PER_PAGE}")


@dataclass(frozen=True)
class World:
    """PINS, JUDGMENTS (relevance: the true level on 0..1; level: a grade of it with noise), IMPRESSIONS, ENGAGEMENT."""

    pins: pa.Table
    judgments: pa.Table
    impressions: pa.Table
    engagement: pa.Table


@dataclass(frozen=True)
class _Views:
    """Who saw which pin for which query (as row numbers), and what came of it; dwell_s matters only after a click."""

    of_query: Ints
    of_pin: Ints
    of_user: Ints
    ts: NDArray[np.datetime64]
    position: Ints
    clicked: NDArray[np.bool_]
    saved: NDArray[np.bool_]
    dwell_s: NDArray[np.float32]


def generate(settings: WorldSettings) -> World:
    """Make a world.

    Raises SettingsError when more distinct queries are asked for than the words can make.
    """
    rng = np.random.default_rng(settings.seed)
    pins, queries = draw(rng, settings.num_pins), draw(rng, 4 * settings.num_queries)
    queries.facets_N2[rng.random(queries.facets_N2.shape) < (0.35, 0.75)] = -1
    queries, texts = distinct_queries(rng, queries, settings.num_queries)
    judgments = _judgments(rng, queries, texts, pins, settings.judged_per_query)
    views = _views(rng, queries, pins, settings)
    impressions = _impressions(views, queries, texts)
    return World(_pins(rng, pins), judgments, impressions, _engagement(views, impressions, pins, settings))


def mark_generated(folder: str, settings: WorldSettings) -> None:
    """Say beside the tables that they are generated, and from which settings."""
    filesystem, inner = filesystem_of(folder)
    filesystem.create_dir(inner, recursive=True)
    with filesystem.open_output_stream(f"{inner}/{MARK}") as stream:
        stream.write(settings.model_dump_json(indent=2).encode())


def forget_generated(folder: str) -> bool:
    """Remove the mark of a generated world, and its engagement log, which no import replaces; say whether it was there.

    Without the mark nothing is touched: a log beside real tables belongs to them.
    """
    if not exists(f"{folder}/{MARK}"):
        return False
    remove_folder(f"{folder}/engagement")
    filesystem, inner = filesystem_of(folder)
    filesystem.delete_file(f"{inner}/{MARK}")
    return True


def _pins(rng: np.random.Generator, pins: Things) -> pa.Table:
    speaks = rng.random(len(pins.topic)) >= NO_TEXT
    names = [name for name in PINS.schema.names if name != "updated_at"]
    rows = [_pin(pins, row, bool(speaks[row])) for row in range(len(pins.topic))]
    columns = {name: [row.get(name, "") for row in rows] for name in names}
    return pa.table({**columns, "updated_at": _times(rng, len(rows))}, schema=PINS.schema)


def _pin(pins: Things, row: int, speaks: bool) -> dict[str, object]:
    source, locale = SOURCES[pins.source[row]], LOCALES[pins.locale[row]]
    topic, subject = TOPICS[locale][pins.topic[row]], subject_of(pins, row, locale)
    facets = [FACETS[locale][facet] for facet in pins.facets_N2[row]]
    english = [*(FACETS["en"][facet] for facet in pins.facets_N2[row]), subject_of(pins, row, "en")]
    pin: dict[str, object] = {
        "pin_id": f"pin:{row}",
        "source": source,
        "locale": locale,
        "board_titles": [],
        "image_url": f"https://pins.example/{row}.png",
    }
    if speaks:
        pin["title"] = joined(locale, [facets[0], subject])
    if speaks and source != "shop":
        pin["caption"] = (
            f"a photo of {' '.join(english)}"  # captioning models speak English whatever the pin's language
        )
    if speaks and source == "shop":
        pin["description"] = joined(locale, [*facets, subject, topic])
    if speaks and source != "photos":
        pin["link_title"] = joined(locale, [topic, PHRASES[locale][row % len(PHRASES[locale])]])
        pin["link_description"] = joined(locale, [subject, topic, *facets])
        pin["link_url"] = f"https://{source}.example/{row}"
    return pin


def _judgments(
    rng: np.random.Generator, queries: Things, texts: list[str], pins: Things, judged_per_query: int
) -> pa.Table:
    of_query = np.repeat(np.arange(len(texts)), judged_per_query)
    of_pin = shown_pins(rng, queries, of_query, pins)
    of_query, of_pin = np.unique(np.stack([of_query, of_pin]), axis=1)
    truth = true_levels(queries, of_query, pins, of_pin)
    slips = rng.choice([-1, 0, 1], size=len(truth), p=[NOISE / 2, 1 - NOISE, NOISE / 2])
    split = splits_by_text(texts)
    columns = {
        "judgment_id": [f"judgment:{query}:{pin}" for query, pin in zip(of_query, of_pin, strict=True)],
        "query_id": [f"query:{query}" for query in of_query],
        "query": [texts[query] for query in of_query],
        "query_locale": [LOCALES[locale] for locale in queries.locale[of_query]],
        "pin_id": [f"pin:{pin}" for pin in of_pin],
        "level": np.clip(truth + slips, 1, 5).astype(np.int8),
        "relevance": ((truth - 1) / 4).astype(np.float32),
        "annotator_id": ["aggregate"] * len(truth),
        "source": [SOURCES[source] for source in queries.source[of_query]],
        "pair_type": [""] * len(truth),
        "split": [split[query] for query in of_query],
    }
    return pa.table(columns, schema=JUDGMENTS.schema)


def _views(rng: np.random.Generator, queries: Things, pins: Things, settings: WorldSettings) -> _Views:
    num_pages = settings.num_impressions // PER_PAGE
    popularity = 1.0 / np.arange(1, len(queries.topic) + 1)
    page = np.repeat(np.arange(num_pages), PER_PAGE)
    of_query = rng.choice(len(popularity), num_pages, p=popularity / popularity.sum())[page]
    of_pin = shown_pins(rng, queries, of_query, pins)
    levels = true_levels(queries, of_query, pins, of_pin)
    order = np.argsort(np.argsort(rng.random(len(page)) * len(LEVELS) - levels))  # a ranker that is better than chance
    clicked = rng.random(len(page)) < np.array(CLICK_RATES)[levels - 1]
    return _Views(
        of_query=of_query,
        of_pin=of_pin,
        of_user=rng.integers(settings.num_users, size=num_pages)[page],
        ts=np.sort(_times(rng, num_pages))[page],
        position=rank_within(page, order.astype(np.uint64)) + 1,
        clicked=clicked,
        saved=clicked & (rng.random(len(page)) < SAVE_RATE),
        dwell_s=rng.exponential(4.0 * levels).astype(np.float32),
    )


def _impressions(views: _Views, queries: Things, texts: list[str]) -> pa.Table:
    locale = queries.locale[views.of_query]
    columns = {
        "impression_id": [f"impression:{row}" for row in range(len(locale))],
        "ts": views.ts,
        "query": [texts[query] for query in views.of_query],
        "query_locale": [LOCALES[each] for each in locale],
        "country": [COUNTRIES[each] for each in locale],
        "pin_id": [f"pin:{pin}" for pin in views.of_pin],
        "position": views.position.astype(np.int32),
        "actions": [
            ["click"] * c + ["save"] * s for c, s in zip(views.clicked.tolist(), views.saved.tolist(), strict=True)
        ],
        "source": [SOURCES[source] for source in queries.source[views.of_query]],
    }
    return pa.table(columns, schema=IMPRESSIONS.schema)


def _engagement(views: _Views, impressions: pa.Table, pins: Things, settings: WorldSettings) -> pa.Table:
    users = [f"{user:016x}" for user in hashes([f"user {user}" for user in range(settings.num_users)], settings.seed)]
    clicks, saves = np.flatnonzero(views.clicked), np.flatnonzero(views.saved)
    rows = np.r_[clicks, saves]
    shown = impressions.take(rows)
    boards = [_board(pins, pin, user) for pin, user in zip(views.of_pin[saves], views.of_user[saves], strict=True)]
    dwell_s = views.dwell_s[clicks].tolist()
    columns = {
        "user_hash": [users[user] for user in views.of_user[rows]],
        "action": ["long_click" if stay_s >= LONG_S else "click" for stay_s in dwell_s] + ["save"] * len(saves),
        "board_title": [None] * len(clicks) + boards,
        "dwell_s": dwell_s + [None] * len(saves),
    }
    taken = {name: columns[name] if name in columns else shown.column(name) for name in ENGAGEMENT.schema.names}
    return pa.table(taken, schema=ENGAGEMENT.schema).sort_by("ts")


def _board(pins: Things, pin: int, user: int) -> str:
    """People name their boards after the topic, in their own way."""
    locale = LOCALES[pins.locale[pin]]
    title = joined(locale, [TOPICS[locale][pins.topic[pin]], PHRASES[locale][user % len(PHRASES[locale])]])
    return title.title() if user % 2 else title


def _times(rng: np.random.Generator, size: int) -> NDArray[np.datetime64]:
    return np.asarray(START + rng.integers(DAYS * 86_400_000_000, size=size).astype("timedelta64[us]"))
