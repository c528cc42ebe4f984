"""Traces of requests, where the settings ask for them: one a request, with a span a stage, in whatever replica it ran.

    request                     the ingress, from the first byte of the body to the last of the answer
    |- encode                   the ranker waits for the query's vector
    |- lookup                   and for pins, and texts that are encoded
    `- rank                     features and MLP

A trace travels as W3C's traceparent: from the client's header into the question, and with it to the ranker's replica. A
request that is not sampled has none, and costs nothing more. Spans carry figures, never a query, an id or a text.
"""

import functools
import os
import socket
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pinrank.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

    from serve_apps.rerank.asked import Ranked

T = TypeVar("T")

SERVICE = "pinrank-rerank"
REQUEST = "request"

_request: ContextVar["Span | None"] = ContextVar("request", default=None)
"""The span of the request that runs here, where it is sampled."""


class Spans:
    """Where the spans of a replica go; without `traces` nowhere."""

    def __init__(self, traces: str | None, share: float) -> None:
        self._tracer = None if traces is None else tracer(traces, share)

    def within(self, stage: str, trace: str | None, work: Awaitable[T]) -> Awaitable[T]:
        """What `work` gives, as a stage of the trace; `work` itself where there is none."""
        return work if trace is None or self._tracer is None else self._spanned(stage, trace, work)

    async def _spanned(self, stage: str, trace: str, work: Awaitable[T]) -> T:
        with self.open(stage, trace):
            return await work

    @contextmanager
    def open(self, name: str, trace: str | None) -> Iterator["Span"]:
        """A span below a traceparent, or the first of a trace. An exception ends it as an error, without its text."""
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        assert self._tracer is not None
        kind = SpanKind.SERVER if name == REQUEST else SpanKind.INTERNAL
        above = TraceContextTextMapPropagator().extract({} if trace is None else {"traceparent": trace})
        span = self._tracer.start_span(name, context=above, kind=kind)
        try:
            yield span
        except BaseException as cause:
            span.set_status(StatusCode.ERROR, type(cause).__name__)
            raise
        finally:
            span.end()


NO_SPANS = Spans(None, 0.0)


class TracedRequests:
    """ASGI middleware: a span over each POST, below the client's own where its header says so."""

    def __init__(self, app: ASGIApp, spans: Spans) -> None:
        self.app = app
        self.spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        client = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        with self.spans.open(REQUEST, client or None) as span:
            span.set_attribute("url.path", scope["path"])
            token = _request.set(span if span.is_recording() else None)
            try:
                await self.app(scope, receive, _noting_status(send, span))
            finally:
                _request.reset(token)


def _noting_status(send: Send, span: "Span") -> Send:
    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
        await send(message)

    return noted


def note_answer(ranked: "Ranked", role: str) -> None:
    """Say on the request's span who answered, how many documents and how completely."""
    if (span := _request.get()) is not None:
        span.set_attribute("pinrank.documents", len(ranked.graded.found))
        span.set_attributes({"pinrank.model": ranked.model, "pinrank.role": role})
        span.set_attribute("pinrank.degraded", ranked.degraded or "")


def current_trace() -> str | None:
    """The traceparent of the request that runs here; None where it is not sampled."""
    if (span := _request.get()) is None:
        return None
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


@functools.cache
def tracer(traces: str, share: float) -> "Tracer":
    """The tracer of this process that sends spans to `traces`; a share of the requests that no client decided about."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    process = Resource.create({"service.name": SERVICE, "host.name": socket.gethostname(), "process.pid": os.getpid()})
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)), resource=process)
    provider.add_span_processor(BatchSpanProcessor(exporter(traces), schedule_delay_millis=1000))
    return provider.get_tracer("pinrank")


def exporter(traces: str) -> "SpanExporter":
    """What sends spans: over OTLP to an http address, else as JSON lines into a file. Raises SettingsError."""
    if not traces.startswith(("http://", "https://")):
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        Path(traces).parent.mkdir(parents=True, exist_ok=True)
        lines = open(traces, "a", encoding="utf-8")  # noqa: SIM115, PTH123 (open as long as the process lives)
        return ConsoleSpanExporter(out=lines, formatter=lambda span: span.to_json(indent=None) + "\n")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as cause:
        raise SettingsError(f"traces {traces}: needs OTLP's exporter: pip install 'pinrank[tracing]'") from cause
    return OTLPSpanExporter(endpoint=f"{traces.rstrip('/')}/v1/traces")
