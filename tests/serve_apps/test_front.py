"""What Serve's HTTP server does before a replica is asked, put around an app as Serve puts it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from serve_apps.rerank.front import middlewares
from serve_apps.rerank.settings import RerankSettings


@pytest.fixture
def ask() -> Callable[..., httpx.Response]:
    """Post a body to an app behind the front, which answers with how many bytes it got and the request's id."""
    app = FastAPI()

    @app.post("/")
    async def told(request: Request) -> dict[str, Any]:
        return {"bytes": len(await request.body()), "id": request.headers["x-request-id"]}

    async def asked(**content: Any) -> httpx.Response:
        front: Any = app
        for each in middlewares():
            front = each.cls(front, *each.args, **each.kwargs)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://rerank") as client:
            return await client.post("/", **content)

    return lambda **content: asyncio.run(asked(**content))


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b" " * 2**16


def test_a_body_within_the_limit_arrives_whole(ask: Callable[..., httpx.Response]) -> None:
    assert ask(content=b"a" * 2**20).json()["bytes"] == 2**20


def test_one_without_end_is_refused_and_the_refusal_names_the_request(ask: Callable[..., httpx.Response]) -> None:
    response = ask(content=endless(), headers={"x-request-id": "mine"})
    assert (response.status_code, response.headers["x-request-id"]) == (413, "mine")
    assert str(RerankSettings().body_limit_bytes) in response.json()["error"]


def test_the_limits_come_from_the_environment(
    ask: Callable[..., httpx.Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINRANK_BODY_LIMIT_BYTES", "2000")
    assert [ask(content=b"a" * size).status_code for size in (2_000, 2_001)] == [200, 413]
    monkeypatch.setenv("PINRANK_BODY_TIMEOUT_S", "0.1")

    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    assert ask(content=slow()).status_code == 408


def test_the_app_and_the_client_see_one_well_formed_id(ask: Callable[..., httpx.Response]) -> None:
    for given, kept in (("mine", True), ("not well-formed", False)):
        response = ask(content=b"", headers={"x-request-id": given})
        named = response.headers["x-request-id"]
        assert named == response.json()["id"]
        assert named == given if kept else re.fullmatch(r"[0-9a-f]{32}", named)
