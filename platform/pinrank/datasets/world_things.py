"""What the generated world's pins and queries are about, as numbers: drawing them, their true relevance, their words.

N things of one kind; a thing wants or shows a subject of a topic and up to two facets.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pinrank.datasets.world_words import FACETS, LOCALES, PHRASES, SUBJECTS, TOPICS
from pinrank.errors import SettingsError
from pinrank.text import normalise_query

SOURCES = ("photos", "shop", "articles")
LOCALE_SHARES = (0.5, 0.2, 0.2, 0.1)
NEAR = (0.45, 0.25, 0.15, 0.15)
"""Shares of the pins shown for a query: of its subject, of its topic, of the neighbouring topic, any."""
NUM_TOPICS, NUM_SUBJECTS, NUM_FACETS = len(TOPICS), len(SUBJECTS["en"][0]), len(FACETS["en"])

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Things:
    """What pins and queries are about, as numbers; facets_N2 holds -1 where there is none."""

    locale: Ints
    topic: Ints
    subject: Ints
    facets_N2: Ints
    source: Ints

    def take(self, rows: Ints) -> "Things":
        """The things of these rows, in their order."""
        return Things(*(getattr(self, each.name)[rows] for each in fields(self)))

    def group(self) -> Ints:
        """One number for each language, topic and subject."""
        return (self.locale * NUM_TOPICS + self.topic) * NUM_SUBJECTS + self.subject


def true_levels(queries: Things, of_query: Ints, pins: Things, of_pin: Ints) -> Ints:
    """The true level 1..5 of each (query, pin) pair, both given as row numbers."""
    wanted_N2, held_N2 = queries.facets_N2[of_query], pins.facets_N2[of_pin]
    has_all = ((wanted_N2[:, :, None] == held_N2[:, None, :]).any(axis=2) | (wanted_N2 < 0)).all(axis=1)
    same_topic = queries.topic[of_query] == pins.topic[of_pin]
    same_subject = same_topic & (queries.subject[of_query] == pins.subject[of_pin])
    neighbour = _neighbour(queries.topic[of_query]) == pins.topic[of_pin]
    return np.select([same_subject & has_all, same_subject, same_topic, neighbour], [5, 4, 3, 2], 1)


def _neighbour(topic: Ints) -> Ints:
    return topic ^ 1  # the topics come in pairs


def draw(rng: np.random.Generator, size: int) -> Things:
    """Things about anything, in languages by LOCALE_SHARES, each with two different facets."""
    facets = np.argsort(rng.random((size, NUM_FACETS)), axis=1)[:, :2]
    return Things(
        rng.choice(len(LOCALES), size, p=LOCALE_SHARES),
        rng.integers(NUM_TOPICS, size=size),
        rng.integers(NUM_SUBJECTS, size=size),
        facets,
        rng.integers(len(SOURCES), size=size),
    )


def distinct_queries(rng: np.random.Generator, queries: Things, wanted: int) -> tuple[Things, list[str]]:
    """The first `wanted` queries whose texts differ in more than spelling, and these texts.

    Raises SettingsError when there are not so many.
    """
    phrases = rng.integers(len(PHRASES["en"]), size=len(queries.topic))
    texts = [_query_text(queries, row, phrase) for row, phrase in enumerate(phrases.tolist())]
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        first.setdefault(normalise_query(text), row)
    rows = list(first.values())[:wanted]
    if len(rows) < wanted:
        raise SettingsError(f"num_queries: {len(texts)} draws gave only {len(rows)} different queries. Ask for fewer.")
    return queries.take(np.array(rows)), [texts[row] for row in rows]


def _query_text(queries: Things, row: int, phrase: int) -> str:
    locale = LOCALES[queries.locale[row]]
    words = [FACETS[locale][facet] for facet in queries.facets_N2[row] if facet >= 0]
    return joined(locale, [*words, subject_of(queries, row, locale), PHRASES[locale][phrase]])


def subject_of(things: Things, row: int, locale: str) -> str:
    """The word for a thing's subject."""
    return SUBJECTS[locale][things.topic[row]][things.subject[row]]


def joined(locale: str, words: list[str]) -> str:
    """Words as a text, written without spaces in Japanese; empty ones are left out."""
    return ("" if locale == "ja" else " ").join(word for word in words if word)


def shown_pins(rng: np.random.Generator, queries: Things, of_query: Ints, pins: Things) -> Ints:
    """A pin for each entry: near its query by NEAR, in the query's language unless any pin will do."""
    order = np.argsort(pins.group(), kind="stable")
    sizes = np.bincount(pins.group(), minlength=len(LOCALES) * NUM_TOPICS * NUM_SUBJECTS)
    starts = np.cumsum(sizes) - sizes
    nearness = rng.choice(4, len(of_query), p=NEAR)
    topic = queries.topic[of_query]
    topic = np.where(nearness == 2, _neighbour(topic), topic)
    subject = np.where(nearness == 0, queries.subject[of_query], rng.integers(NUM_SUBJECTS, size=len(of_query)))
    group = (queries.locale[of_query] * NUM_TOPICS + topic) * NUM_SUBJECTS + subject
    near = starts[group] + (rng.random(len(of_query)) * sizes[group]).astype(np.int64)
    anywhere = rng.integers(len(order), size=len(of_query))
    return np.asarray(order[np.where((nearness == 3) | (sizes[group] == 0), anywhere, near)])
