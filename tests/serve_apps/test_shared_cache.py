"""The cache of query vectors that replicas share, over a real server that is slow, gone, full or holds rubbish."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pinrank.errors import SettingsError
from serve_apps.rerank.breaker import Breaker
from serve_apps.rerank.counts import HitRate
from serve_apps.rerank.query_cache import Key
from serve_apps.rerank.shared_cache import SharedCache, name_of, packed, unpacked
from tests.serve_apps.redis_server import RedisServer, running
from tests.serve_apps.shop import free_port

RED = Key("red shoes", "en", "s@12345678")
VECTOR = np.linspace(-1, 1, 8, dtype=np.float32)
IN_TIME_S = 5.0
"""For a server that works, on a machine that does other things."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was counted; the metrics themselves want a Ray session."""
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr("serve_apps.rerank.shared_cache.count_shared", lambda *what: seen.append(what))
    return seen


def with_cache(url: str, work: Callable[[SharedCache], Awaitable[None]], timeout_s: float = IN_TIME_S) -> None:
    """Run work in a loop of its own, with a cache that is closed behind it."""

    async def run() -> None:
        cache = SharedCache(url, ttl_s=60, timeout_s=timeout_s)
        try:
            await work(cache)
        finally:
            await cache.close()

    asyncio.run(run())


async def written(cache: SharedCache) -> None:
    while cache._under_way:
        await asyncio.wait(cache._under_way)


def test_what_one_replica_encoded_another_finds(server: RedisServer, counted: list[tuple[str, str]]) -> None:
    async def one(cache: SharedCache) -> None:
        assert await cache.get(RED) is None
        cache.put(RED, VECTOR)
        await written(cache)

    async def other(cache: SharedCache) -> None:
        found = await cache.get(RED)
        assert found is not None and found.dtype == np.float32 and (found == VECTOR).all()
        for key in (RED._replace(locale="de"), RED._replace(version="s@12345678+int8"), RED._replace(query="red shoe")):
            assert await cache.get(key) is None

    with_cache(server.url, one)
    with_cache(server.url, other)
    assert counted == [("get", "miss"), ("put", "written"), ("get", "hit"), *[("get", "miss")] * 3]


def test_no_query_stands_in_it_and_what_does_expires(server: RedisServer) -> None:
    async def work(cache: SharedCache) -> None:
        cache.put(Key("my secret illness", None, "s@1"), VECTOR)
        await written(cache)

    with_cache(server.url, work)
    with server.client as client:
        held = {name: client.get(name) for name in client.keys("pinrank:*")}
        assert held and not any(b"secret" in name or b"secret" in value for name, value in held.items())
        assert all(0 < client.pttl(name) <= 60_000 for name in held)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"rubbish that is longer than a head",
        packed(name_of(RED), VECTOR)[:-1],
        packed(name_of(RED), VECTOR) + b"\0",
        packed(name_of(RED._replace(query="blue shoes")), VECTOR),
        b"pq0\n" + packed(name_of(RED), VECTOR)[4:],
        packed(name_of(RED), VECTOR)[:-1] + b"\x01",
    ],
)
def test_a_value_that_is_not_the_vector_of_its_key_is_none(
    server: RedisServer, counted: list[tuple[str, str]], value: bytes
) -> None:
    assert (unpacked(name_of(RED), packed(name_of(RED), VECTOR)) == VECTOR).all()
    with server.client as client:
        client.set(name_of(RED), value)

    async def work(cache: SharedCache) -> None:
        assert await cache.get(RED) is None

    with_cache(server.url, work)
    assert counted == [("get", "damaged")]


def test_a_value_of_another_type_is_a_failure_and_no_error(server: RedisServer, counted: list[tuple[str, str]]) -> None:
    with server.client as client:
        client.delete(name_of(RED))
        client.lpush(name_of(RED), "a")

    async def work(cache: SharedCache) -> None:
        assert await cache.get(RED) is None

    with_cache(server.url, work)
    with server.client as client:
        client.delete(name_of(RED))
    assert counted == [("get", "failed")]


def test_a_server_that_does_not_answer_holds_a_request_up_for_milliseconds_and_then_is_left_alone(
    server: RedisServer, counted: list[tuple[str, str]]
) -> None:
    async def work(cache: SharedCache) -> None:
        cache.reads = Breaker(most_failures=3, rest_s=0.2)
        server.pause()
        try:
            took_s = []
            for _ in range(20):
                begun = time.perf_counter()
                assert await cache.get(RED) is None
                took_s.append(time.perf_counter() - begun)
        finally:
            server.go_on()
        assert sorted(took_s)[10] < 0.001  # nobody asked
        assert sum(took_s) < 0.5
        assert counted == [*[("get", "failed")] * 3, *[("get", "skipped")] * 17]
        cache.timeout_s = IN_TIME_S
        await asyncio.sleep(0.25)
        cache.put(RED, VECTOR)
        await written(cache)
        assert (await cache.get(RED) == VECTOR).all()
        assert not cache.reads.is_open

    with_cache(server.url, work, timeout_s=0.005)


def test_a_server_that_is_gone_costs_no_request_and_is_found_again(
    tmp_path: Path, counted: list[tuple[str, str]]
) -> None:
    port = free_port()

    async def work(cache: SharedCache) -> None:
        cache.reads, cache.writes = Breaker(2, rest_s=0.1), Breaker(2, rest_s=0.1)
        for _ in range(2):  # before it is there, then after it has gone
            for _ in range(4):
                assert await cache.get(RED) is None
                cache.put(RED, VECTOR)
                await written(cache)
            assert cache.reads.is_open and cache.writes.is_open
            with running(tmp_path, port):
                await asyncio.sleep(0.12)
                cache.put(RED, VECTOR)
                await written(cache)
                assert (await cache.get(RED) == VECTOR).all()
        assert ("put", "skipped") in counted and ("get", "failed") in counted

    with_cache(f"redis://127.0.0.1:{port}", work)


def test_a_full_server_takes_nothing_more_and_still_gives(server: RedisServer, counted: list[tuple[str, str]]) -> None:
    async def work(cache: SharedCache) -> None:
        cache.put(RED, VECTOR)
        await written(cache)
        with server.client as client:
            client.config_set("maxmemory", "1")
            try:
                cache.put(RED._replace(query="blue shoes"), VECTOR)
                await written(cache)
                assert (await cache.get(RED) == VECTOR).all()
            finally:
                client.config_set("maxmemory", "0")

    with_cache(server.url, work)
    assert counted == [("put", "written"), ("put", "failed"), ("get", "hit")]


def test_many_who_ask_at_once_share_few_connections(server: RedisServer) -> None:
    async def work(cache: SharedCache) -> None:
        cache.put(RED, VECTOR)
        await written(cache)
        found = await asyncio.gather(*(cache.get(RED) for _ in range(200)))
        assert all((vector == VECTOR).all() for vector in found)
        with server.client as client:
            assert int(client.info("clients")["connected_clients"]) < 30

    with_cache(server.url, work)


def test_an_address_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(SettingsError, match=r"query_cache_redis: .*Give redis://HOST") as refused:
        SharedCache("http://user:secret@host", ttl_s=60, timeout_s=1)
    assert "secret" not in str(refused.value)


def test_a_hit_rate_is_told_once_in_so_many_lookups() -> None:
    told: list[float] = []
    rate = HitRate(told.append, every=4)
    for hit in (True, True, True, False, False, False, False, True, True):
        rate.count(hit)
    assert told == [0.75, 0.25]
