"""The HTTP interface: paths, and how the app is put together."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Response

import pinrank
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
        ranked = await rerank.rerank(request)
        return Response(ranked.model_dump_json(exclude_none=True), media_type="application/json")

    @app.get("/health", tags=["service"])
    async def health() -> Health:
        """The ingress runs; nothing is said about the deployments behind it."""
        return Health(status="ok")

    @app.get("/ready", responses={503: {"model": ErrorBody}}, tags=["service"])
    async def ready() -> Health:
        """Every deployment answers and all of them hold the same student."""
        await rerank.require_ready()
        return Health(status="ready", model=rerank.student_version)

    @app.get("/v1/models", tags=["service"])
    async def models() -> ModelList:
        """The student that grades here."""
        return ModelList(data=[Model(id=rerank.student_version)])

    return app
