"""The ingress of the graph: one rerank request from its documents to its ranking."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from pinrank.student.features import FeatureSpec
from pinrank.student.values import Values
from serve_apps.rerank.answer import GradedGroup, answer, join
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.features import pair_values, query_values
from serve_apps.rerank.messages import Document, RerankRequest, RerankResponse, StageTimes
from serve_apps.rerank.problems import Problem
from serve_apps.rerank.routes import http_app
from serve_apps.rerank.settings import RerankSettings

UNAVAILABLE = (RayActorError, BackPressureError, DeploymentUnavailableError)

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """Documents that were prepared together: their positions in the request and what the ranker reads of them."""

    positions_G: NDArray[np.intp]
    candidates: Candidates
    looked_up: bool

    def with_pairs(self, pairs: Values | None) -> Candidates:
        """The candidates with what the request says of them; pairs has a row a document of the request."""
        return self.candidates if pairs is None else replace(self.candidates, pairs=pairs.take(self.positions_G))


class Rerank:
    """Deployment: answers HTTP; asks QueryEncoder and PinEmbeddings at the same time and hands both to Ranker."""

    def __init__(
        self, settings: RerankSettings, student_version: str, spec: FeatureSpec, encoder: Any, pins: Any, ranker: Any
    ) -> None:
        self.settings = settings
        self.student_version = student_version
        self.spec = spec
        self.encoder = encoder
        self.pins = pins
        self.ranker = ranker
        self.in_flight = 0

    def __serve_build_asgi_app__(self) -> FastAPI:
        return http_app(self, self.settings)

    async def rerank(self, request: RerankRequest) -> RerankResponse:
        """Rank the documents of a valid request.

        Raises Problem: 422 over the limits or for features that the student does not have, 429 when too many rankings
        are under way, 503 when a deployment is gone.
        """
        require_within_limits(request, self.settings)
        known = query_values(request.query_features, self.spec)
        pairs = pair_values(request.documents, self.spec)
        async with self._admitted():
            try:
                return await self._rank(request, known, pairs)
            except UNAVAILABLE as cause:
                raise Problem(503, "unavailable", "a part of the service is gone or overloaded; try again") from cause

    async def require_ready(self) -> None:
        """Return when every deployment answers and all hold this student; else raise Problem 503."""
        parts = (self.encoder, self.pins, self.ranker)
        try:
            async with asyncio.timeout(self.settings.ready_timeout_s):
                versions = set(await asyncio.gather(*(answered(part.version.remote()) for part in parts)))
        except (TimeoutError, *UNAVAILABLE) as cause:
            raise Problem(503, "unavailable", "a deployment is still starting") from cause
        if versions != {self.student_version}:
            raise Problem(503, "unavailable", f"the deployments hold different students: {', '.join(sorted(versions))}")

    async def _rank(self, request: RerankRequest, known: Values, pairs: Values | None) -> RerankResponse:
        (query_D, encode_ms), (groups, candidates_ms) = await asyncio.gather(
            timed(self.encoder.encode.remote(request.query)), timed(self._groups(request.documents))
        )
        candidates = [group.with_pairs(pairs) for group in groups]
        graded, rank_ms = await timed(self.ranker.grade.remote(request.query, query_D, known, *candidates))
        graded_groups = [
            GradedGroup(group.positions_G, probabilities_GL, group.candidates.found_N, group.looked_up)
            for group, probabilities_GL in zip(groups, graded, strict=True)
        ]
        times = StageTimes(encode=encode_ms, candidates=candidates_ms, rank=rank_ms)
        return answer(request, join(graded_groups, len(request.documents)), self.student_version, times)

    async def _groups(self, documents: Sequence[Document]) -> list[Group]:
        """Pins by id beside texts, then the texts that stand in for unknown ids."""
        by_id = [position for position, document in enumerate(documents) if document.id is not None]
        by_text = [position for position, document in enumerate(documents) if document.id is None]
        looked_up, encoded = await asyncio.gather(self._look_up(documents, by_id), self._encode(documents, by_text))
        missing = [p for group in looked_up for p in group.positions_G[~group.candidates.found_N].tolist()]
        instead = [position for position in missing if documents[position].text is not None]
        return [*looked_up, *encoded, *await self._encode(documents, instead)]

    async def _look_up(self, documents: Sequence[Document], positions: Sequence[int]) -> list[Group]:
        if not positions:
            return []
        candidates = await self.pins.lookup.remote([documents[position].id for position in positions])
        return [Group(np.asarray(positions), candidates, looked_up=True)]

    async def _encode(self, documents: Sequence[Document], positions: Sequence[int]) -> list[Group]:
        if not positions:
            return []
        candidates = await self.encoder.candidates.remote([documents[position].text for position in positions])
        return [Group(np.asarray(positions), candidates, looked_up=False)]

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        if self.in_flight >= self.settings.max_in_flight:
            message = f"{self.in_flight} rankings are under way; try again"
            raise Problem(429, "overloaded", message, {"Retry-After": "1"})
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


def require_within_limits(request: RerankRequest, settings: RerankSettings) -> None:
    """Raise Problem 422 for more documents, more texts or a longer query than the settings allow."""
    if len(request.documents) > settings.max_documents:
        message = f"documents: {len(request.documents)} are too many, the limit is {settings.max_documents}"
        raise Problem(422, "too_many_documents", message)
    texts = sum(document.id is None for document in request.documents)
    if texts > settings.max_texts:
        message = f"documents: {texts} come as text, the limit is {settings.max_texts}; send ids of embedded pins"
        raise Problem(422, "too_many_documents", message)
    if len(request.query) > settings.max_query_chars:
        message = f"query: {len(request.query)} characters are too many, the limit is {settings.max_query_chars}"
        raise Problem(422, "invalid_request", message)


async def timed(awaitable: Awaitable[T]) -> tuple[T, float]:
    """What was awaited, and for how many milliseconds."""
    started = time.perf_counter()
    value = await awaitable
    return value, round((time.perf_counter() - started) * 1000, 3)


async def answered(awaitable: Awaitable[T]) -> T:
    """A coroutine around a Serve response, which asyncio.gather cannot take as it is."""
    return await awaitable
