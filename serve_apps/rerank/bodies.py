"""From a request's body to what it says, read once and strictly, straight from the bytes."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from serve_apps.rerank.problems import Problem, no_object, of_faults

M = TypeVar("M", bound=BaseModel)

OUTSIDE_JSON = (b"NaN", b"Infinity")
"""Literals that many parsers read and JSON does not have; a text may hold them."""


class BodyRoute(APIRoute):
    """A route whose first argument, `asked`, is the body; FastAPI describes it in the OpenAPI and does no more.

    Its endpoint is called with the body and the request. FastAPI's own reading takes three times as long and lets NaN
    pass.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint, form = self.endpoint, get_type_hints(self.endpoint)["asked"]

        async def handle(request: Request) -> Response:
            answered: Response = await endpoint(await read(request, form), request)
            return answered

        return handle


async def read(request: Request, form: type[M]) -> M:
    """The body of a request. Raises Problem: 400 where it is no JSON, 422 where it is none of this form."""
    if not is_json(request.headers.get("content-type", "")):
        raise no_object()
    return parse(await request.body(), form)


def parse(body: bytes, form: type[M]) -> M:
    """Bytes of JSON. Raises Problem as `read`."""
    try:
        if any(literal in body for literal in OUTSIDE_JSON):
            from_json(body, allow_inf_nan=False)
        return form.model_validate_json(body)
    except ValidationError as cause:
        raise of_faults(cause.errors(include_url=False, include_context=False, include_input=False)) from None
    except ValueError as cause:
        raise Problem(400, "malformed_json", f"the body is no JSON: {cause}") from None


def is_json(content_type: str) -> bool:
    """Whether a content type is application/json, or says that it is built on it."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
