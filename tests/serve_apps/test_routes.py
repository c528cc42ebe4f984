"""What the HTTP interface refuses before any deployment is asked: the app itself, without Ray."""

import asyncio
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from ray.exceptions import RayActorError

from pinrank.errors import ModelError
from pinrank.student.declaration import Declaration
from pinrank.student.features import FeatureSpec, Order
from serve_apps.rerank import front
from serve_apps.rerank.ingress import Rerank
from serve_apps.rerank.opened import Opened
from serve_apps.rerank.routes import http_app
from serve_apps.rerank.settings import RerankSettings

SETTINGS = RerankSettings(
    body_limit_bytes=300_000,
    body_timeout_s=0.3,
    max_documents=1_000,
    max_texts=20,
    max_query_chars=100,
    max_in_flight=1,
)
NO_FEATURES = FeatureSpec(declared=Declaration(), order=Order(pair=(), query=(), pin=()), statistics={})
NEVER_ASKED = SimpleNamespace(prepare=None, rank=None)
JSON = {"content-type": "application/json"}


@pytest.fixture
def rerank() -> Rerank:
    """An ingress whose parts are never asked."""
    ingress = Rerank(SETTINGS, "student@1a2b3c4d", NEVER_ASKED, NEVER_ASKED)
    ingress.specs = Opened(lambda version: NO_FEATURES)
    ingress.widths = lambda: (8, 32)
    return ingress


@pytest.fixture
def ask(rerank: Rerank, monkeypatch: pytest.MonkeyPatch) -> Callable[..., httpx.Response]:
    """Send one request to the app, before which no server stands."""
    monkeypatch.delenv(front.VARIABLE, raising=False)

    async def asked(method: str, path: str, **content: Any) -> httpx.Response:
        transport = httpx.ASGITransport(http_app(rerank, SETTINGS), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://rerank") as client:
            return await client.request(method, path, **content)

    return lambda *arguments, **content: asyncio.run(asked(*arguments, **content))


def refusal(response: httpx.Response) -> tuple[int, str, str]:
    body = response.json()
    assert set(body) == {"error", "error_type"}
    return response.status_code, body["error_type"], body["error"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"query": "a", "documents": ["b"]',
        b'{"query": "\xff"}',
        b"[" * 100_000,
        b'{"top_n": ' + b"9" * 5_000 + b"}",
    ],
    ids=["empty", "cut", "unclosed", "not_utf8", "deep", "huge_number"],
)
def test_a_body_that_is_no_json_gets_a_400(ask: Callable[..., httpx.Response], content: bytes) -> None:
    status, error_type, message = refusal(ask("POST", "/v2/rerank", content=content, headers=JSON))
    assert (status, error_type) == (400, "malformed_json")
    assert message


@pytest.mark.parametrize(
    "content", [b"NaN", b'{"query": NaN}', b'{"query": "a", "documents": ["b"], "top_n": Infinity}']
)
def test_literals_outside_json_are_refused(ask: Callable[..., httpx.Response], content: bytes) -> None:
    assert refusal(ask("POST", "/v2/rerank", content=content, headers=JSON))[0] == 400


def test_json_under_another_content_type_is_told_to_declare_itself(ask: Callable[..., httpx.Response]) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    status, _, message = refusal(ask("POST", "/v2/rerank", content=b'{"query": "a"}', headers=form))
    assert (status, "content-type: application/json" in message) == (422, True)


def test_an_announced_body_over_the_limit_gets_a_413(ask: Callable[..., httpx.Response]) -> None:
    status, error_type, message = refusal(ask("POST", "/v2/rerank", content=b"a" * 300_001, headers=JSON))
    assert (status, error_type) == (413, "body_too_large")
    assert "300000 bytes" in message


