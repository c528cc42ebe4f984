"""The student's towers: a query's vector, and what the pin store would hold of a document that came as text.

D vector, N documents.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pinrank.distinct import distinct
from pinrank.lexical import field_terms
from pinrank.student.export import StudentBundle, max_pin_tokens
from pinrank.text import tidy
from serve_apps.rerank.batches import Batches
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.counts import count_cache
from serve_apps.rerank.embeddings import Embedded, Kind, embed
from serve_apps.rerank.opened import Opened
from serve_apps.rerank.query_cache import Key, Outcome, QueryCache, Vector
from serve_apps.rerank.releases import first_version, open_version
from serve_apps.rerank.settings import RerankSettings


class QueryEncoder:
    """Deployment: encodes queries in batches behind a cache, and documents that no pin store knows."""

    def __init__(self, settings: RerankSettings, version: str, students: Opened[StudentBundle] | None = None) -> None:
        one_thread()
        self.students = students or Opened(partial(open_version, settings))
        self.cache = QueryCache(settings.query_cache_entries, settings.query_cache_ttl_s)
        self.batches = Batches(self._encode_batch, settings.max_batch_queries, settings.batch_wait_s)
        first_version(settings, version, lambda version: warm(self.students.now(version)))

    async def encode(self, version: str, query: str, locale: str | None = None) -> tuple[Vector, Outcome]:
        """The query's vector, float32[D], and whether it was there already."""
        query = tidy(query)
        key = Key(query, locale, version)
        vector_D, outcome = await self.cache.get(key, lambda: self.batches.put((version, query)))
        count_cache(outcome)
        return vector_D, outcome

    async def candidates(self, version: str, texts: Sequence[str]) -> Candidates:
        """Documents that came as text, as the pin store would hold them."""
        return await asyncio.to_thread(candidates_of_texts, await self.students.get(version), texts)

    async def embed(self, version: str, kind: Kind, texts: Sequence[str], dimensions: int | None) -> Embedded:
        """Vectors of texts for others. Raises ModelError for dimensions that the student was not trained for."""
        return await asyncio.to_thread(embed, await self.students.get(version), kind, texts, dimensions)

    async def count_tokens(self, version: str, query: str, texts: Sequence[str]) -> int:
        """How many tokens the towers read of a query and texts, special ones included."""
        return await asyncio.to_thread(count_tokens, await self.students.get(version), query, texts)

    async def prepare(self, version: str) -> None:
        """Open a version before requests name it. Raises what opening raises."""
        await asyncio.to_thread(warm, await self.students.get(version))

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
    of_query = bundle.encoder.tokens([tidy(query)], bundle.text.max_query_tokens)
    of_texts = bundle.pin_encoder.tokens([tidy(text) for text in texts], max_pin_tokens(bundle.text))
    return sum(map(len, (*of_query, *of_texts)))


def warm(bundle: StudentBundle) -> NDArray[np.float32]:
    """Load the query tower and compile its kernels, so that no request waits for it."""
    return bundle.encode_queries(["warm up"])


def one_thread() -> None:
    """One torch thread a replica: with more, replicas that share cores slow each other down many times over."""
    import torch

    torch.set_num_threads(1)
