"""Traces of requests in one process, and what goes over the wire to a collector."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from pinrank.errors import SettingsError
from pinrank.student.export import read_card
from serve_apps.rerank.routes import http_app
from serve_apps.rerank.spans import exporter, tracer
from tests.serve_apps.graph import graph
from tests.serve_apps.shop import Shop
from tests.serve_apps.traced import spans_in

QUERY = "red wool sweater"
BODY = {"query": QUERY, "documents": [{"id": "pin-1"}, {"id": "nowhere"}, "a blue bicycle"]}
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def client_of(shop: Shop, **settings: Any) -> TestClient:
    rerank = graph(shop, read_card(shop.student).version, **settings)
    return TestClient(http_app(rerank, rerank.settings))


def test_a_request_is_one_trace_with_a_span_a_stage_below_the_clients(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "traces" / "spans.jsonl"
    client = client_of(shop, traces=str(file))
    header = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}
    assert client.post("/v2/rerank", json=BODY, headers=header).status_code == 200
    spans = spans_in(file, TRACE_ID, number=4)
    request = spans.pop("request")
    assert request["parent_id"] == f"0x{SPAN_ID}" and request["kind"] == "SpanKind.SERVER"
    assert {name: span["parent_id"] for name, span in spans.items()} == dict.fromkeys(
        ("encode", "lookup", "rank"), request["context"]["span_id"]
    )
    assert request["attributes"] == {
        "url.path": "/v2/rerank",
        "http.response.status_code": 200,
        "pinrank.documents": 3,
        "pinrank.model": read_card(shop.student).version,
        "pinrank.role": "current",
        "pinrank.degraded": "input_order",
    }
    assert all(span["start_time"] >= request["start_time"] for span in spans.values())
    assert all(span["end_time"] <= request["end_time"] for span in spans.values())


def test_spans_hold_no_query_id_or_text_even_of_a_request_that_is_refused(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    client = client_of(shop, traces=str(file))
    header = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}
    assert client.post("/v2/rerank", json={"query": QUERY, "documents": []}, headers=header).status_code == 422
    assert spans_in(file, TRACE_ID, number=1)["request"]["attributes"]["http.response.status_code"] == 422
    assert client.post("/v2/rerank", json=BODY).status_code == 200
    assert tracer(str(file), 1.0).span_processor.force_flush()  # type: ignore[attr-defined]
    written = file.read_text()
    assert written.count('"name": "rank"') == 1
    assert not any(said in written for said in ("sweater", "pin-1", "nowhere", "bicycle"))


@pytest.mark.parametrize("flag", ["00", "01"])
def test_the_client_decides_whether_its_request_is_traced(shop: Shop, tmp_path: Path, flag: str) -> None:
    file = tmp_path / "spans.jsonl"
    client = client_of(shop, traces=str(file), trace_share=0.0)
    for trace_id, sampled in ((TRACE_ID, flag), ("1" * 32, "01")):
        header = {"traceparent": f"00-{trace_id}-{SPAN_ID}-{sampled}"}
        assert client.post("/v2/rerank", json=BODY, headers=header).status_code == 200
    assert client.post("/v2/rerank", json=BODY).status_code == 200  # of which nobody said anything: share 0
    spans_in(file, "1" * 32, number=4)
    traced = {json.loads(line)["context"]["trace_id"] for line in file.read_text().splitlines()}
    assert traced == {f"0x{trace_id}" for trace_id in ("1" * 32, *([TRACE_ID] if flag == "01" else []))}


def test_without_traces_no_request_passes_the_middleware(shop: Shop) -> None:
    app = client_of(shop).app
    assert "TracedRequests" not in {layer.cls.__name__ for layer in app.user_middleware}


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A server that takes in spans over OTLP, as a collector does."""
    received: list[ExportTraceServiceRequest] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_collector_gets_the_spans_over_otlp(
    shop: Shop, collector: tuple[str, list[ExportTraceServiceRequest]]
) -> None:
    address, received = collector
    assert client_of(shop, traces=address).post("/v2/rerank", json=BODY).status_code == 200
    assert tracer(address, 1.0).span_processor.force_flush()  # type: ignore[attr-defined]
    spans = [
        span for each in received for of in each.resource_spans for scope in of.scope_spans for span in scope.spans
    ]
    assert sorted(span.name for span in spans) == ["encode", "lookup", "rank", "request"]
    assert len({span.trace_id for span in spans}) == 1


def test_a_collector_without_the_exporter_is_refused_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match="pinrank\\[tracing\\]"):
        exporter("http://127.0.0.1:4318")
