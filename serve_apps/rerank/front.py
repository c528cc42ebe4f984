"""What Serve's HTTP server does before it hands a request to a replica, where Ray was started with

    RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=serve_apps.rerank.front:middlewares

and this module on its PYTHONPATH. Serve's proxy reads a body as fast as it comes and holds it until a replica asks, so
that a chunked one may grow by hundreds of MB before the replica's 413 is there; and a slow one takes a replica's place.
Here no more than the limit is ever read, and a replica meets whole bodies only. A request whose replica dies goes to
another one.

PINRANK_BODY_LIMIT_BYTES and PINRANK_BODY_TIMEOUT_S say what the settings of the app say elsewhere, for all apps of the
cluster.
"""

import os

from starlette.middleware import Middleware

from serve_apps.rerank.body_limit import BodyLimit
from serve_apps.rerank.headers import RequestIds
from serve_apps.rerank.second_try import SecondTry
from serve_apps.rerank.settings import RerankSettings

VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
HERE = "serve_apps.rerank.front:middlewares"


def reads_bodies() -> bool:
    """Whether the HTTP server before this replica hands on whole bodies only: then one that is late has no slow sender,
    the server is busy."""
    return os.environ.get(VARIABLE) == HERE and os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") != "1"


def middlewares() -> list[Middleware]:
    """The innermost first, as Serve takes them."""
    said = {name: os.environ.get(f"PINRANK_{name.upper()}") for name in ("body_limit_bytes", "body_timeout_s")}
    settings = RerankSettings.model_validate({name: value for name, value in said.items() if value is not None})
    return [
        Middleware(SecondTry),
        Middleware(BodyLimit, limit_bytes=settings.body_limit_bytes, timeout_s=settings.body_timeout_s),
        Middleware(RequestIds),
    ]
