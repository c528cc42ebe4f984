"""The served application over HTTP: real deployments on a real local Ray, against the student's own offline figures."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np
import pytest

from pinrank.embeddings.store import PinStore
from pinrank.levels import expected_level, probabilities, score
from pinrank.student.export import StudentBundle, open_student
from pinrank.student.values import Known
from tests.serve_apps.shop import QUERIES, Shop

pytestmark = pytest.mark.ray

QUERY = "red wool sweater"
TOLERANCE = 1e-3
"""Rows of the pin store are float16."""


@pytest.fixture(scope="module")
def bundle(shop: Shop) -> StudentBundle:
    return open_student(shop.student)


def ask(client: httpx.Client, documents: Sequence[Any], **fields: Any) -> dict[str, Any]:
    response = client.post("/v2/rerank", json={"query": QUERY, "documents": documents} | fields)
    assert response.status_code == 200, response.text
    return response.json()


def by_id(pin_ids: Sequence[str]) -> list[dict[str, str]]:
    return [{"id": pin_id} for pin_id in pin_ids]


def offline(bundle: StudentBundle, shop: Shop, rows: Sequence[Mapping[str, str]], query: str = QUERY) -> np.ndarray:
    """probabilities_NL of a query, of which the request says nothing, with rows of pin_text."""
    return probabilities(bundle.with_tables(shop.pin_tables).grade([(query, row) for row in rows], "float32"))


def scores_by_index(answer: Mapping[str, Any]) -> np.ndarray:
    by_index = {result["index"]: result["relevance_score"] for result in answer["results"]}
    return np.asarray([by_index[index] for index in sorted(by_index)])


def indices(answer: Mapping[str, Any]) -> list[int]:
    return [result["index"] for result in answer["results"]]


def test_pins_by_id_get_the_offline_scores_and_order(client: httpx.Client, shop: Shop, bundle: StudentBundle) -> None:
    answer = ask(client, by_id(list(shop.pins)))
    expected_N = score(offline(bundle, shop, list(shop.pins.values())))
    assert np.ptp(expected_N) > 0.05, "the pins must not all tie, or the order would prove nothing"
    np.testing.assert_allclose(scores_by_index(answer), expected_N, atol=TOLERANCE)
    assert np.all(np.diff(expected_N[indices(answer)]) <= TOLERANCE)
    assert all(result["found"] for result in answer["results"])
    assert answer["meta"]["model"] == bundle.version
    assert "degraded" not in answer["meta"]
    assert set(answer["meta"]["stage_ms"]) == {"encode", "candidates", "rank"}


def test_texts_are_graded_as_the_titles_of_pins_of_which_nothing_is_known(
    client: httpx.Client, shop: Shop, bundle: StudentBundle
) -> None:
    texts = [pin["title"] for pin in list(shop.pins.values())[:40]]
    answer = ask(client, texts)
    np.testing.assert_allclose(
        scores_by_index(answer),
        score(offline(bundle, shop, [{"locale": "", "title": text} for text in texts])),
        atol=1e-2,
    )
    assert all("found" not in result for result in answer["results"])


def test_ids_and_texts_mix_in_one_request(client: httpx.Client, shop: Shop) -> None:
    pin_ids = list(shop.pins)[:10]
    texts = ["a red wool sweater by the sea", "tax form"]
    mixed = ask(client, [texts[0], *by_id(pin_ids), {"text": texts[1]}])
    apart = [*scores_by_index(ask(client, texts[:1])), *scores_by_index(ask(client, by_id(pin_ids)))]
    np.testing.assert_allclose(scores_by_index(mixed)[:-1], apart, atol=1e-2)
    assert sorted(indices(mixed)) == list(range(12))
    found = {result["index"]: result.get("found") for result in mixed["results"]}
    assert [found[0], found[1], found[11]] == [None, True, None]


def test_features_in_the_request_count_as_in_training(client: httpx.Client, shop: Shop, bundle: StudentBundle) -> None:
    # From rows of the pin store to HTTP; from training to those rows it is tests/student/test_golden.py.
    pin_ids = list(shop.pins)[:40]
    query = QUERIES[0]
    known = Known(shop.tables.queries([query]), shop.tables.pairs([query] * len(pin_ids), pin_ids))
    said = {name: array[0].as_py() for name, array in {**known.query.numbers, **known.query.words}.items()}
    said |= {name: vectors[0].tolist() for name, vectors in known.query.vectors.items()}
    shown = known.pairs.numbers["shown"].to_pylist()
    documents = [
        {"id": pin_id, "pair_features": {"shown": count}} for pin_id, count in zip(pin_ids, shown, strict=True)
    ]
    answer = ask(client, documents, query=query, query_features=said, return_levels=True)

    found = PinStore.open(shop.pin_store)
    rows_NR = found.gather(pin_ids).rows_NR
    features_NF = bundle.features(query, found.terms(pin_ids), rows_NR, known)
    expected_NL = probabilities(bundle.logits(bundle.encode_queries([query])[0], rows_NR, features_NF, known))
    served = {result["index"]: result["probabilities"] for result in answer["results"]}
    np.testing.assert_allclose([served[place] for place in range(len(pin_ids))], expected_NL, atol=1e-5)
    without = ask(client, by_id(pin_ids), query=query)
    assert np.abs(scores_by_index(without) - scores_by_index(answer)).max() > 0.01


def test_features_that_the_student_does_not_have_are_refused(client: httpx.Client) -> None:
    body = {"query": "a", "documents": ["b"], "query_features": {"mood": 1}}
    response = client.post("/v2/rerank", json=body)
    assert (response.status_code, response.json()["error_type"]) == (422, "invalid_request")
    assert response.json()["error"].startswith("query_features.mood: the student has no such feature; it has searches")


def test_unknown_pins_come_last_in_their_order_and_are_flagged(client: httpx.Client, shop: Shop) -> None:
    pin_ids = list(shop.pins)[:5]
    answer = ask(client, by_id(["gone", *pin_ids, "away"]), return_levels=True)
    assert indices(answer)[-2:] == [0, 6]
    assert [result["found"] for result in answer["results"]] == [True] * 5 + [False] * 2
    assert answer["results"][-1] == {"index": 6, "relevance_score": 0.0, "found": False}
    assert (answer["meta"]["degraded"], answer["meta"]["not_graded"]) == ("input_order", 2)


def test_only_unknown_pins_keep_the_order_given(client: httpx.Client) -> None:
    answer = ask(client, by_id(["c", "a", "b"]))
    assert indices(answer) == [0, 1, 2]
    assert answer["meta"]["not_graded"] == 3


def test_a_text_stands_in_for_an_unknown_pin(client: httpx.Client) -> None:
    answer = ask(client, [{"id": "gone", "text": "red wool sweater"}, "red wool sweater"])
    first, second = answer["results"]
    assert (first["index"], first["found"]) == (0, False)
    assert first["relevance_score"] == pytest.approx(second["relevance_score"], abs=1e-2)
    assert answer["meta"]["not_graded"] == 0


def test_equal_documents_keep_the_order_given(client: httpx.Client) -> None:
    answer = ask(client, ["blue bicycle", "green kitchen", "blue bicycle", " blue  bicycle "] * 5)
    order = indices(answer)
    kitchens = [index for index in order if index % 4 == 1]
    bicycles = [index for index in order if index % 4 != 1]
    assert kitchens == sorted(kitchens)
    assert bicycles == sorted(bicycles)


def test_top_n_cuts_the_ranking(client: httpx.Client, shop: Shop) -> None:
    documents = by_id(list(shop.pins)[:20])
    whole = indices(ask(client, documents))
    assert indices(ask(client, documents, top_n=3)) == whole[:3]
    assert indices(ask(client, documents, top_n=1_000)) == whole


def test_levels_are_a_distribution_that_agrees_with_the_score(
    client: httpx.Client, shop: Shop, bundle: StudentBundle
) -> None:
    answer = ask(client, by_id(list(shop.pins)[:50]), return_levels=True)
    offline_NL = offline(bundle, shop, list(shop.pins.values())[:50])
    for result in answer["results"]:
        probabilities_L = np.asarray(result["probabilities"])
        np.testing.assert_allclose(probabilities_L, offline_NL[result["index"]], atol=TOLERANCE)
        assert probabilities_L.sum() == pytest.approx(1.0, abs=1e-5)
        assert result["expected_level"] == pytest.approx(float(expected_level(probabilities_L)), abs=1e-4)
        assert result["relevance_score"] == pytest.approx((result["expected_level"] - 1) / 4, abs=1e-5)
        assert result["level"] == int(probabilities_L.argmax()) + 1


def test_documents_come_back_when_asked_for(client: httpx.Client) -> None:
    answer = ask(client, ["blue bicycle", {"id": "pin-1"}], return_documents=True)
    documents = {result["index"]: result["document"] for result in answer["results"]}
    assert documents == {0: {"text": "blue bicycle"}, 1: {"id": "pin-1"}}


@pytest.mark.parametrize(
    ("body", "status", "error_type"),
    [
        (b"{", 400, "malformed_json"),
        (b"[" * 10_000, 400, "malformed_json"),
        (b'{"query": "a", "documents": ["' + b"b" * 2**21 + b'"]}', 413, "body_too_large"),
        (b'{"query": "a"}', 422, "invalid_request"),
        (b'{"query": " ", "documents": ["b"]}', 422, "invalid_request"),
        (b'{"query": NaN, "documents": ["b"]}', 400, "malformed_json"),
        (b'{"query": "a", "documents": []}', 422, "invalid_request"),
        (b'{"query": "a", "documents": [""]}', 422, "invalid_request"),
        (b'{"query": "a", "documents": [1]}', 422, "invalid_request"),
        (b'{"query": "a", "documents": [' + b'"b",' * 1_000 + b'"b"]}', 422, "too_many_documents"),
        (b'{"query": "\\ud800", "documents": ["b"]}', 400, "malformed_json"),
    ],
    ids=["cut", "deep", "large", "no_documents", "blank_query", "nan", "none", "blank_text", "number", "many", "half"],
)
def test_bad_requests_are_refused_in_one_form(client: httpx.Client, body: bytes, status: int, error_type: str) -> None:
    response = client.post("/v2/rerank", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error_type"]) == (status, error_type)
    assert set(response.json()) == {"error", "error_type"}


def test_an_unknown_path_is_told_in_the_same_form(client: httpx.Client) -> None:
    response = client.get("/v3/rerank")
    assert (response.status_code, response.json()["error_type"]) == (404, "not_found")


def test_odd_texts_are_graded(client: httpx.Client) -> None:
    answer = ask(client, ["\u0000", "🙂", "a" * 50_000, "寿司", "\u202ertl"])
    assert sorted(indices(answer)) == list(range(5))


def test_the_service_tells_that_it_is_ready_and_with_which_student(client: httpx.Client, bundle: StudentBundle) -> None:
    assert client.get("/ready").json() == {"status": "ready", "model": bundle.version}
    assert client.get("/health").json()["status"] == "ok"
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == [bundle.version]
    assert "/v2/rerank" in client.get("/openapi.json").json()["paths"]


def test_fifty_requests_at_once_get_their_own_answers(client: httpx.Client, shop: Shop, bundle: StudentBundle) -> None:
    pins = list(shop.pins.items())
    queries = [f"{word} {number}" for number in range(25) for word in ("red shoes", "green bicycle")]

    async def all_at_once() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as many:
            bodies = [
                {"query": query, "documents": by_id([pin_id for pin_id, _ in pins[number : number + 30]])}
                for number, query in enumerate(queries)
            ]
            return await asyncio.gather(*(many.post("/v2/rerank", json=body) for body in bodies))

    responses = asyncio.run(all_at_once())
    assert [response.status_code for response in responses] == [200] * 50
    for number, (query, response) in enumerate(zip(queries, responses, strict=True)):
        expected_N = score(offline(bundle, shop, [row for _, row in pins[number : number + 30]], query))
        np.testing.assert_allclose(scores_by_index(response.json()), expected_N, atol=TOLERANCE)
