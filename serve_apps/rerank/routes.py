"""The HTTP interface: paths, and how the app is put together."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request, Response, Security, params
from fastapi.security import HTTPBearer
from pydantic_core import to_json

import pinrank
from serve_apps.rerank import by_ids, front
from serve_apps.rerank.answer import answer
from serve_apps.rerank.api_keys import ApiKeys
from serve_apps.rerank.asked import Asked
from serve_apps.rerank.bodies import BodyRoute
from serve_apps.rerank.body_limit import BodyLimit
from serve_apps.rerank.by_ids import RankRequest, RankResponse, rank_answer
from serve_apps.rerank.deadline import Deadline
from serve_apps.rerank.embeddings import EmbeddingsRequest, EmbeddingsResponse, embeddings_answer
from serve_apps.rerank.headers import ALWAYS, SAID, answered, request_id, told
from serve_apps.rerank.jina import JinaRequest, JinaResponse, jina_answer
from serve_apps.rerank.messages import (
    Document,
    ErrorBody,
    Health,
    Model,
    ModelList,
    RerankRequest,
    RerankResponse,
)
from serve_apps.rerank.openapi import described
from serve_apps.rerank.problems import Problem, answer_problems
from serve_apps.rerank.settings import RerankSettings
from serve_apps.rerank.spans import Spans, TracedRequests

if TYPE_CHECKING:
    from serve_apps.rerank.ingress import Rerank

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 408, 413, 422, 429, 503)
}
_RANKED: dict[int | str, dict[str, Any]] = {200: {"headers": SAID}}
_EMBEDDED: dict[int | str, dict[str, Any]] = {200: {"headers": {name: SAID[name] for name in ALWAYS}}}


def http_app(rerank: "Rerank", settings: RerankSettings) -> FastAPI:
    """The FastAPI app in front of one ingress replica."""
    app = FastAPI(title="pinrank rerank", version=pinrank.__version__, docs_url="/docs", redoc_url=None)
    timeout_s = None if front.reads_bodies() else settings.body_timeout_s
    app.add_middleware(BodyLimit, limit_bytes=settings.body_limit_bytes, timeout_s=timeout_s)
    if settings.traces is not None:
        app.add_middleware(TracedRequests, spans=Spans(settings.traces, settings.trace_share))
    if settings.api_keys is not None:
        app.add_middleware(ApiKeys, path=Path(settings.api_keys))
    answer_problems(app)
    secured = [] if settings.api_keys is None else [Security(HTTPBearer(auto_error=False))]  # said; ApiKeys does it
    app.include_router(model_routes(rerank, settings.max_explained), dependencies=secured)
    app.include_router(service_routes(rerank, secured))
    base = app.openapi()
    app.openapi = lambda: described(base, rerank.spec(), rerank.widths(), settings)  # type: ignore[method-assign]
    return app


def model_routes(rerank: "Rerank", max_explained: int) -> APIRouter:
    """What the student is asked."""
    routes = APIRouter(route_class=BodyRoute, responses=_REFUSALS)

    @routes.post("/v2/rerank", response_model=RerankResponse, responses=_RANKED, tags=["rerank"])
    async def rerank_v2(asked: RerankRequest, request: Request) -> Response:
        """Rank texts and pins for a query, best first (Cohere's form)."""
        since = time.perf_counter()
        ranked = await rerank.rank(asked_of(asked, max_explained))
        return answered(answer(asked, ranked, request_id(request.headers)), ranked, since)

    @routes.post("/v1/rerank", response_model=JinaResponse, responses=_RANKED, tags=["rerank"])
    async def rerank_v1(asked: JinaRequest, request: Request) -> Response:
        """Rank texts and pins for a query, best first (Jina's and vLLM's form)."""
        since = time.perf_counter()
        question = asked_of(asked, max_explained)
        deadline = Deadline(question.timeout_ms or rerank.settings.budget_ms)
        ranked = await rerank.rank(question)
        num_tokens = await rerank.count_tokens(question, ranked.model, deadline)
        return answered(jina_answer(asked, ranked, request_id(request.headers), num_tokens), ranked, since)

    @routes.post("/v1/rank", response_model=RankResponse, responses=_RANKED, tags=["rerank"])
    async def rank(asked: RankRequest, request: Request) -> Response:
        """Rank pins by their ids, in columns: the cheapest form for hundreds."""
        since = time.perf_counter()
        ranked = await rerank.rank(by_ids.asked_of(asked, max_explained))
        return answered(rank_answer(asked, ranked, request_id(request.headers)), ranked, since)

    @routes.post("/v1/embeddings", response_model=EmbeddingsResponse, responses=_EMBEDDED, tags=["embeddings"])
    async def embeddings(asked: EmbeddingsRequest, request: Request) -> Response:
        """Vectors of queries, pins or boards by the student's towers (OpenAI's form)."""
        since = time.perf_counter()
        embedded, version = await rerank.embed(asked)
        body = to_json(embeddings_answer(asked, embedded, version))
        return Response(body, media_type="application/json", headers=told(version, {}, since))

    return routes


def service_routes(rerank: "Rerank", secured: Sequence[params.Depends]) -> APIRouter:
    """What the service tells of itself."""
    routes = APIRouter(tags=["service"])

    @routes.get("/health")
    async def health() -> Health:
        """The ingress runs; nothing is said about the deployments behind it."""
        return Health(status="ok")

    @routes.get("/ready", responses={503: {"model": ErrorBody}})
    async def ready() -> Health:
        """Every deployment answers and all of them hold the same student."""
        return Health(status="ready", model=await rerank.require_ready())

    @routes.get("/v1/models", dependencies=secured, responses={401: {"model": ErrorBody}})
    async def models() -> ModelList:
        """The student that grades here."""
        return ModelList(data=[Model(id=version) for version in rerank.models()])

    return routes


def asked_of(request: RerankRequest, max_explained: int) -> Asked:
    """A request in no particular form. Raises Problem 422 for a document without text and id."""
    documents = request.documents
    ids = [None if isinstance(document, str) else document.get("id") for document in documents]
    texts = [document if isinstance(document, str) else document.get("text") for document in documents]
    for place, (pin_id, text) in enumerate(zip(ids, texts, strict=True)):
        if pin_id is None and text is None:
            message = f'documents[{place}]: a document is a text, {{"text": ...}} or {{"id": ...}}'
            raise Problem(422, "invalid_request", message)
    return Asked(
        query=request.query,
        ids=ids,
        texts=texts,
        query_locale=request.query_locale,
        query_features=request.query_features,
        pair_features=[pair_features(document) for document in documents],
        timeout_ms=request.timeout_ms,
        explain=min(max_explained, request.top_n or max_explained) if request.explain else 0,
        top_n=request.top_n or None,  # Jina's form says all by 0, too
    )


def pair_features(document: str | Document) -> dict[str, Any] | None:
    """What a request says of its query with a document."""
    return None if isinstance(document, str) else document.get("pair_features")
