"""What benchmarks.rerank_latency measures with: the bare app is the same service, the clients count."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import uvloop

from benchmarks.served.bare import Bare
from benchmarks.served.load import load
from pinrank.embeddings.store import PinStore
from pinrank.student.export import open_student
from serve_apps.rerank.by_ids import RankRequest, asked_of, rank_answer
from tests.serve_apps.graph import graph
from tests.serve_apps.shop import Shop

BODY = b'{"query": "red wool sweater", "pin_ids": ["pin-3", "no pin", "pin-7", "pin-11", "pin-12"]}'


def test_the_bare_app_answers_what_the_graph_answers(shop: Shop) -> None:
    bundle = open_student(shop.student)
    bare = json.loads(Bare(bundle, PinStore.open(shop.pin_store)).answered(BODY))
    asked = RankRequest.model_validate_json(BODY)
    ranked = uvloop.run(graph(shop, bundle.version).rank(asked_of(asked, 0)))
    served = rank_answer(asked, ranked, "1")
    assert bare["not_found"] == ["no pin"]
    assert {**bare, "id": "", "meta": bare["meta"]["model"]} == {**served, "id": "", "meta": served["meta"]["model"]}


class Counting(BaseHTTPRequestHandler):
    """Answers 200 to all but each third request, and remembers what came."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.bodies.append(body)
        self.send_response(503 if body == b"3" else 200)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"done")

    def log_request(self, *said: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def counting() -> Iterator[str]:
    Counting.bodies.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_load_counts_every_answer_and_those_that_failed(counting: str) -> None:
    found = load(f"{counting}/path", [b"1", b"2", b"3"], clients=3, seconds=0.3)
    assert found.failed == Counting.bodies.count(b"3") > 0
    assert {body: Counting.bodies.count(body) for body in (b"1", b"2")} == {
        b"1": pytest.approx(found.failed, abs=1),
        b"2": pytest.approx(found.failed, abs=1),
    }
    assert found.rps * 0.3 <= len(Counting.bodies)
    assert 0 < found.p50_ms <= found.p99_ms
