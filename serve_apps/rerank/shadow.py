"""A release that grades along: nobody sees its answers, only how far they agree."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import numpy as np

from serve_apps.rerank.answer import ranking
from serve_apps.rerank.asked import Ranked
from serve_apps.rerank.counts import count_overlap
from serve_apps.rerank.question import Question

log = logging.getLogger("ray.serve")

BEST = 10
"""The places that are compared."""


class Shadow:
    """Grades one question at a time after its answer is made; what comes meanwhile is let go, so load stays bounded."""

    def __init__(self, rank: Callable[[Question], Awaitable[Ranked]]) -> None:
        self._rank = rank
        self._under_way: asyncio.Task[None] | None = None

    def compare(self, version: str, asking: Callable[[str], Awaitable[Question]], answered: Ranked) -> None:
        """Grade by a version what `asking` makes for it; count how many of the best documents are among its own."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self._compare(version, asking, answered))

    async def _compare(self, version: str, asking: Callable[[str], Awaitable[Question]], answered: Ranked) -> None:
        try:
            count_overlap(overlap(answered, await self._rank(await asking(version))))
        except Exception:
            # Whatever a release under trial does or lacks, the one that answers goes on.
            log.exception("the shadow %s failed on a request", version)


def overlap(one: Ranked, other: Ranked, best: int = BEST) -> float:
    """The share of the best documents of one that are among the best of the other, 0..1."""
    ours, theirs = (ranking(each.graded)[:best] for each in (one, other))
    return len(np.intersect1d(ours, theirs)) / max(len(ours), 1)
