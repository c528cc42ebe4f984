"""How long a request may still take."""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Deadline:
    """A point in time, or none."""

    def __init__(self, budget_ms: float | None) -> None:
        self._at = None if budget_ms is None else time.monotonic() + budget_ms / 1000

    def left_ms(self) -> float | None:
        """Milliseconds that are left, 0 when it has passed; None without a deadline."""
        return None if self._at is None else max(0.0, (self._at - time.monotonic()) * 1000)

    async def within(self, awaitable: Awaitable[T]) -> T:
        """What is awaited. Raises TimeoutError when that takes longer; it is cancelled then, unless it is shielded."""
        left_ms = self.left_ms()
        if left_ms is None:
            return await awaitable
        return await asyncio.wait_for(awaitable, left_ms / 1000)


async def timed(awaitable: Awaitable[T]) -> tuple[T, float]:
    """What was awaited, and for how many milliseconds."""
    started = time.perf_counter()
    value = await awaitable
    return value, round((time.perf_counter() - started) * 1000, 3)
