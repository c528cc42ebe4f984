"""SecondTry around Serve's proxy: an app that starts no answer when its replica died, and says things in plain text."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_apps.rerank.second_try import REPLAYED_BYTES, SecondTry

PATH = "/v2/rerank"


class Proxy:
    """The proxy's app: what each try does, in turn; a try reads the whole body first."""

    def __init__(self, *tries: Callable[[bytes], ASGIApp | None]) -> None:
        self.tries = list(tries)
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        if (answer := self.tries.pop(0)(body)) is not None:
            await answer(scope, receive, send)


def dies(body: bytes) -> None:
    """A replica is killed before it answers."""
    return None


def dies_after_the_head(body: bytes) -> ASGIApp:
    """A replica is killed when its proxy knows the status and no more."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    return answer


def answers(body: bytes) -> ASGIApp:
    return JSONResponse({"bytes": len(body)})


def says(status: int, text: str, **headers: str) -> Callable[[bytes], ASGIApp]:
    return lambda body: PlainTextResponse(text, status, headers)


def ask(proxy: Proxy, path: str = PATH, body: Any = b"query") -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(SecondTry(proxy)), base_url="http://proxy"
        ) as client:
            return await client.post(path, content=body)

    return asyncio.run(asked())


def refusal(response: httpx.Response) -> tuple[int, str]:
    assert set(response.json()) == {"error", "error_type"}
    assert response.headers["content-type"] == "application/json"
    return response.status_code, response.json()["error_type"]


@pytest.mark.parametrize("dying", [dies, dies_after_the_head])
def test_a_request_whose_replica_dies_goes_to_another_with_its_whole_body(dying: Callable[[bytes], Any]) -> None:
    async def chunks() -> Any:
        for chunk in (b"red ", b"wool ", b"sweater"):
            yield chunk

    proxy = Proxy(dying, answers)
    response = ask(proxy, body=chunks())
    assert (response.status_code, response.json()) == (200, {"bytes": 16})
    assert proxy.bodies == [b"red wool sweater"] * 2


def test_a_request_that_two_replicas_died_of_gets_a_503_and_no_third_try() -> None:
    proxy = Proxy(dies, dies, answers)
    response = ask(proxy)
    assert refusal(response) == (503, "unavailable")
    assert response.headers["retry-after"] == "1"
    assert len(proxy.bodies) == 2


def test_a_body_that_is_too_long_to_keep_is_sent_once() -> None:
    proxy = Proxy(dies, answers)
    assert refusal(ask(proxy, body=b"a" * (REPLAYED_BYTES + 1)))[0] == 503
    assert len(proxy.bodies) == 1


def test_nobody_is_asked_again_for_a_client_that_has_gone() -> None:
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": b"que", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(SecondTry(Proxy(answers))({"type": "http", "path": PATH, "headers": []}, receive, send))
    assert (messages, sent) == ([], [])


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (503, "Request dropped due to backpressure", (503, "unavailable")),
        (408, "Request a timed out after 30s.", (503, "timeout")),
        (404, "Path '/v2/rerank' not found.", (503, "unavailable")),
    ],
)
def test_what_the_proxy_says_by_itself_has_the_services_form(status: int, text: str, expected: tuple[int, str]) -> None:
    response = ask(Proxy(says(status, text)))
    assert refusal(response) == expected
    assert response.headers["retry-after"] == "1"
    assert int(response.headers["content-length"]) == len(response.content)


def test_answers_of_the_service_pass_as_they_are() -> None:
    response = ask(Proxy(lambda body: JSONResponse({"error": "full", "error_type": "overloaded"}, 503)))
    assert (response.status_code, response.json()["error_type"]) == (503, "overloaded")


def test_other_applications_behind_the_proxy_are_left_alone() -> None:
    response = ask(Proxy(says(503, "busy")), path="/orders")
    assert (response.status_code, response.text) == (503, "busy")
    proxy = Proxy(dies, answers)
    with pytest.raises(AssertionError):  # httpx finds no answer
        ask(proxy, path="/orders")
    assert len(proxy.bodies) == 1
