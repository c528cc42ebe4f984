"""The ingress of the graph: admits a request, chooses the release that answers it, and asks the ranker."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI

from pinrank.errors import ModelError, PinrankError
from pinrank.student.features import FeatureSpec
from serve_apps.rerank.asked import Asked, Ranked
from serve_apps.rerank.batches import Full
from serve_apps.rerank.counts import count_answer
from serve_apps.rerank.deadline import Deadline
from serve_apps.rerank.embeddings import Embedded, EmbeddingsRequest, kind_of, texts_of
from serve_apps.rerank.features import pair_values, query_values
from serve_apps.rerank.limits import require_few_texts, require_within_limits
from serve_apps.rerank.live import Live
from serve_apps.rerank.opened import Opened
from serve_apps.rerank.problems import Problem
from serve_apps.rerank.question import Question
from serve_apps.rerank.ranking import in_input_order
from serve_apps.rerank.releases import open_spec, vector_widths
from serve_apps.rerank.remote import GONE, OVERLOADED
from serve_apps.rerank.routes import http_app
from serve_apps.rerank.served_log import ServedLog
from serve_apps.rerank.settings import RerankSettings
from serve_apps.rerank.shadow import Shadow
from serve_apps.rerank.spans import current_trace, note_answer
from serve_apps.rerank.topology import parts_of

log = logging.getLogger("ray.serve")


class Rerank:
    """Deployment: answers HTTP. Its parts are in this replica or behind handles, as the topology says."""

    def __init__(self, settings: RerankSettings, version: str, encoder: Any = None, ranker: Any = None) -> None:
        self.settings = settings
        version, self.encoder, self.ranker = parts_of(settings, version, encoder, ranker)
        self.specs = Opened(partial(open_spec, settings))
        # Behind handles others open the release; what was opened here to choose it is its specification alone.
        opened = ranker is None
        self.live = Live(settings.registry, version, settings.registry_poll_s, self.ranker.prepare, opened)
        self.shadow = Shadow(self.ranker.rank)
        self.served = None if settings.served_log is None else ServedLog(settings.served_log)
        self.in_flight = 0
        self.texts_in_flight = 0

    def __del__(self) -> None:
        """A replica that stops in order leaves no list behind."""
        if (served := getattr(self, "served", None)) is not None:
            served.close()

    def __serve_build_asgi_app__(self) -> FastAPI:
        return http_app(self, self.settings)

    async def rank(self, asked: Asked) -> Ranked:
        """Grade the documents of a valid request, by one release.

        Raises Problem: 422 over the limits or for features that the student does not have, 429 when too many rankings
        are under way, 503 when a queue behind is full. Parts that are late or gone cost steps of the answer, not it.
        """
        self.live.start()
        started = time.perf_counter()
        require_within_limits(asked, self.settings)
        version, role = self.live.choose(asked.query)
        question = await self._question(asked, version, current_trace())
        async with self._admitted(asked.num_texts):
            ranked = await self._ranked(question)
        count_answer(role, ranked, time.perf_counter() - started)
        note_answer(ranked, role)
        if self.served is not None:
            self.served.offer(asked, ranked, role)
        if role == "current" and self.live.shadow is not None and self.live.shadow.has(asked.query):
            self.shadow.compare(self.live.shadow.version, partial(self._question, asked), ranked)
        return ranked

    async def embed(self, asked: EmbeddingsRequest) -> tuple[Embedded, str]:
        """Vectors of texts by the current release, and its version. Raises Problem as `rank`."""
        self.live.start()
        version, kind, texts = self.live.current, kind_of(asked), texts_of(asked)
        require_few_texts(texts, kind, self.settings)
        async with self._admitted(len(texts)):
            try:
                return await self.encoder.embed(version, kind, texts, asked.dimensions), version
            except ModelError as cause:
                raise Problem(422, "invalid_request", str(cause)) from cause
            except Full as cause:
                raise overloaded("too many texts are under way; try again") from cause
            except (OVERLOADED, *GONE) as cause:
                raise unavailable() from cause

    async def count_tokens(self, asked: Asked, version: str, deadline: Deadline) -> int:
        """Tokens of the query and of the documents by text alone, as a version reads them; 0 when that is late."""
        texts = [text for pin_id, text in zip(asked.ids, asked.texts, strict=True) if pin_id is None]
        try:
            counted: int = await deadline.within(self.encoder.count_tokens(version, asked.query, texts))
        except (TimeoutError, OVERLOADED, *GONE):
            return 0
        return counted

    def spec(self) -> FeatureSpec:
        """The features of the release that answers here."""
        return self.specs.now(self.live.current)

    def widths(self) -> Sequence[int]:
        """The numbers that the vectors of the release that answers here may have."""
        return vector_widths(self.settings, self.live.current)

    def models(self) -> Sequence[str]:
        """The release that answers here, then the one that a share of queries meets."""
        return [self.live.current, *([self.live.canary.version] if self.live.canary else [])]

    async def require_ready(self) -> str:
        """The release that answers, when every part holds it; else raises Problem 503."""
        self.live.start()
        version = self.live.current
        try:
            async with asyncio.timeout(self.settings.ready_timeout_s):
                await self.ranker.prepare(version)
        except (TimeoutError, OVERLOADED, *GONE) as cause:
            raise unavailable("a deployment is still starting") from cause
        except (PinrankError, OSError) as cause:
            log.error("release %s cannot be opened: %s", version, cause)
            raise unavailable(f"release {version} cannot be opened; the service's log says why") from cause
        return version

    async def _question(self, asked: Asked, version: str, trace: str | None = None) -> Question:
        spec = await self.specs.get(version)
        return Question(
            version,
            asked,
            query_values(asked.query_features, spec),
            pair_values(asked.pair_features, spec),
            asked.timeout_ms or self.settings.budget_ms,
            trace,
        )

    async def _ranked(self, question: Question) -> Ranked:
        deadline = Deadline(question.budget_ms)
        try:
            ranked: Ranked = await deadline.within(self.ranker.rank(question))
        except OVERLOADED as cause:
            raise unavailable() from cause
        except (TimeoutError, *GONE):
            return in_input_order(question)
        return ranked

    @asynccontextmanager
    async def _admitted(self, num_texts: int) -> AsyncIterator[None]:
        if self.in_flight >= self.settings.max_in_flight:
            raise overloaded(f"{self.in_flight} rankings are under way; try again")
        # A request with more texts than that is taken while no other has any.
        if num_texts and self.texts_in_flight and self.texts_in_flight + num_texts > self.settings.max_texts_in_flight:
            raise overloaded(f"{self.texts_in_flight} texts are under way; try again, or send ids of embedded pins")
        self.in_flight += 1
        self.texts_in_flight += num_texts
        try:
            yield
        finally:
            self.in_flight -= 1
            self.texts_in_flight -= num_texts


def overloaded(message: str) -> Problem:
    """As much is under way as may be."""
    return Problem(429, "overloaded", message, {"Retry-After": "1"})


def unavailable(message: str = "a part of the service is gone or overloaded; try again") -> Problem:
    """A queue behind is full, or nobody is there, or not yet."""
    return Problem(503, "unavailable", message, {"Retry-After": "1"})
