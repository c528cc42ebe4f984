"""Split and fused are one graph: the same answers, whatever lies where."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from serve_apps.rerank.settings import RerankSettings
from tests.serve_apps.shop import Shop, free_port
from tests.serve_apps.traced import spans_in

BODY = {
    "query": "red wool sweater",
    "documents": [*({"id": f"pin-{number}"} for number in range(20)), "a red sweater", {"id": "gone", "text": "red"}],
}


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces") / "spans.jsonl"


@pytest.fixture(scope="module")
def apps(ray_session: None, shop: Shop, traces: Path) -> Iterator[str]:
    """One Serve with the graph in three shapes, each under its own prefix; the split one is traced."""
    from ray import serve

    from serve_apps.rerank.app import build

    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    folders = {"student": str(shop.student), "pin_store": str(shop.pin_store)}
    small = {"ray_actor_options": {"num_cpus": 0.1}}
    every = dict.fromkeys(("Rerank", "QueryEncoder", "PinEmbeddings", "Ranker"), small)
    shapes = {
        "split": {"topology": "split", "traces": str(traces)},
        "fused": {"topology": "fused"},
        "encoder": {"topology": "fused", "fuse_encoder": False},
    }
    for name, shape in shapes.items():
        settings = RerankSettings(**folders, **shape, deployments=every)
        serve.run(build(settings), name=name, route_prefix=f"/{name}")
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()


@pytest.mark.ray
def test_every_shape_of_the_graph_gives_the_same_answer(apps: str) -> None:
    answers = {}
    for shape in ("split", "fused", "encoder"):
        response = httpx.post(f"{apps}/{shape}/v2/rerank", json=BODY, timeout=30)
        assert response.status_code == 200, response.text
        assert httpx.get(f"{apps}/{shape}/ready", timeout=30).status_code == 200
        answers[shape] = response.json()
    for answer in answers.values():
        assert answer["meta"]["degraded"] == "text"
        np.testing.assert_allclose(
            [result["relevance_score"] for result in answer["results"]],
            [result["relevance_score"] for result in answers["split"]["results"]],
            atol=1e-5,
        )
        assert [result["index"] for result in answer["results"]] == [
            result["index"] for result in answers["split"]["results"]
        ]


@pytest.mark.ray
def test_vectors_tokens_and_explanations_come_from_every_shape(apps: str) -> None:
    told = []
    for shape in ("split", "fused", "encoder"):
        embedded = httpx.post(f"{apps}/{shape}/v1/embeddings", json={"input": ["red", "blue"], "dimensions": 8}).json()
        refused = httpx.post(f"{apps}/{shape}/v1/embeddings", json={"input": "red", "dimensions": 9})
        assert (refused.status_code, refused.json()["error_type"]) == (422, "invalid_request")
        assert refused.json()["error"] == "dimensions: the student was trained for 8, 32, not 9"
        ranked = httpx.post(f"{apps}/{shape}/v1/rerank", json=BODY | {"explain": True}, timeout=30).json()
        best = ranked["results"][0]
        why = best["explanation"]
        assert best["relevance_score"] == pytest.approx(why["base"] + sum(why["contributions"].values()), abs=1e-5)
        told.append((embedded["usage"], ranked["usage"], best["index"], list(why["contributions"])))
        assert np.shape([each["embedding"] for each in embedded["data"]]) == (2, 8)
    assert told[0] == told[1] == told[2]


@pytest.mark.ray
def test_a_trace_goes_on_in_the_replica_of_the_ranker(apps: str, traces: Path) -> None:
    client = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    asked = httpx.post(f"{apps}/split/v2/rerank", json=BODY, headers={"traceparent": client}, timeout=30)
    assert asked.status_code == 200
    spans = spans_in(traces, client.split("-")[1], number=4)
    request = spans.pop("request")
    assert request["parent_id"] == "0x" + client.split("-")[2]
    assert {span["parent_id"] for span in spans.values()} == {request["context"]["span_id"]}
    assert set(spans) == {"encode", "lookup", "rank"}
    (ranker,) = {span["resource"]["attributes"]["process.pid"] for span in spans.values()}
    assert ranker != request["resource"]["attributes"]["process.pid"]


@pytest.mark.ray
def test_a_shape_has_the_deployments_that_it_needs(apps: str) -> None:
    from ray import serve

    found = {name: set(app.deployments) for name, app in serve.status().applications.items()}
    assert found == {
        "split": {"Rerank", "QueryEncoder", "PinEmbeddings", "Ranker"},
        "fused": {"Rerank"},
        "encoder": {"Rerank", "QueryEncoder"},
    }
