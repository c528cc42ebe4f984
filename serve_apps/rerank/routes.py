"""The HTTP interface: paths, and how the app is put together."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Response

import pinrank
from serve_apps.rerank.answer import answer
from serve_apps.rerank.asked import Asked
from serve_apps.rerank.body_limit import BodyLimit
from serve_apps.rerank.messages import ErrorBody, Health, Model, ModelList, RerankRequest, RerankResponse
from serve_apps.rerank.problems import answer_problems
from serve_apps.rerank.settings import RerankSettings

if TYPE_CHECKING:
    from serve_apps.rerank.ingress import Rerank

_REFUSALS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in (400, 413, 422, 429, 503)}


def http_app(rerank: "Rerank", settings: RerankSettings) -> FastAPI:
    """The FastAPI app in front of one ingress replica."""
    app = FastAPI(title="pinrank rerank", version=pinrank.__version__, docs_url="/docs", redoc_url=None)
    app.add_middleware(BodyLimit, limit_bytes=settings.body_limit_bytes)
    answer_problems(app)

    @app.post("/v2/rerank", response_model=RerankResponse, responses=_REFUSALS, tags=["rerank"])
    async def rerank_v2(request: RerankRequest) -> Response:
        """Rank texts and pins for a query, best first."""
        answered = answer(request, await rerank.rank(asked_of(request)))
        return Response(answered.model_dump_json(exclude_none=True), media_type="application/json")

    @app.get("/health", tags=["service"])
    async def health() -> Health:
        """The ingress runs; nothing is said about the deployments behind it."""
        return Health(status="ok")

    @app.get("/ready", responses={503: {"model": ErrorBody}}, tags=["service"])
    async def ready() -> Health:
        """Every deployment answers and all of them hold the same student."""
        return Health(status="ready", model=await rerank.require_ready())

    @app.get("/v1/models", tags=["service"])
    async def models() -> ModelList:
        """The student that grades here."""
        return ModelList(data=[Model(id=version) for version in rerank.models()])

    return app


def asked_of(request: RerankRequest) -> Asked:
    """A request in no particular form."""
    return Asked(
        query=request.query,
        ids=[document.id for document in request.documents],
        texts=[document.text for document in request.documents],
        query_locale=request.query_locale,
        query_features=request.query_features,
        pair_features=request.documents,
        timeout_ms=request.timeout_ms,
    )
