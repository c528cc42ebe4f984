"""Headers: the request's id on the way in, and what an answer says of itself on the way out."""

import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import Response
from pydantic_core import to_json
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.rerank.asked import Ranked

REQUEST_ID = re.compile(r"[\w.:@/+=-]{1,128}", re.ASCII)

SAID: dict[str, dict[str, Any]] = {
    "X-Request-Id": {"description": "the request's own, or one that was made", "schema": {"type": "string"}},
    "X-Model-Version": {"description": "version of the student that answered", "schema": {"type": "string"}},
    "Server-Timing": {"description": "milliseconds by stage, and total", "schema": {"type": "string"}},
    "X-Cache": {
        "description": "where the query's vector was held: here, in a cache that replicas share, or nowhere",
        "schema": {"type": "string", "enum": ["hit", "shared", "miss"]},
    },
    "X-Degraded": {
        "description": "the steps that the answer fell back to, where it did",
        "schema": {"type": "string"},
    },
}
"""For the OpenAPI. Serve's own HTTP server adds X-Request-Id to every response, so the app does not."""

ALWAYS = ("X-Request-Id", "X-Model-Version", "Server-Timing")


def request_id(headers: Headers) -> str:
    """The id that came with a request, where it is well-formed, else a new one."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


class RequestIds:
    """ASGI middleware: a request without a well-formed id gets one, and every response names it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = MutableHeaders(scope=scope)
        name = headers["x-request-id"] = request_id(headers)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("x-request-id", name)
            await send(message)

        await self.app(scope, receive, named)


def answered(body: Mapping[str, Any], ranked: Ranked, since: float) -> Response:
    """A ranking's answer as a response. since: of time.perf_counter, when its body had been read."""
    headers = told(ranked.model, ranked.stage_ms, since)
    if ranked.cache is not None:
        headers["X-Cache"] = ranked.cache
    if ranked.degraded is not None:
        headers["X-Degraded"] = ranked.degraded
    return Response(to_json(body), media_type="application/json", headers=headers)


def told(model: str, stage_ms: Mapping[str, float], since: float) -> dict[str, str]:
    """The headers that every answer of a model has."""
    times = {**stage_ms, "total": round((time.perf_counter() - since) * 1000, 3)}
    return {
        "X-Model-Version": model.encode("ascii", "backslashreplace").decode(),
        "Server-Timing": ", ".join(f"{stage};dur={taken_ms:g}" for stage, taken_ms in times.items()),
    }
