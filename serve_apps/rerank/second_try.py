"""What Serve's proxy does around a ranking, of which it knows nothing by itself.

A request whose replica dies under it goes to another one: rankings only read, so that twice is as good as once. And
what the proxy answers by itself, in plain text, gets the service's form.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.rerank.problems import Problem

PATHS = ("/rerank", "/rank", "/embeddings")
"""How the paths of requests end that may be sent twice. Other applications behind the same proxy are left alone."""

TRIES = 2
"""A request that two replicas died of is not given to a third."""

REPLAYED_BYTES = 2 * 2**20
"""Bodies up to so many bytes are kept until the answer; a longer one is sent once."""

RETRY_AFTER = {"Retry-After": "1"}


class SecondTry:
    """ASGI middleware around the proxy's own app, which starts no answer when the replica died."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith(PATHS):
            return await self.app(scope, receive, send)
        request, answer = Request(receive), Answer(send)
        for _ in range(TRIES):
            await self.app({**scope, "headers": list(scope["headers"])}, request.from_the_start(), answer)
            if answer.begun or not request.can_be_repeated():
                break
        if not answer.begun and not request.is_gone:
            await died().response()(scope, receive, send)


class Request:
    """A body that is read while it is passed on, and once more from its start."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._seen: list[Message] = []
        self._seen_bytes = 0
        self.is_gone = False

    def from_the_start(self) -> Callable[[], Coroutine[Any, Any, Message]]:
        """What was read already, then what comes."""
        place = 0

        async def receive() -> Message:
            nonlocal place
            if place < len(self._seen):
                place += 1
                return self._seen[place - 1]
            message = await self._receive()
            place += 1
            self._keep(message)
            return message

        return receive

    def can_be_repeated(self) -> bool:
        """Whether its client still waits, and all of its body is there."""
        return not self.is_gone and self._seen_bytes <= REPLAYED_BYTES

    def _keep(self, message: Message) -> None:
        self.is_gone = self.is_gone or message["type"] == "http.disconnect"
        self._seen_bytes += len(message.get("body", b""))
        if self.can_be_repeated():
            self._seen.append(message)
        else:
            self._seen.clear()


class Answer:
    """Passes an answer on as soon as it has a body, and says the proxy's own in the service's form."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._is_replaced = False
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start is not None:
            start, self._start = self._start, None
            self.begun = True
            if (problem := of_the_proxy(start, message.get("body", b""))) is not None:
                self._is_replaced = True
                return await send_problem(problem, self._send)
            await self._send(start)
        if not self._is_replaced:
            await self._send(message)


def of_the_proxy(start: Message, body: bytes) -> Problem | None:
    """What the proxy says by itself, and not for a replica, as one of the service's problems."""
    content_type = dict(start["headers"]).get(b"content-type", b"")
    if not content_type.startswith(b"text/plain"):
        return None
    said = body.decode("utf-8", "replace")
    match start["status"]:
        case 404:
            return Problem(503, "unavailable", "the service is starting or stopping; try again", RETRY_AFTER)
        case 408:
            return Problem(503, "timeout", said, RETRY_AFTER)
        case 503:
            return Problem(503, "unavailable", f"more requests wait than may: {said}", RETRY_AFTER)
    return None


def died() -> Problem:
    """Replicas died under a request, one after the other."""
    return Problem(503, "unavailable", "the replicas that were asked died; try again", RETRY_AFTER)


async def send_problem(problem: Problem, send: Send) -> None:
    """Answer with a problem in place of what was to be sent."""
    response = problem.response()
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body})
