"""Dynamic batching: what arrived while the last batch was worked on is the next one.

Serve's own decorator does the same inside a replica only, with one queue for all versions of the settings; this one
lives wherever the encoder does, in a replica or in a test.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Full(Exception):
    """More items wait than may."""


class Batches(Generic[T, R]):
    """Calls `work` with at most max_size items at once, one batch after the other.

    wait_s: for more items, before a batch starts that nobody waited for. max_waiting: items beyond are refused, for
    who gave up meanwhile leaves his item here, and the queue would grow as long as more come than are worked off.
    """

    def __init__(
        self,
        work: Callable[[list[T]], Awaitable[Sequence[R]]],
        max_size: int,
        wait_s: float = 0.0,
        max_waiting: int = sys.maxsize,
    ) -> None:
        self._work = work
        self._max_size = max_size
        self._wait_s = wait_s
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def put(self, item: T) -> R:
        """What `work` makes of an item. Raises what it raises for the batch, or Full."""
        if len(self._waiting) >= self._max_waiting:
            raise Full(f"{len(self._waiting)} items wait")
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        await asyncio.sleep(self._wait_s)
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._max_size, len(self._waiting)))]
            await self._answer(batch)

    async def _answer(self, batch: list[tuple[T, "asyncio.Future[R]"]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
        except Exception as cause:  # whatever went wrong is told to those who asked
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(cause)
            return
        for (_, answer), result in zip(batch, results, strict=True):
            if not answer.done():
                answer.set_result(result)
