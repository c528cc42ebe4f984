"""Vectors of the queries asked last, each looked for once however many ask for it at the same time.

A key is the query as the encoder reads it, its locale and the version of the encoder, so a new student never meets an
old vector, and a release that brings new pins for the same student keeps them.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Outcome = Literal["hit", "shared", "miss"]
"""Where a vector was found: in this replica, in the cache that replicas share, nowhere."""

Found = tuple[Vector, Outcome]


class Key(NamedTuple):
    """What decides a query's vector."""

    query: str
    locale: str | None
    version: str


class QueryCache:
    """The key not asked for longest goes first; an entry older than ttl_s is encoded again."""

    def __init__(self, entries: int, ttl_s: float = float("inf"), clock: Callable[[], float] = time.monotonic) -> None:
        self.entries = entries
        self.ttl_s = ttl_s
        self.clock = clock
        self._held: OrderedDict[Key, tuple[Vector, float]] = OrderedDict()
        self._under_way: dict[Key, asyncio.Future[Found]] = {}

    async def get(self, key: Key, find: Callable[[], Awaitable[Found]]) -> Found:
        """The key's vector and where it was; when not here, `find` runs, which others of the same key wait for.

        It goes on when the one who asked is cancelled: who asks next then finds the vector.
        """
        if (held := self.peek(key)) is not None:
            return held, "hit"
        if key not in self._under_way:
            self._under_way[key] = asyncio.ensure_future(find())
            self._under_way[key].add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(self._under_way[key])

    def peek(self, key: Key) -> Vector | None:
        """The key's vector where it is held and young enough."""
        vector_D, since = self._held.get(key, (None, 0.0))
        if vector_D is None:
            return None
        if self.clock() - since > self.ttl_s:
            del self._held[key]
            return None
        self._held.move_to_end(key)
        return vector_D

    def put(self, key: Key, vector_D: Vector) -> None:
        """Hold a vector from now on."""
        self._held[key] = (vector_D, self.clock())
        self._held.move_to_end(key)
        while len(self._held) > self.entries:
            self._held.popitem(last=False)

    def __len__(self) -> int:
        return len(self._held)

    def _finish(self, key: Key, done: "asyncio.Future[Found]") -> None:
        del self._under_way[key]
        if not done.cancelled() and done.exception() is None:
            self.put(key, done.result()[0])
