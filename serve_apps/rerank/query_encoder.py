"""The student's towers: a query's vector, and what the pin store would hold of a document that came as text.

D vector, N documents.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from ray import serve

from pinrank.distinct import distinct
from pinrank.lexical import field_terms
from pinrank.student.export import StudentBundle
from pinrank.text import tidy
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.one_student import open_bound
from serve_apps.rerank.settings import RerankSettings

Vector = NDArray[np.float32]


class QueryCache:
    """The vectors of the queries asked last; the one not asked for longest goes first."""

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self._vectors: OrderedDict[str, Vector] = OrderedDict()

    def get(self, query: str) -> Vector | None:
        vector_D = self._vectors.get(query)
        if vector_D is not None:
            self._vectors.move_to_end(query)
        return vector_D

    def put(self, query: str, vector_D: Vector) -> None:
        self._vectors[query] = vector_D
        self._vectors.move_to_end(query)
        while len(self._vectors) > self.entries:
            self._vectors.popitem(last=False)

    def __len__(self) -> int:
        return len(self._vectors)


class QueryEncoder:
    """Deployment: encodes queries in batches behind a cache, and documents that no pin store knows."""

    def __init__(self, settings: RerankSettings, student_version: str) -> None:
        one_thread()
        self.bundle = open_bound(settings.student, student_version)
        self.cache = QueryCache(settings.query_cache_entries)
        self._encode_batch.set_max_batch_size(settings.max_batch_queries)
        self._encode_batch.set_batch_wait_timeout_s(settings.batch_wait_s)
        self.bundle.encode_queries(["warm up"])

    async def encode(self, query: str) -> Vector:
        """The query's vector, float32[D]."""
        query = tidy(query)
        vector_D = self.cache.get(query)
        if vector_D is None:
            vector_D = await self._encode_batch(query)
            self.cache.put(query, vector_D)
        return vector_D

    @serve.batch
    async def _encode_batch(self, queries: list[str]) -> list[Vector]:
        vectors_ND = await asyncio.to_thread(self.bundle.encode_queries, queries)
        return [vector_D.copy() for vector_D in vectors_ND]

    async def candidates(self, texts: Sequence[str]) -> Candidates:
        """Documents that came as text, as the pin store would hold them."""
        return await asyncio.to_thread(candidates_of_texts, self.bundle, texts)

    async def version(self) -> str:
        """The student that encodes here."""
        return self.bundle.version


def candidates_of_texts(bundle: StudentBundle, texts: Sequence[str]) -> Candidates:
    """Texts as candidates: the pin tower reads the whole text, the lexical features know it as a title.

    Equal texts are encoded once, so that they get equal rows and tie.
    """
    tidied = [tidy(text) for text in texts]
    once, which_N = distinct(tidied)
    rows_NR = bundle.pin_rows(bundle.encode_pins(once))[which_N]
    terms = field_terms([{"locale": None, "title": text} for text in tidied], bundle.stats.words)
    return Candidates(rows_NR=rows_NR, terms=terms, found_N=np.ones(len(texts), dtype=bool))


def one_thread() -> None:
    """One torch thread a replica: with more, replicas that share cores slow each other down many times over."""
    import torch

    torch.set_num_threads(1)
