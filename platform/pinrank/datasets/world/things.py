"""What the generated world's pins and queries are about, as numbers: drawing them, their true relevance, their words.

N things of one kind, R rows of pairs, G groups; a thing wants or shows a subject of a topic and up to two facets.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pinrank.datasets.world.words import FACETS, LOCALES, PHRASES, SUBJECTS, TOPICS
from pinrank.errors import SettingsError
from pinrank.text import normalise_query

SOURCES = ("photos", "shop", "articles")
LOCALE_SHARES = (0.5, 0.2, 0.2, 0.1)
NEAR = (0.45, 0.25, 0.15, 0.15)
"""Shares of the pins shown for a query: of its subject, of its topic, of the neighbouring topic, any."""
NUM_TOPICS, NUM_SUBJECTS, NUM_FACETS = len(TOPICS["en"]), len(SUBJECTS["en"][0]), len(FACETS["en"])
NUM_GROUPS = len(LOCALES) * NUM_TOPICS * NUM_SUBJECTS

Ints = NDArray[np.int64]
Codes = NDArray[np.int16]
"""Small numbers in a small type: a world may have millions of pins."""


@dataclass(frozen=True)
class Things:
    """What pins and queries are about, as numbers; facets_N2 holds -1 where there is none."""

    locale: Codes
    topic: Codes
    subject: Codes
    facets_N2: Codes
    source: Codes

    def __len__(self) -> int:
        return len(self.topic)

    def take(self, rows: Ints | slice) -> "Things":
        """The things of these rows, in their order."""
        return Things(*(getattr(self, each.name)[rows] for each in fields(self)))

    def group(self) -> Codes:
        """One number for each language, topic and subject."""
        return group_of(self.locale, self.topic, self.subject)

    def kind(self) -> Ints:
        """One number for each difference that shows in a pin's text."""
        facets = self.facets_N2[:, 0].astype(np.int64) * NUM_FACETS + self.facets_N2[:, 1]
        return (facets * NUM_GROUPS + self.group()) * len(SOURCES) + self.source


def group_of(locale: Codes, topic: Codes, subject: Codes) -> Codes:
    """One number for each language, topic and subject."""
    return np.asarray((locale * NUM_TOPICS + topic) * NUM_SUBJECTS + subject, dtype=np.int16)


def true_levels(queries: Things, of_query_R: Ints, pins: Things, of_pin_R: Ints) -> NDArray[np.int8]:
    """The true level 1..5 of each (query, pin) pair, both given as row numbers."""
    wanted_R2, held_R2 = queries.facets_N2[of_query_R], pins.facets_N2[of_pin_R]
    has_all = ((wanted_R2[:, :, None] == held_R2[:, None, :]).any(axis=2) | (wanted_R2 < 0)).all(axis=1)
    same_topic = queries.topic[of_query_R] == pins.topic[of_pin_R]
    same_subject = same_topic & (queries.subject[of_query_R] == pins.subject[of_pin_R])
    neighbour = _neighbour(queries.topic[of_query_R]) == pins.topic[of_pin_R]
    return np.select([same_subject & has_all, same_subject, same_topic, neighbour], [5, 4, 3, 2], 1).astype(np.int8)


def _neighbour(topic: Codes) -> Codes:
    return topic ^ 1  # the topics come in pairs


def draw(rng: np.random.Generator, size: int) -> Things:
    """Things about anything, in languages by LOCALE_SHARES, each with two different facets."""
    first = _codes(rng, NUM_FACETS, size)
    second = (first + 1 + _codes(rng, NUM_FACETS - 1, size)) % NUM_FACETS
    return Things(
        rng.choice(len(LOCALES), size, p=LOCALE_SHARES).astype(np.int16),
        _codes(rng, NUM_TOPICS, size),
        _codes(rng, NUM_SUBJECTS, size),
        np.stack([first, second], axis=1),
        _codes(rng, len(SOURCES), size),
    )


def _codes(rng: np.random.Generator, below: int, size: int) -> Codes:
    return rng.integers(below, size=size, dtype=np.int16)


def distinct_queries(rng: np.random.Generator, queries: Things, wanted: int) -> tuple[Things, list[str]]:
    """The first `wanted` queries whose texts differ in more than spelling, and these texts.

    Raises SettingsError when there are not so many.
    """
    phrases = rng.integers(len(PHRASES["en"]), size=len(queries))
    first: dict[str, tuple[int, str]] = {}
    for row, phrase in enumerate(phrases.tolist()):
        text = _query_text(queries, row, phrase)
        first.setdefault(normalise_query(text), (row, text))
    found = list(first.values())[:wanted]
    if len(found) < wanted:
        raise SettingsError(
            f"num_queries: {len(queries)} draws gave only {len(found)} different queries. Ask for fewer."
        )
    return queries.take(np.array([row for row, _ in found])), [text for _, text in found]


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


@dataclass(frozen=True)
class Shelves:
    """Pins by their group: those of group g are `order_N[starts_G[g]:][:sizes_G[g]]`."""

    order_N: Ints
    starts_G: Ints
    sizes_G: Ints


def shelved(pins: Things) -> Shelves:
    """The pins, sorted by group."""
    sizes_G = np.bincount(pins.group(), minlength=NUM_GROUPS)
    return Shelves(np.argsort(pins.group(), kind="stable"), np.cumsum(sizes_G) - sizes_G, sizes_G)


def shown_pins(rng: np.random.Generator, queries: Things, of_query_R: Ints, shelves: Shelves) -> Ints:
    """A pin for each entry: near its query by NEAR, in the query's language unless any pin will do."""
    size = len(of_query_R)
    nearness = rng.choice(4, size, p=NEAR)
    topic = queries.topic[of_query_R]
    topic = np.where(nearness == 2, _neighbour(topic), topic)
    subject = np.where(nearness == 0, queries.subject[of_query_R], _codes(rng, NUM_SUBJECTS, size))
    group = group_of(queries.locale[of_query_R], topic, subject)
    near = shelves.starts_G[group] + (rng.random(size) * shelves.sizes_G[group]).astype(np.int64)
    anywhere = rng.integers(len(shelves.order_N), size=size)
    far = (nearness == 3) | (shelves.sizes_G[group] == 0)
    return np.asarray(shelves.order_N[np.where(far, anywhere, near)])
