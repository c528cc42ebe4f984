"""The cache of query vectors: what it keeps, for how long, and that a query is encoded once."""

import asyncio

import numpy as np
import pytest

from serve_apps.rerank.query_cache import Found, Key, QueryCache


def key(query: str, locale: str | None = None, version: str = "s@1") -> Key:
    return Key(query, locale, version)


def vector(value: float) -> np.ndarray:
    return np.full(2, value, dtype=np.float32)


def test_it_forgets_what_was_not_asked_for_longest() -> None:
    cache = QueryCache(entries=2)
    cache.put(key("a"), vector(1))
    cache.put(key("b"), vector(2))
    cache.peek(key("a"))
    cache.put(key("c"), vector(3))
    assert cache.peek(key("b")) is None
    assert [cache.peek(key(query))[0] for query in ("a", "c")] == [1, 3]


def test_no_entries_keep_nothing() -> None:
    cache = QueryCache(entries=0)
    cache.put(key("a"), vector(1))
    assert (cache.peek(key("a")), len(cache)) == (None, 0)


def test_an_entry_is_too_old_after_its_time_to_live() -> None:
    now = [0.0]
    cache = QueryCache(entries=2, ttl_s=10, clock=lambda: now[0])
    cache.put(key("a"), vector(1))
    now[0] = 10.0
    assert cache.peek(key("a")) is not None
    now[0] = 10.1
    assert (cache.peek(key("a")), len(cache)) == (None, 0)


def test_locales_and_encoders_have_entries_of_their_own() -> None:
    cache = QueryCache(entries=9)
    cache.put(key("a", "en", "s@1"), vector(1))
    assert cache.peek(key("a", "de", "s@1")) is None
    assert cache.peek(key("a", "en", "s@2")) is None


async def encoded(calls: list[int]) -> Found:
    calls.append(1)
    await asyncio.sleep(0.01)
    return vector(7), "miss"


def test_a_query_that_many_ask_for_at_once_is_encoded_once() -> None:
    async def ask() -> None:
        cache, calls = QueryCache(entries=9), []
        found = await asyncio.gather(*(cache.get(key("a"), lambda: encoded(calls)) for _ in range(5)))
        assert ([outcome for _, outcome in found], len(calls)) == (["miss"] * 5, 1)
        assert (await cache.get(key("a"), lambda: encoded(calls)))[1] == "hit"
        assert len(calls) == 1

    asyncio.run(ask())


def test_who_gives_up_leaves_the_vector_for_the_next() -> None:
    async def ask() -> None:
        cache, calls = QueryCache(entries=9), []
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cache.get(key("a"), lambda: encoded(calls)), 0.001)
        await asyncio.sleep(0.03)
        assert cache.peek(key("a")) is not None

    asyncio.run(ask())


def test_a_failure_is_told_to_all_who_wait_and_not_kept() -> None:
    async def fails() -> Found:
        await asyncio.sleep(0.01)
        raise ValueError("no tower")

    async def ask() -> None:
        cache = QueryCache(entries=9)
        found = await asyncio.gather(*(cache.get(key("a"), fails) for _ in range(2)), return_exceptions=True)
        assert [str(each) for each in found] == ["no tower"] * 2
        assert (await cache.get(key("a"), lambda: encoded([])))[1] == "miss"

    asyncio.run(ask())