def test_a_chunked_body_is_counted_as_it_arrives(ask: Callable[..., httpx.Response]) -> None:
    sent = []

    def endless() -> Iterable[bytes]:
        while True:
            sent.append(100_000)
            yield b"a" * 100_000

    async def chunks() -> Any:
        for chunk in endless():
            yield chunk

    assert refusal(ask("POST", "/v2/rerank", content=chunks(), headers=JSON))[0] == 413
    assert sum(sent) <= 400_000


def test_a_body_that_does_not_come_gets_a_408(ask: Callable[..., httpx.Response]) -> None:
    async def slowly() -> Any:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    response = ask("POST", "/v2/rerank", content=slowly(), headers=JSON)
    assert refusal(response) == (408, "body_too_slow", "the body was not here after 0.3 seconds")
    assert response.headers["connection"] == "close"


def test_behind_a_front_that_reads_bodies_a_late_one_is_waited_for(
    ask: Callable[..., httpx.Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(front.VARIABLE, front.HERE)

    async def late() -> Any:
        await asyncio.sleep(0.4)
        yield b"{"

    assert refusal(ask("POST", "/v2/rerank", content=late(), headers=JSON))[1] == "malformed_json"


def test_too_many_documents_and_too_long_a_query_name_the_limit(ask: Callable[..., httpx.Response]) -> None:
    many = refusal(ask("POST", "/v2/rerank", json={"query": "a", "documents": ["b"] * 1_001}))
    assert many == (422, "too_many_documents", "documents: 1001 are too many, the limit is 1000")
    long = refusal(ask("POST", "/v2/rerank", json={"query": "a" * 101, "documents": ["b"]}))
    assert long == (422, "invalid_request", "query: 101 characters are too many, the limit is 100")


def test_one_more_than_max_in_flight_gets_a_429(rerank: Rerank, ask: Callable[..., httpx.Response]) -> None:
    rerank.in_flight = SETTINGS.max_in_flight
    response = ask("POST", "/v2/rerank", json={"query": "a", "documents": ["b"]})
    assert refusal(response)[:2] == (429, "overloaded")
    assert response.headers["retry-after"] == "1"


def test_more_texts_than_may_be_under_way_get_a_429_and_ids_do_not(
    rerank: Rerank, ask: Callable[..., httpx.Response]
) -> None:
    rerank.texts_in_flight = SETTINGS.max_texts_in_flight - 1
    two = ask("POST", "/v2/rerank", json={"query": "a", "documents": ["b", "c"]})
    assert refusal(two)[:2] == (429, "overloaded")
    assert two.headers["retry-after"] == "1"
    assert rerank.texts_in_flight == SETTINGS.max_texts_in_flight - 1
    for documents in (["b"], [{"id": "b"}, {"id": "c"}]):
        admitted = ask("POST", "/v2/rerank", json={"query": "a", "documents": documents})
        assert admitted.status_code == 500  # past the limits, where nobody is


@pytest.mark.parametrize("cause", [RayActorError(), ModelError("damaged")])
def test_a_service_that_is_not_ready_says_when_to_come_again(
    rerank: Rerank, ask: Callable[..., httpx.Response], cause: Exception
) -> None:
    async def prepare(version: str) -> None:
        raise cause

    rerank.ranker = SimpleNamespace(prepare=prepare)
    response = ask("GET", "/ready")
    assert refusal(response)[:2] == (503, "unavailable")
    assert response.headers["retry-after"] == "1"


def test_a_bug_is_answered_without_its_details(ask: Callable[..., httpx.Response], rerank: Rerank) -> None:
    response = ask("POST", "/v2/rerank", json={"query": "a", "documents": ["b"]})
    assert refusal(response) == (500, "internal", "internal error; the server's log has its traceback")
    assert rerank.in_flight == 0


def test_unknown_paths_and_methods_have_the_same_form(ask: Callable[..., httpx.Response]) -> None:
    assert refusal(ask("GET", "/nothing"))[:2] == (404, "not_found")
    assert refusal(ask("GET", "/v2/rerank"))[:2] == (405, "method_not_allowed")


def test_models_and_health_are_told(ask: Callable[..., httpx.Response]) -> None:
    assert [model["id"] for model in ask("GET", "/v1/models").json()["data"]] == ["student@1a2b3c4d"]
    assert ask("GET", "/health").json()["status"] == "ok"


def test_the_openapi_says_that_a_document_is_a_text_or_an_object(ask: Callable[..., httpx.Response]) -> None:
    schemas = ask("GET", "/openapi.json").json()["components"]["schemas"]
    text, document = schemas["RerankRequest"]["properties"]["documents"]["items"]["oneOf"]
    assert text["type"] == "string"
    assert document == {"$ref": "#/components/schemas/Document"}
    assert schemas["Document"]["anyOf"] == [{"required": ["id"]}, {"required": ["text"]}]
    assert ask("GET", "/docs").status_code == 200


def test_more_texts_than_can_be_encoded_in_a_request_are_refused_and_ids_are_not(
    ask: Callable[..., httpx.Response],
) -> None:
    texts = [{"text": "boot"}] * 21
    status, kind, message = refusal(ask("POST", "/v2/rerank", json={"query": "a", "documents": texts}))
    assert (status, kind) == (422, "too_many_documents")
    assert "21 come as text, the limit is 20" in message
    by_id = [{"id": "p", "text": "boot"}] * 21
    assert ask("POST", "/v2/rerank", json={"query": "a", "documents": by_id}).status_code == 500  # past the limits


def test_more_or_longer_texts_to_embed_than_allowed_are_refused(ask: Callable[..., httpx.Response]) -> None:
    many = refusal(ask("POST", "/v1/embeddings", json={"input": ["a"] * 21}))
    assert many == (422, "too_many_documents", "input: 21 texts are too many, the limit is 20")
    long = refusal(ask("POST", "/v1/embeddings", json={"input": ["a", "b" * 101]}))
    assert long == (422, "invalid_request", "input[1]: 101 characters are too many, the limit is 100")
    pin = ask("POST", "/v1/embeddings", json={"input": "b" * 101, "input_type": "pin"})
    assert pin.status_code == 500  # past the limits


def test_embeddings_count_as_rankings_under_way(rerank: Rerank, ask: Callable[..., httpx.Response]) -> None:
    rerank.in_flight = SETTINGS.max_in_flight
    assert refusal(ask("POST", "/v1/embeddings", json={"input": "a"}))[:2] == (429, "overloaded")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "input: field required"),
        ({"input": []}, "input: list should have at least 1 item after validation, not 0"),
        ({"input": " "}, "input: must not be empty"),
        ({"input": ["a", ""]}, "input[1]: must not be empty"),
        ({"input": [[1, 2]]}, "input[0]: input should be a valid string"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format: input should be 'float' or 'base64'"),
        ({"input": "a", "dimensions": 0}, "dimensions: input should be greater than or equal to 1"),
    ],
)
def test_a_fault_of_an_embeddings_request_names_its_field(
    ask: Callable[..., httpx.Response], body: dict[str, Any], message: str
) -> None:
    assert refusal(ask("POST", "/v1/embeddings", json=body)) == (422, "invalid_request", message)


def test_a_student_without_features_says_so_in_the_openapi(
    ask: Callable[..., httpx.Response],
) -> None:
    schemas = ask("GET", "/openapi.json").json()["components"]["schemas"]
    of_query = schemas["RerankRequest"]["properties"]["query_features"]["anyOf"][0]
    assert (of_query["properties"], of_query["additionalProperties"]) == ({}, False)
    assert schemas["RankRequest"]["properties"]["pin_ids"]["maxItems"] == SETTINGS.max_documents
    widths = schemas["EmbeddingsRequest"]["properties"]["dimensions"]["anyOf"][0]
    assert widths == {"type": "integer", "enum": [8, 32]}
