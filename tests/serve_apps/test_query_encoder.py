"""How a query becomes a vector: which spellings are one, who encodes it, and who remembers it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pinrank.student.export import StudentBundle, open_student
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.embeddings import EmbeddingsRequest
from serve_apps.rerank.opened import Opened
from serve_apps.rerank.problems import Problem
from serve_apps.rerank.query_encoder import QueryEncoder, candidates_of_texts, spelling
from serve_apps.rerank.settings import RerankSettings
from tests.serve_apps.graph import asked, graph
from tests.serve_apps.redis_server import running
from tests.serve_apps.shop import Shop, free_port


@pytest.fixture(scope="module")
def version(shop: Shop) -> str:
    return open_student(shop.student).version


def encoder(shop: Shop, version: str, **settings: object) -> QueryEncoder:
    own = {"student": str(shop.student), "pin_store": str(shop.pin_store), "query_cache_redis_timeout_ms": 5_000}
    return QueryEncoder(RerankSettings.model_validate(own | settings), version)


def with_encoder(made: QueryEncoder, work: Callable[[QueryEncoder], Awaitable[None]]) -> None:
    async def run() -> None:
        try:
            await work(made)
        finally:
            if made.shared is not None:
                await made.shared.close()

    asyncio.run(run())


async def written(made: QueryEncoder) -> None:
    assert made.shared is not None
    while made.shared._under_way:
        await asyncio.wait(made.shared._under_way)


def test_capitals_and_spaces_that_the_tower_does_not_see_make_no_other_query(shop: Shop, version: str) -> None:
    async def work(made: QueryEncoder) -> None:
        assert made.folds_case[await made.students.get(version)]
        first, outcome = await made.encode(version, "  Red   SHOES ")
        assert outcome == "miss"
        again, outcome = await made.encode(version, "red shoes")
        assert outcome == "hit" and (first == again).all()
        np.testing.assert_allclose(first, open_student(shop.student).encode_queries(["Red SHOES"])[0], atol=1e-6)
        assert (await made.encode(version, "red shoes", "en"))[1] == "miss"

    with_encoder(encoder(shop, version), work)


def test_a_release_that_only_brings_new_pins_keeps_the_vectors(shop: Shop) -> None:
    bundle = open_student(shop.student)
    made = QueryEncoder(RerankSettings(), "release@1", Opened(lambda _: bundle))

    async def work(made: QueryEncoder) -> None:
        assert (await made.encode("release@1", "red shoes"))[1] == "miss"
        assert (await made.encode("release@2", "red shoes"))[1] == "hit"

    with_encoder(made, work)


def test_towers_of_a_release_that_only_brings_new_pins_are_loaded_before_it_answers(shop: Shop) -> None:
    made = QueryEncoder(RerankSettings(), "release@1", Opened(lambda _: open_student(shop.student)))

    async def work(made: QueryEncoder) -> None:
        await made.prepare("release@2")
        assert {"query_encoder", "pin_encoder"} <= set(vars(await made.students.get("release@2")))

    with_encoder(made, work)


def test_texts_that_nobody_waits_for_any_more_count_until_the_towers_are_done_with_them(
    shop: Shop, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    given: list[int] = []

    def slowly(bundle: StudentBundle, texts: Sequence[str]) -> Candidates:
        given.append(len(texts))
        go_on.wait(10)
        return candidates_of_texts(bundle, texts)

    async def story() -> None:
        rerank = graph(shop, version, max_texts_in_flight=5, rank_reserve_ms=900)
        await rerank.rank(asked(["pin-0"]))  # whose query is then in the cache
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        monkeypatch.setattr("serve_apps.rerank.query_encoder.candidates_of_texts", slowly)
        for under_way in (2, 4, 4):
            late = await rerank.rank(asked([None, None], ["red", "blue"], timeout_ms=1_000))
            assert (late.degraded, rerank.encoder.texts_in_flight) == ("lexical", under_way)
        with pytest.raises(Problem) as refused:
            await rerank.embed(EmbeddingsRequest(input=["red", "blue"]))
        assert refused.value.status == 429
        go_on.set()
        while rerank.encoder.texts_in_flight:
            await asyncio.sleep(0.01)
        assert given == [2], "what had not begun does nothing once nobody waits for it"
        assert (await rerank.rank(asked([None, None], ["red", "blue"]))).degraded is None

    asyncio.run(story())


def test_capitals_stay_where_the_tower_sees_them_or_languages_do_not_agree() -> None:
    assert spelling(" Red  SHOES", folds_case=False) == "Red SHOES"
    assert spelling(" Red  SHOES", folds_case=True) == "red shoes"
    assert spelling("IŞIK", folds_case=True) == "IŞIK"


def test_what_one_replica_encoded_the_other_finds_in_redis(shop: Shop, version: str, tmp_path: Path) -> None:
    async def fill(made: QueryEncoder) -> None:
        assert (await made.encode(version, "red shoes"))[1] == "miss"
        await written(made)

    async def find(made: QueryEncoder) -> None:
        vector_D, outcome = await made.encode(version, "red shoes")
        assert outcome == "shared"
        assert (await made.encode(version, "red shoes"))[1] == "hit"
        np.testing.assert_allclose(vector_D, open_student(shop.student).encode_queries(["red shoes"])[0], atol=1e-6)

    with running(tmp_path) as server:
        for work in (fill, find):
            with_encoder(encoder(shop, version, query_cache_redis=server.url), work)


def test_a_redis_that_is_gone_or_silent_degrades_no_answer(shop: Shop, version: str, tmp_path: Path) -> None:
    async def rank(url: str) -> float:
        rerank = graph(shop, version, query_cache_redis=url)
        begun = time.perf_counter()
        for number in range(12):
            question = asked(["pin-0", "pin-1"])
            ranked = await rerank.rank(question)
            assert (ranked.degraded, ranked.cache) == (None, "hit" if number else "miss")
        await rerank.encoder.shared.close()
        return time.perf_counter() - begun

    with running(tmp_path) as server:
        server.pause()
        assert asyncio.run(rank(server.url)) < 5
    assert asyncio.run(rank(f"redis://127.0.0.1:{free_port()}")) < 5
