"""Refuse a request body that is too large before it is held in memory, by the bytes that really arrive."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.rerank.problems import Problem


class BodyLimit:
    """ASGI middleware: reads at most limit_bytes of a body and answers 413 to a longer one, announced or chunked."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self.app = app
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        body = None if _announced_bytes(scope) > self.limit_bytes else await _read(receive, self.limit_bytes)
        if body is None:
            too_large = Problem(
                413, "body_too_large", f"the body exceeds {self.limit_bytes} bytes; send fewer documents"
            )
            return await too_large.response()(scope, receive, send)
        await self.app(scope, _replay(body, receive), send)


def _announced_bytes(scope: Scope) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"")
    return int(value) if value.isdigit() else 0


async def _read(receive: Receive, limit_bytes: int) -> bytes | None:
    """The whole body, or None as soon as it is longer than the limit."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > limit_bytes:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
