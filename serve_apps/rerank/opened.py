"""Versions of one thing that a replica has opened: a student, a pin store."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

KEPT = 5
"""Versions held at once: the current one and the one before, a canary, a shadow, and one that is tried beside them."""

T = TypeVar("T")


class Opened(Generic[T]):
    """Each version is opened once; the KEPT used last stay, and a request keeps what it holds."""

    def __init__(self, open_version: Callable[[str], T]) -> None:
        self._open = open_version
        self._held: OrderedDict[str, T] = OrderedDict()
        self._opening: dict[str, asyncio.Future[T]] = {}

    def now(self, version: str) -> T:
        """The version, opened in this thread where it is not yet. Raises what opening raises."""
        if version not in self._held:
            self._keep(version, self._open(version))
        self._held.move_to_end(version)
        return self._held[version]

    async def get(self, version: str) -> T:
        """The version, opened in another thread where it is not yet, once for all who wait. Raises as `now`."""
        if version in self._held:
            return self.now(version)
        if version not in self._opening:
            self._opening[version] = asyncio.ensure_future(asyncio.to_thread(self._open, version))
            self._opening[version].add_done_callback(lambda done: self._finish(version, done))
        return await asyncio.shield(self._opening[version])

    def _finish(self, version: str, done: "asyncio.Future[T]") -> None:
        del self._opening[version]
        if not done.cancelled() and done.exception() is None:
            self._keep(version, done.result())

    def _keep(self, version: str, opened: T) -> None:
        self._held[version] = opened
        while len(self._held) > KEPT:
            self._held.popitem(last=False)
