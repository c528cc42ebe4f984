"""Pins that show one image in several languages, and pairs of a query with a pin that it has no word in common with.

A grade given for the pin in the query's language also holds for its siblings in other languages. A log's candidates
were found by their words, so few of them are near the query in meaning alone: here pins are chosen for a query by the
cosine of a pretrained encoder, and stand in for the log.

Letters: Q queries, P pins, D vector.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pinrank.keys import hashes
from pinrank.text import pair_key

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Pin = Mapping[str, str]
Encode = Callable[[Sequence[str]], Floats]
"""Texts to vectors of unit length, float32[N, D]."""

NEAR = 60
"""A pin among so many nearest is near: it differs from the query in what a grade of 2 to 4 is about."""


@dataclass(frozen=True)
class WeakPair:
    """A query and a pin to be graded."""

    query: str
    query_locale: str
    pin_id: str


@dataclass(frozen=True)
class SameImage:
    """Which pins show the same image, and in which locale each of them is."""

    image_of: Mapping[str, str]
    locale_of: Mapping[str, str]
    showing: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, pins: Sequence[Mapping[str, Any]]) -> "SameImage":
        """pins: pin_id, locale, image_url; one without an image has no siblings."""
        image_of = {pin["pin_id"]: pin["image_url"] for pin in pins if pin["image_url"]}
        showing = defaultdict(list)
        for pin_id in sorted(image_of):
            showing[image_of[pin_id]].append(pin_id)
        return cls(image_of, {pin["pin_id"]: pin["locale"] for pin in pins}, showing)

    def siblings(self, pin_id: str) -> list[str]:
        """The other pins that show a pin's image, by id."""
        return [other for other in self.showing.get(self.image_of.get(pin_id, ""), ()) if other != pin_id]

    def foreign(self, pin_id: str) -> list[str]:
        """The siblings in other locales than the pin's, by id."""
        return [other for other in self.siblings(pin_id) if self.locale_of[other] != self.locale_of[pin_id]]

    def read_for(self, pair: WeakPair) -> str:
        """The pin to be read for a pair: its own, or its first sibling in the query's locale where it is not in it."""
        if self.locale_of.get(pair.pin_id) == pair.query_locale:
            return pair.pin_id
        in_locale = (other for other in self.siblings(pair.pin_id) if self.locale_of[other] == pair.query_locale)
        return next(in_locale, pair.pin_id)


def asking(pairs: Sequence[WeakPair], pins: Mapping[str, Pin], same: SameImage) -> dict[str, list[str]]:
    """By locale, the queries of pairs with a pin in their locale whose source has pins with foreign siblings."""
    with_siblings = {pin["source"] for pin_id, pin in pins.items() if same.foreign(pin_id)}
    found: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        if same.locale_of.get(pair.pin_id) == pair.query_locale and pins[pair.pin_id]["source"] in with_siblings:
            found[pair.query_locale].add(pair.query)
    return {locale: sorted(queries) for locale, queries in sorted(found.items())}


def near_pins(vectors_QD: Floats, pins_PD: Floats, keys_Q: Sequence[int], per_query: int) -> Iterator[Ints]:
    """For each query the rows of `per_query` (at most NEAR) pins near it by cosine; vectors are of unit length.

    Half of them are the nearest, one is any pin that is not among the NEAR, and the others are near. What is left to
    chance depends on the query's key alone.
    """
    for vector_D, key in zip(vectors_QD, keys_Q, strict=True):
        rng = np.random.default_rng(key)
        order_P = np.argsort(-(pins_PD @ vector_D), kind="stable")
        nearest, near, far = np.split(order_P, [per_query // 2, max(NEAR, per_query // 2)])
        num_far = min(1, per_query - len(nearest), len(far))
        num_near = min(per_query - len(nearest) - num_far, len(near))
        drawn = (rng.choice(near, num_near, replace=False), rng.choice(far, num_far, replace=False))
        yield np.concatenate([nearest, *drawn])


def in_other_locales(
    pairs: Sequence[WeakPair], pins: Mapping[str, Pin], same: SameImage, encode: Encode, per_query: int, seed: int
) -> list[WeakPair]:
    """Pairs of the queries that are `asking` with `per_query` pins in other locales than theirs, at most.

    A pair is made for each of `with_siblings_abroad`: with one of its pin's foreign siblings.
    """
    near = with_siblings_abroad(pairs, pins, same, encode, per_query, seed)
    return [replace(pair, pin_id=chosen(same.foreign(pair.pin_id), pair.query, seed)) for pair in near]


def with_siblings_abroad(
    pairs: Sequence[WeakPair], pins: Mapping[str, Pin], same: SameImage, encode: Encode, per_query: int, seed: int
) -> list[WeakPair]:
    """Pairs of the queries that are `asking` with the pins that `near_pins` chooses among those of their locale that
    have foreign siblings. pins: source and text by id; one without text is not looked at.
    """
    found: list[WeakPair] = []
    for locale, queries in asking(pairs, pins, same).items():
        pin_ids = [pin_id for pin_id in pins if pins[pin_id]["text"] and same.foreign(pin_id)]
        pin_ids = [pin_id for pin_id in pin_ids if same.locale_of[pin_id] == locale]
        keys_Q = hashes(queries, seed).tolist()
        near = near_pins(encode(queries), encode([pins[pin_id]["text"] for pin_id in pin_ids]), keys_Q, per_query)
        for query, rows in zip(queries, near, strict=True):
            found.extend(WeakPair(query, locale, pin_ids[row]) for row in rows)
    return found


def without_known(pairs: Iterable[WeakPair], known: Iterable[WeakPair]) -> list[WeakPair]:
    """The first pair of every key that no known pair has. Spellings of a query are one, as in the tables."""
    found = {pair_key(pair.query, pair.pin_id): None for pair in known}
    first: list[WeakPair] = []
    for pair in pairs:
        if (key := pair_key(pair.query, pair.pin_id)) not in found:
            found[key] = None
            first.append(pair)
    return first


def chosen(pin_ids: Sequence[str], query: str, seed: int) -> str:
    """One of some pins, by the hash of its pair with the query."""
    return pin_ids[int(np.argmin(hashes([pair_key(query, pin_id) for pin_id in pin_ids], seed)))]
