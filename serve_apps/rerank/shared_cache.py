"""Query vectors that replicas share through Redis, or what speaks its protocol: the level behind their own caches.

It may be slow, gone, full or hold what others wrote: a request waits for it so long and no longer, what is not a whole
vector of the very key counts as nothing, what is written is not waited for, and after failures in a row nobody asks for
a while. Names are hashed, so that Redis holds no query in the clear. D vector.
"""

import asyncio
import hashlib
import logging
import struct
from collections.abc import Coroutine
from typing import Any

import numpy as np
import xxhash

from pinrank.errors import SettingsError
from serve_apps.rerank.breaker import Breaker
from serve_apps.rerank.counts import count_shared
from serve_apps.rerank.query_cache import Key, Vector
from serve_apps.rerank.settings import RerankSettings

log = logging.getLogger("ray.serve")

FORMAT = b"pq1\n"
HEAD = struct.Struct("<4sIQ")
"""FORMAT, D, and a checksum of the name and the numbers. Then come the numbers, little-endian float32."""

MOST_CONNECTIONS = 8
MOST_UNDER_WAY = 256
"""Questions that Redis has not answered yet; what comes on top is let go."""

GIVE_UP_S = 1.0
"""When nobody waits for a question any more, it may still bring a connection about, up to here."""


class SharedCache:
    """Vectors in a Redis. Nothing here raises: what does not work is counted, and the query is encoded."""

    def __init__(self, url: str, ttl_s: float, timeout_s: float) -> None:
        self.ttl_ms = round(min(ttl_s, 10 * 365 * 86_400) * 1000)
        self.timeout_s = timeout_s
        self.reads, self.writes = Breaker(), Breaker()
        self._redis = client(url)
        self._under_way: set[asyncio.Task[Any]] = set()

    async def get(self, key: Key) -> Vector | None:
        """The key's vector, float32[D], where Redis has it and says so in time."""
        if not self._may(self.reads):
            count_shared("get", "skipped")
            return None
        name = name_of(key)
        asking = self._start(self._redis.get(name))
        done, _ = await asyncio.wait({asking}, timeout=self.timeout_s)
        if not done or asking.exception() is not None:
            self._failed(self.reads, "get", asking.exception() if done else None)
            return None
        self.reads.succeeded()
        value = asking.result()
        vector_D = None if value is None else unpacked(name, value)
        count_shared("get", "miss" if value is None else "damaged" if vector_D is None else "hit")
        return vector_D

    def put(self, key: Key, vector_D: Vector) -> None:
        """Let others have a vector, some time soon."""
        if not self._may(self.writes):
            count_shared("put", "skipped")
            return
        name = name_of(key)
        writing = self._start(self._redis.set(name, packed(name, vector_D), px=self.ttl_ms))
        writing.add_done_callback(self._written)

    async def close(self) -> None:
        """Give up what is under way, and close the connections."""
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._redis.aclose(close_connection_pool=True)

    def _written(self, writing: "asyncio.Task[Any]") -> None:
        if not writing.cancelled() and writing.exception() is None:
            self.writes.succeeded()
            count_shared("put", "written")
        else:
            self._failed(self.writes, "put", None if writing.cancelled() else writing.exception())

    def _may(self, breaker: Breaker) -> bool:
        return len(self._under_way) < MOST_UNDER_WAY and breaker.allows()

    def _start(self, question: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Ask in a task of its own: one that is cut off in the middle would cost its connection."""
        task = asyncio.ensure_future(question)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain of one that nobody waited for

    def _failed(self, breaker: Breaker, asked: str, cause: BaseException | None) -> None:
        count_shared(asked, "failed")
        if breaker.failed():
            said = f"no answer within {self.timeout_s * 1000:g} ms" if cause is None else str(cause)
            log.warning("the shared query cache does not %s (%s); replicas do without it for now", asked, said)


def open_shared(settings: RerankSettings) -> SharedCache | None:
    """The cache that the settings name; None for none. Raises SettingsError when it cannot be used at all."""
    if settings.query_cache_redis is None:
        return None
    return SharedCache(
        settings.query_cache_redis, settings.query_cache_ttl_s, settings.query_cache_redis_timeout_ms / 1000
    )


def client(url: str) -> Any:
    """A client with connections of its own, made when first needed. SettingsError for what is no URL of a Redis."""
    try:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as cause:
        raise SettingsError("query_cache_redis needs the package redis: uv pip install -e '.[redis]'") from cause
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MOST_CONNECTIONS,
            timeout=GIVE_UP_S,
            socket_timeout=GIVE_UP_S,
            socket_connect_timeout=GIVE_UP_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as cause:  # the URL may hold a password, so it is not repeated
        raise SettingsError(f"query_cache_redis: {cause}. Give redis://HOST:PORT/DB, rediss:// or unix://.") from cause
    return Redis(connection_pool=pool)


def name_of(key: Key) -> bytes:
    """Where Redis holds a key's vector; nobody can choose a query that has the name of another."""
    told = repr((key.query, key.locale)).encode("utf-8", "surrogatepass")
    hashed = hashlib.blake2b(told, digest_size=16).hexdigest()
    return f"pinrank:query:1:{key.version}:{hashed}".encode()


def packed(name: bytes, vector_D: Vector) -> bytes:
    """A vector with what shows that it is whole and of this name."""
    numbers = np.asarray(vector_D, dtype="<f4").tobytes()
    return HEAD.pack(FORMAT, len(vector_D), xxhash.xxh3_64_intdigest(name + numbers)) + numbers


def unpacked(name: bytes, value: bytes) -> Vector | None:
    """The vector, float32[D]; None when the value is not one of this name and form, or not whole."""
    if len(value) < HEAD.size:
        return None
    form, dim, checksum = HEAD.unpack_from(value)
    numbers = value[HEAD.size :]
    if (form, len(numbers), checksum) != (FORMAT, 4 * dim, xxhash.xxh3_64_intdigest(name + numbers)):
        return None
    return np.frombuffer(numbers, dtype="<f4").astype(np.float32)
