"""Every answer that is not 2xx has the body {"error": message, "error_type": type}.

400 malformed_json      the body is no JSON, or none that a parser can hold
401 unauthorized        no API key, or none that is known, where the settings name a file of them
404 not_found           no such path
405 method_not_allowed
408 body_too_slow       the body did not come within body_timeout_s
413 body_too_large      more bytes than body_limit_bytes
422 invalid_request     JSON that is no request of this form: the message names the field
422 too_many_documents  more than max_documents
429 overloaded          max_in_flight rankings are under way; Retry-After says when to come again
500 internal            a bug: the replica's log has its traceback
503 unavailable         a deployment is starting, gone or over its queue
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

SHOWN = 3
"""How many faults of a request an answer names before it only counts."""

NO_JSON = "Invalid JSON: "
"""How pydantic begins to say what is wrong with JSON."""

KINDS = ("<text>", "<other>")
"""How a fault's place names the form of a field that has two."""

_TYPES = {400: "malformed_json", 404: "not_found", 405: "method_not_allowed"}


class Problem(Exception):
    """A request that gets another answer than 2xx."""

    def __init__(self, status: int, error_type: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.headers = headers

    def response(self) -> JSONResponse:
        body = {"error": str(self), "error_type": self.error_type}
        return JSONResponse(body, status_code=self.status, headers=self.headers)


def answer_problems(app: FastAPI) -> None:
    """Make the app answer its own, Starlette's and unforeseen errors in the one form."""

    @app.exception_handler(Problem)
    async def problem(request: Request, cause: Problem) -> JSONResponse:
        return cause.response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, cause: HTTPException) -> JSONResponse:
        error_type = _TYPES.get(cause.status_code, "http_error")
        return Problem(cause.status_code, error_type, str(cause.detail), cause.headers).response()

    @app.exception_handler(Exception)
    async def bug(request: Request, cause: Exception) -> JSONResponse:
        return Problem(500, "internal", "internal error; the server's log has its traceback").response()


def of_faults(faults: Sequence[Mapping[str, Any]]) -> Problem:
    """The faults that pydantic found in a body as one problem: 400 where it is no JSON, else 422."""
    if faults and faults[0]["type"] == "json_invalid":
        return Problem(400, "malformed_json", f"the body is no JSON: {str(faults[0]['msg']).removeprefix(NO_JSON)}")
    if any(not fault["loc"] for fault in faults):
        return no_object()
    told = "; ".join(f"{_name(fault['loc'])}: {_reason(fault)}" for fault in faults[:SHOWN])
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return Problem(422, "invalid_request", told + more)


def no_object() -> Problem:
    """The body may be JSON, but no object, or does not say that it is JSON."""
    message = "the body must be a JSON object, sent with 'content-type: application/json'"
    return Problem(422, "invalid_request", message)


def _name(location: Sequence[str | int]) -> str:
    """('documents', 3, '<other>', 'text') becomes documents[3].text."""
    parts = [part for part in location if part not in KINDS]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _reason(fault: Mapping[str, Any]) -> str:
    if fault["type"] in ("string_too_short", "string_pattern_mismatch"):
        return "must not be empty"
    reason = str(fault["msg"]).removeprefix("Value error, ")
    return reason[:1].lower() + reason[1:]
