"""Serve graphs of the shape of pinrank's that compute nothing: what Serve itself costs a request.

fused: one ingress deployment that reads the body and answers fixed bytes. split: the ingress asks a ranker, which asks
an encoder and a lookup at the same time. An answer is as long as pinrank's for ?documents=N, its body read whole.
"""

import asyncio
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

BYTES_A_RESULT = 32


class NoopSettings(BaseModel):
    """Which graph, and the options of its deployments."""

    topology: Literal["split", "fused"] = "fused"
    options: dict[str, Any] = {}


def build(settings: NoopSettings) -> Application:
    """Bind the deployments of the topology."""
    ingress = serve.deployment(serve.ingress()(Ingress), **settings.options)
    if settings.topology == "fused":
        return ingress.bind()
    leaf = serve.deployment(Leaf, **settings.options)
    encoder, pins = leaf.options(name="Encoder").bind(), leaf.options(name="Pins").bind()
    return ingress.bind(serve.deployment(Middle, **settings.options).bind(encoder, pins))


class Ingress:
    """Reads a body, asks the next deployment where there is one, and answers."""

    def __init__(self, ranker: DeploymentHandle | None = None) -> None:
        self.ranker = ranker

    def __serve_build_asgi_app__(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/rank")
        async def rerank(request: Request, documents: int) -> Response:
            await request.body()
            if self.ranker is not None:
                await self.ranker.rank.remote(documents)
            return Response(answer(documents), media_type="application/json")

        @app.get("/ready")
        async def ready() -> dict[str, str]:
            return {"status": "ready"}

        return app


class Middle:
    """Asks both leaves at the same time."""

    def __init__(self, encoder: DeploymentHandle, pins: DeploymentHandle) -> None:
        self.encoder, self.pins = encoder, pins

    async def rank(self, documents: int) -> int:
        await asyncio.gather(self.encoder.work.remote(documents), self.pins.work.remote(documents))
        return documents


class Leaf:
    """Answers with what it was given."""

    async def work(self, documents: int) -> int:
        return documents


def answer(documents: int) -> bytes:
    """JSON of the length of an answer."""
    return b'{"results": "' + b"-" * (BYTES_A_RESULT * documents) + b'"}'
