"""Where a replica computes: in its event loop while that is shorter than a hop to a thread, else in a thread."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

INLINE_DOCUMENTS = 1_000
"""Up to so many documents numpy runs in the event loop: a lookup or a ranking of 500 takes well under a millisecond."""

T = TypeVar("T")


async def inline(num_documents: int, work: Callable[[], T]) -> T:
    """What `work` returns, computed here for few documents and in a thread for many."""
    return work() if num_documents <= INLINE_DOCUMENTS else await asyncio.to_thread(work)
