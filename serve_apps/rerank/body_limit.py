"""Refuse a request body that is too large before it is held in memory, by the bytes that really arrive, and one that
never comes."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.rerank.problems import Problem

CLOSE = {"Connection": "close"}
"""What is left of such a body is not read, so nothing else can come on its connection."""


class BodyLimit:
    """ASGI middleware: reads at most limit_bytes of a body and answers 413 to a longer one, announced or chunked, and
    408 to one that is not here after timeout_s; None waits for it."""

    def __init__(self, app: ASGIApp, limit_bytes: int, timeout_s: float | None) -> None:
        self.app = app
        self.limit_bytes = limit_bytes
        self.timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            body = await self._body(scope, receive)
        except Problem as problem:
            return await problem.response()(scope, receive, send)
        if body is not None:
            await self.app(scope, _replay(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body, None where the client left. Raises Problem 413 or 408."""
        if _announced_bytes(scope) > self.limit_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self.timeout_s):
                while (message := await receive())["type"] == "http.request":
                    body += message.get("body", b"")
                    if len(body) > self.limit_bytes:
                        raise self._too_large()
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            reason = f"the body was not here after {self.timeout_s:g} seconds"
            raise Problem(408, "body_too_slow", reason, CLOSE) from None
        return None

    def _too_large(self) -> Problem:
        reason = f"the body exceeds {self.limit_bytes} bytes; send fewer documents"
        return Problem(413, "body_too_large", reason, CLOSE)


def _announced_bytes(scope: Scope) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"")
    return int(value) if value.isdigit() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
