"""Every form of the served application, as its clients use it, and bodies that mean no good, over real HTTP."""

import base64
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cohere
import httpx
import numpy as np
import openai
import psutil
import pytest

from pinrank.embeddings.boards import Boards, title_texts
from pinrank.student.export import StudentBundle, open_student
from pinrank.text import FIELDS
from serve_apps.rerank.api_keys import hash_of
from tests.serve_apps.shop import QUERIES, Shop, free_port

pytestmark = pytest.mark.ray

KEY = "pinrank-of-the-tests"
QUERY = "red wool sweater"
MOST_MB = 50
"""What a hostile body may cost replica and HTTP server, each."""

CASES = int(os.environ.get("PINRANK_HTTP_CASES", "100"))
"""Generated requests to the four paths that are posted to, beside some hundred that the schema's borders make."""


@dataclass(frozen=True)
class App:
    """The served application, and the processes of its replica and of the HTTP server before it."""

    url: str
    port: int
    processes: list[psutil.Process]

    def memory_mb(self) -> list[float]:
        return [process.memory_info().rss / 2**20 for process in self.processes]

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        response = self.send(path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def send(self, path: str, **content: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {KEY}"} | content.pop("headers", {})
        return httpx.post(self.url + path, headers=headers, timeout=30, **content)


@pytest.fixture(scope="module")
def app(ray_session: None, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The application in one replica, with API keys."""
    from ray import serve

    from serve_apps.rerank.app import build
    from serve_apps.rerank.settings import RerankSettings

    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"tests {hash_of(KEY)}\n")
    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    settings = RerankSettings(student=str(shop.student), pin_store=str(shop.pin_store), api_keys=str(keys))
    serve.run(build(settings), name="forms", route_prefix="/", logging_config={"enable_access_log": False})
    ours = psutil.Process().children(recursive=True)
    processes = [each for each in ours if named(each, "ServeReplica:forms:Rerank") or named(each, "ray::ProxyActor")]
    assert len(processes) == 2, processes
    yield App(f"http://127.0.0.1:{port}", port, processes)
    serve.shutdown()


def named(process: psutil.Process, name: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return name in " ".join(process.cmdline())
    return False


@pytest.fixture(scope="module")
def bundle(shop: Shop) -> StudentBundle:
    return open_student(shop.student)


@pytest.fixture(scope="module")
def openai_client(app: App) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{app.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@contextlib.contextmanager
def cohere_client(app: App, key: str = KEY) -> Iterator[cohere.ClientV2]:
    with httpx.Client() as connection:
        yield cohere.ClientV2(api_key=key, base_url=app.url, httpx_client=connection)


def test_coheres_client_ranks(app: App) -> None:
    documents = ["a bowl of soup", "red wool sweater", "blue bicycle"]
    with cohere_client(app) as client:
        answer = client.rerank(model="student", query=QUERY, documents=documents, top_n=2)
    ours = app.post("/v2/rerank", query=QUERY, documents=documents)["results"][:2]
    assert [(each.index, each.relevance_score) for each in answer.results] == [
        (each["index"], each["relevance_score"]) for each in ours
    ]
    assert answer.meta.api_version.version == "2"


def test_coheres_client_understands_a_refusal(app: App) -> None:
    with pytest.raises(cohere.UnauthorizedError, match="API key"), cohere_client(app, "wrong") as client:
        client.rerank(model="m", query="a", documents=["b"])
    with pytest.raises(cohere.UnprocessableEntityError, match="query: must not be empty"), cohere_client(app) as client:
        client.rerank(model="m", query=" ", documents=["b"])


def test_jinas_form_has_what_its_clients_read(app: App, bundle: StudentBundle) -> None:
    documents = ["a bowl of soup", {"text": "red wool sweater"}, {"id": "pin-1"}]
    answer = app.post("/v1/rerank", model="m", query=QUERY, documents=documents, top_n=3)
    read = bundle.encoder.tokens([QUERY, "a bowl of soup", "red wool sweater"], 64)
    assert answer["usage"] == {"prompt_tokens": sum(map(len, read)), "total_tokens": sum(map(len, read))}
    assert (answer["model"], answer["object"]) == (bundle.version, "list")
    assert {each["index"]: each["document"] for each in answer["results"]} == {
        0: {"text": "a bowl of soup"},
        1: {"text": "red wool sweater"},
        2: {"id": "pin-1"},
    }
    plain = app.post("/v1/rerank", query=QUERY, documents=documents, top_n=0, return_documents=False)
    assert "document" not in plain["results"][0]
    same = app.post("/v2/rerank", query=QUERY, documents=documents)
    scores = [(each["index"], each["relevance_score"]) for each in same["results"]]
    assert [(each["index"], each["relevance_score"]) for each in plain["results"]] == scores


def test_pins_by_id_in_columns_get_the_scores_of_the_other_forms(app: App, shop: Shop) -> None:
    pin_ids = [*list(shop.pins)[:60], "gone"]
    shown = [float(place) if place % 3 else None for place in range(len(pin_ids))]
    columns = app.post(
        "/v1/rank", query=QUERIES[0], pin_ids=pin_ids, pair_features={"shown": shown}, return_levels=True
    )
    documents = [{"id": pin_id, "pair_features": {"shown": each}} for pin_id, each in zip(pin_ids, shown, strict=True)]
    objects = app.post("/v2/rerank", query=QUERIES[0], documents=documents, return_levels=True)["results"]
    assert columns["pin_ids"] == [pin_ids[each["index"]] for each in objects]
    assert columns["scores"] == [each["relevance_score"] for each in objects]
    assert columns["probabilities"] == [each.get("probabilities") for each in objects]
    assert columns["expected_levels"] == [each.get("expected_level") for each in objects]
    assert columns["not_found"] == ["gone"]
    assert app.post("/v1/rank", query=QUERIES[0], pin_ids=pin_ids, top_n=2)["pin_ids"] != pin_ids[:2]


def test_features_of_the_query_count_in_every_form(app: App, shop: Shop) -> None:
    pin_ids = list(shop.pins)[:20]
    said = {"query_features": {"searches": 900, "interest": ["food"]}}
    without = app.post("/v1/rank", query=QUERY, pin_ids=pin_ids)["scores"]
    columns = app.post("/v1/rank", query=QUERY, pin_ids=pin_ids, **said)
    objects = app.post("/v1/rerank", query=QUERY, documents=[{"id": each} for each in pin_ids], **said)["results"]
    assert columns["scores"] != without
    assert columns["scores"] == [each["relevance_score"] for each in objects]


@pytest.mark.parametrize("encoding_format", ["float", "base64", None])
def test_openais_client_embeds(
    openai_client: openai.OpenAI, bundle: StudentBundle, encoding_format: str | None
) -> None:
    given = {} if encoding_format is None else {"encoding_format": encoding_format}
    answer = openai_client.embeddings.create(model="student", input=[QUERY, "寿司", QUERY], **given)
    vectors = [each.embedding for each in answer.data]
    if encoding_format == "base64":
        vectors = [np.frombuffer(base64.b64decode(each), dtype="<f4") for each in vectors]
    np.testing.assert_allclose(vectors, bundle.encode_queries([QUERY, "寿司", QUERY]), atol=1e-5)
    assert vectors[0] is not vectors[2] and list(vectors[0]) == list(vectors[2])
    assert [each.index for each in answer.data] == [0, 1, 2]
    assert answer.model == f"{bundle.version}/query"
    tokens = bundle.encoder.tokens([QUERY, "寿司", QUERY], 16)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(map(len, tokens))


def test_pins_and_boards_are_read_as_embed_texts_reads_them(
    openai_client: openai.OpenAI, bundle: StudentBundle
) -> None:
    title = "red " * 40  # longer than a title's budget of words
    board = title_texts(Boards(["b"], [title], np.zeros(0, np.int64), None)).select(list(FIELDS)).to_pylist()
    expected = bundle.encode_pins([title, *bundle.pin_texts(board)])
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    for kind, vector in (("pin", expected[0]), ("board", expected[1])):
        by_field = openai_client.embeddings.create(model="m", input=title, extra_body={"input_type": kind})
        by_name = openai_client.embeddings.create(model=f"student/{kind}", input=title)
        for answer in (by_field, by_name):
            np.testing.assert_allclose(answer.data[0].embedding, vector, atol=1e-2)  # bfloat16 where the CPU has it
            assert answer.model == f"{bundle.version}/{kind}"


def test_vectors_are_cut_where_the_student_was_trained_to_be(
    openai_client: openai.OpenAI, bundle: StudentBundle
) -> None:
    answer = openai_client.embeddings.create(model="m", input=QUERY, dimensions=8)
    np.testing.assert_allclose([answer.data[0].embedding], bundle.cut(8).encode_queries([QUERY]), atol=1e-5)
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        openai_client.embeddings.create(model="m", input=QUERY, dimensions=9)
    assert refused.value.body == "dimensions: the student was trained for 8, 32, not 9"


def test_openais_client_lists_models(openai_client: openai.OpenAI, bundle: StudentBundle) -> None:
    assert [model.id for model in openai_client.models.list()] == [bundle.version]


def test_an_explanation_adds_up_to_the_score_in_every_form(app: App, shop: Shop) -> None:
    pin_ids = list(shop.pins)[:12]
    asked = {"query": QUERY, "query_features": {"searches": 20}, "explain": True}
    documents = [*({"id": pin_id} for pin_id in pin_ids), "red sweater", {"id": "gone"}]
    objects = app.post("/v2/rerank", **asked, documents=documents)["results"]
    assert [each["index"] for each in objects if "explanation" not in each] == [13]
    for each in objects[:-1]:
        why = each["explanation"]
        assert each["relevance_score"] == pytest.approx(why["base"] + sum(why["contributions"].values()), abs=1e-5)
        assert set(why["contributions"]) == {"texts", "query", "pin", "lexical", "counts", "pair", "external: search"}
        assert (why["features"]["pair.shown"], why["contributions"]["pair"]) == (None, 0.0)
    columns = app.post("/v1/rank", **asked, pin_ids=pin_ids, top_n=3)
    for score, why in zip(columns["scores"], columns["explanations"], strict=True):
        assert score == pytest.approx(why["base"] + sum(why["contributions"].values()), abs=1e-5)


def test_headers_say_who_answered_how_and_how_fast(app: App, bundle: StudentBundle) -> None:
    body = {"query": f"{QUERY} {time.time()}", "documents": [{"id": "pin-1"}, {"id": "gone"}]}
    first = app.send("/v2/rerank", json=body, headers={"x-request-id": "mine-1"})
    odd = app.send("/v2/rerank", json=body, headers={"x-request-id": "not well-formed"})
    assert odd.headers["x-request-id"] == odd.json()["id"] != "not well-formed"
    again = app.send("/v2/rerank", json=body)
    assert (first.headers["x-request-id"], first.json()["id"]) == ("mine-1", "mine-1")
    assert again.headers["x-request-id"] == again.json()["id"] != "mine-1"
    assert (first.headers["x-cache"], again.headers["x-cache"]) == ("miss", "hit")
    assert (first.headers["x-model-version"], first.headers["x-degraded"]) == (bundle.version, "input_order")
    stages = re.findall(r"(\w+);dur=([\d.]+)", first.headers["server-timing"])
    assert [name for name, _ in stages] == ["encode", "candidates", "rank", "total"]


def test_without_a_key_only_health_and_readiness_answer(app: App) -> None:
    assert [httpx.get(f"{app.url}/{path}").status_code for path in ("health", "ready")] == [200, 200]
    for path in ("v1/models", "openapi.json", "docs", "nothing"):
        assert httpx.get(f"{app.url}/{path}").status_code == 401
    response = httpx.post(f"{app.url}/v2/rerank", json={"query": "a", "documents": ["b"]})
    assert (response.status_code, response.json()["error_type"]) == (401, "unauthorized")
    assert response.headers["x-request-id"]


def test_the_openapi_names_the_students_features(app: App) -> None:
    whole = httpx.get(f"{app.url}/openapi.json", headers={"x-api-key": KEY}).json()
    schemas = whole["components"]["schemas"]
    of_query = schemas["RankRequest"]["properties"]["query_features"]["anyOf"][0]
    assert set(of_query["properties"]) == {"searches", "intent", "interest", "search"}
    assert of_query["additionalProperties"] is False
    assert whole["paths"]["/v1/rank"]["post"]["security"] == [{"HTTPBearer": []}]
    assert "security" not in whole["paths"]["/health"]["get"]


# Bodies that mean no good.


def deep() -> bytes:
    return b'{"query": "a", "documents": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"


def chunks(size: int, most: int) -> Iterator[bytes]:
    for _ in range(most):
        yield b" " * size


def exchange(app: App, head: bytes, pieces: Iterator[bytes], wait_s: float = 0.0) -> tuple[int, dict[str, Any]]:
    """Send a request piece by piece until the service answers: the status and the body of its answer."""
    with socket.create_connection(("127.0.0.1", app.port), timeout=20) as connection:
        connection.sendall(b"POST /v2/rerank HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + KEY.encode() + b"\r\n")
        connection.sendall(b"content-type: application/json\r\n" + head + b"\r\n\r\n")
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(wait_s)
                connection.setblocking(False)
                try:
                    if connection.recv(1, socket.MSG_PEEK):
                        break
                except BlockingIOError:
                    pass
                finally:
                    connection.settimeout(20)
        except OSError:
            pass  # it has closed its side
        with contextlib.closing(http.client.HTTPResponse(connection)) as response:
            response.begin()
            return response.status, json.loads(response.read())


def as_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)


@pytest.mark.parametrize(
    ("send", "status"),
    [
        (lambda app: exchange(app, b"content-length: 104857600", chunks(2**20, 100)), 413),
        (lambda app: exchange(app, b"transfer-encoding: chunked", as_chunks(chunks(2**20, 100_000))), 413),
        (lambda app: exchange(app, b"content-length: 1000", chunks(1, 1_000), wait_s=0.05), 408),
        (lambda app: exchange(app, b"content-length: %d" % len(deep()), iter([deep()])), 400),
        (lambda app: exchange(app, b"content-length: 14", iter([b'{"query": NaN}'])), 400),
        (lambda app: exchange(app, b"content-length: 2097152", iter([b"[" * 2**21])), 400),
        (lambda app: exchange(app, b"content-length: 2097152", iter([b'{"query": "' + b"a" * (2**21 - 11)])), 400),
    ],
    ids=["100_mb", "endless", "slow", "deep", "nan", "brackets", "open_text"],
)
def test_a_hostile_body_is_refused_and_costs_little(
    app: App, send: Callable[[App], tuple[int, dict[str, Any]]], status: int
) -> None:
    app.post("/v2/rerank", query=QUERY, documents=["a"])
    before = app.memory_mb()
    for _ in range(1 if status == 408 else 3):
        found, told = send(app)
        assert (found, set(told)) == (status, {"error", "error_type"})
        assert max(np.subtract(app.memory_mb(), before)) < MOST_MB
    app.post("/v2/rerank", query=QUERY, documents=["a"])


def test_a_request_of_ten_thousand_ids_is_ranked_and_one_more_is_refused(app: App) -> None:
    pin_ids = [f"pin-{number}" for number in range(10_000)]
    assert len(app.post("/v1/rank", query=QUERY, pin_ids=pin_ids)["pin_ids"]) == 10_000
    response = app.send("/v1/rank", json={"query": QUERY, "pin_ids": [*pin_ids, "b"]})
    assert (response.status_code, response.json()["error_type"]) == (422, "too_many_documents")


@pytest.mark.timeout(600 + CASES)
def test_generated_requests_of_the_openapi_find_no_fault(app: App, tmp_path: Path, root: Path) -> None:
    """schemathesis, all of its checks: no 5xx, answers as the OpenAPI says, what it allows is accepted, what it does
    not is refused, and nothing is answered without a key."""
    command = [
        *(str(Path(sys.executable).with_name("st")), "run", f"{app.url}/openapi.json"),
        *("--checks", "all", "--phases", "coverage,fuzzing", "--continue-on-failure", "--seed", "1"),
        *("--max-examples", str(CASES // 4), "--request-timeout", "30", "--header", f"Authorization: Bearer {KEY}"),
        *("--report", "json", "--report-json-path", str(tmp_path / "report.json"), "--no-color"),
    ]
    hooks = os.environ | {"SCHEMATHESIS_HOOKS": "tests.serve_apps.generated", "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=tmp_path, env=hooks, capture_output=True, text=True)
    summary = done.stdout[done.stdout.rfind("Test cases:") :]
    print(summary)
    assert done.returncode == 0, done.stdout[:6000] + done.stderr[-2000:]
    generated, passed = map(int, re.findall(r"(\d+) (?:generated|passed)", summary)[:2])
    assert passed == generated >= CASES


def examples(page: str, language: str) -> list[str]:
    """The blocks of code of one language in a Markdown page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


def test_the_docs_examples_run(app: App, root: Path) -> None:
    page = (root / "docs/serve.md").read_text()
    curls = [block for block in examples(page, "console") if block.startswith("curl")]
    for command in curls:
        here = command.replace("http://127.0.0.1:8000", app.url).rstrip() + f" -f -H 'x-api-key: {KEY}'"
        done = subprocess.run(["bash", "-c", here], capture_output=True, text=True)
        assert done.returncode == 0, command
        assert {"results", "pin_ids", "data"} & set(json.loads(done.stdout))
    clients = examples(page, "python")
    for code in clients:
        here = code.replace("http://127.0.0.1:8000", app.url).replace('"none"', f'"{KEY}"')
        done = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert re.search(r"\d", done.stdout)
    assert (len(curls), len(clients)) == (4, 2)
