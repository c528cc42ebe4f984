"""The student's towers: a query's vector, and what the pin store would hold of a document that came as text.

D vector, N documents.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np

from pinrank.distinct import distinct
from pinrank.lexical import field_terms
from pinrank.student.export import StudentBundle, max_pin_tokens
from pinrank.text import tidy
from serve_apps.rerank.batches import Batches, Full
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.counts import count_cache
from serve_apps.rerank.embeddings import Embedded, Kind, embed
from serve_apps.rerank.opened import Opened
from serve_apps.rerank.query_cache import Found, Key, Outcome, QueryCache, Vector
from serve_apps.rerank.releases import first_version, open_version
from serve_apps.rerank.settings import RerankSettings
from serve_apps.rerank.shared_cache import open_shared

T = TypeVar("T")


class QueryEncoder:
    """Deployment: encodes queries in batches behind a cache, and documents that no pin store knows."""

    def __init__(self, settings: RerankSettings, version: str, students: Opened[StudentBundle] | None = None) -> None:
        one_thread()
        self.students = students or Opened(partial(open_version, settings))
        self.cache = QueryCache(settings.query_cache_entries, settings.query_cache_ttl_s)
        self.shared = open_shared(settings)
        self.batches = Batches(
            self._encode_batch, settings.max_batch_queries, settings.batch_wait_s, settings.max_waiting_queries
        )
        self.folds_case: WeakKeyDictionary[StudentBundle, bool] = WeakKeyDictionary()
        self.max_texts_in_flight = settings.max_texts_in_flight
        self.texts_in_flight = 0
        first_version(settings, version, lambda version: self._warm(self.students.now(version)))

    async def encode(self, version: str, query: str, locale: str | None = None) -> tuple[Vector, Outcome]:
        """The query's vector, float32[D], and whether it was there already. Raises Full when too many queries wait."""
        bundle = await self._ready(version)
        query = spelling(query, self.folds_case[bundle])
        key = Key(query, locale, bundle.encoder_version)
        vector_D, outcome = await self.cache.get(key, lambda: self._find(key, version))
        count_cache(outcome)
        return vector_D, outcome

    async def candidates(self, version: str, texts: Sequence[str]) -> Candidates:
        """Documents that came as text, as the pin store would hold them. Raises Full when too many are in work."""
        bundle = await self.students.get(version)
        return await self._in_thread(len(texts), partial(candidates_of_texts, bundle, texts))

    async def embed(self, version: str, kind: Kind, texts: Sequence[str], dimensions: int | None) -> Embedded:
        """Vectors of texts for others. Raises Full, or ModelError for dimensions that the student was not made for."""
        bundle = await self.students.get(version)
        return await self._in_thread(len(texts), partial(embed, bundle, kind, texts, dimensions))

    async def count_tokens(self, version: str, query: str, texts: Sequence[str]) -> int:
        """How many tokens the towers read of a query and texts, special ones included."""
        return await asyncio.to_thread(count_tokens, await self.students.get(version), query, texts)

    async def prepare(self, version: str) -> None:
        """Open a version before requests name it. Raises what opening raises."""
        await self._ready(version)

    async def _ready(self, version: str) -> StudentBundle:
        bundle = await self.students.get(version)
        if bundle not in self.folds_case:  # a release of the same student with other pins has towers to load, too
            await asyncio.to_thread(self._warm, bundle)
        return bundle

    def _warm(self, bundle: StudentBundle) -> None:
        self.folds_case[bundle] = warm(bundle)

    async def _in_thread(self, num_texts: int, work: Callable[[], T]) -> T:
        """What `work` makes of so many texts, which count until its thread is done.

        A thread goes on when who asked gave up; one that has not begun by then does nothing. Raises Full.
        """
        # As in the ingress: more texts than that are taken while there are no others.
        if self.texts_in_flight and self.texts_in_flight + num_texts > self.max_texts_in_flight:
            raise Full(f"{self.texts_in_flight} texts are in work")
        self.texts_in_flight += num_texts
        gave_up = threading.Event()
        working = asyncio.ensure_future(asyncio.to_thread(lambda: None if gave_up.is_set() else work()))
        working.add_done_callback(lambda done: self._done_with(num_texts))
        try:
            return cast(T, await asyncio.shield(working))
        except asyncio.CancelledError:
            gave_up.set()
            raise

    def _done_with(self, num_texts: int) -> None:
        self.texts_in_flight -= num_texts

    async def _find(self, key: Key, version: str) -> Found:
        """A vector that another replica has encoded, or else this one's, which others may then have."""
        if self.shared is None:
            return await self.batches.put((version, key.query)), "miss"
        if (vector_D := await self.shared.get(key)) is not None:
            return vector_D, "shared"
        vector_D = await self.batches.put((version, key.query))
        self.shared.put(key, vector_D)
        return vector_D, "miss"

    async def _encode_batch(self, asked: list[tuple[str, str]]) -> list[Vector]:
        vectors: list[Vector] = [np.zeros(0, dtype=np.float32)] * len(asked)
        for version in dict.fromkeys(version for version, _ in asked):
            mine = [place for place, (other, _) in enumerate(asked) if other == version]
            bundle = await self.students.get(version)
            vectors_ND = await asyncio.to_thread(bundle.encode_queries, [asked[place][1] for place in mine])
            for place, vector_D in zip(mine, vectors_ND, strict=True):
                vectors[place] = vector_D.copy()
        return vectors


def candidates_of_texts(bundle: StudentBundle, texts: Sequence[str]) -> Candidates:
    """Texts as candidates: the pin tower reads the whole text, the lexical features know it as a title.

    Equal texts are encoded once, so that they get equal rows and tie.
    """
    tidied = [tidy(text) for text in texts]
    once, which_N = distinct(tidied)
    rows_NR = bundle.pin_rows(bundle.encode_pins(once))[which_N]
    terms = field_terms([{"locale": None, "title": text} for text in tidied], bundle.stats.words)
    return Candidates(rows_NR=rows_NR, terms=terms, found_N=np.ones(len(texts), dtype=bool))


def count_tokens(bundle: StudentBundle, query: str, texts: Sequence[str]) -> int:
    """Tokens of a query by the query tower and of texts by the pin tower, cut where the towers cut."""
    of_query = bundle.query_encoder.tokens([tidy(query)], bundle.text.max_query_tokens)
    of_texts = bundle.pin_encoder.tokens([tidy(text) for text in texts], max_pin_tokens(bundle.text))
    return sum(map(len, (*of_query, *of_texts)))


def spelling(query: str, folds_case: bool) -> str:
    """A query as the encoder reads it, so that equal ones have one key. Beyond ASCII capitals are left to the encoder,
    because languages do not agree on them."""
    query = tidy(query)
    return query.lower() if folds_case and query.isascii() else query


def warm(bundle: StudentBundle) -> bool:
    """Load the towers and compile their kernels, so that no request waits for it; whether capitals make no difference
    to a query."""
    bundle.encode_pins(["warm up"])
    capitals_D, small_D = (bundle.encode_queries([text])[0] for text in ("Warm UP", "warm up"))
    return bool(np.array_equal(capitals_D, small_D))


def one_thread() -> None:
    """One torch thread a replica: with more, replicas that share cores slow each other down many times over."""
    import torch

    torch.set_num_threads(1)
