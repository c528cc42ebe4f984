"""Dynamic batching."""

import asyncio

import pytest

from serve_apps.rerank.batches import Batches, Full


def test_what_arrives_during_a_batch_is_the_next_one() -> None:
    seen: list[list[int]] = []

    async def work(items: list[int]) -> list[int]:
        seen.append(items)
        await asyncio.sleep(0.02)
        return [item * 10 for item in items]

    async def ask() -> None:
        batches = Batches(work, max_size=3)
        first = asyncio.create_task(batches.put(0))
        await asyncio.sleep(0.005)
        later = [asyncio.create_task(batches.put(number)) for number in range(1, 6)]
        assert await asyncio.gather(first, *later) == [0, 10, 20, 30, 40, 50]
        assert seen == [[0], [1, 2, 3], [4, 5]]

    asyncio.run(ask())


def test_a_failure_is_told_to_its_batch_alone() -> None:
    async def work(items: list[int]) -> list[int]:
        if 1 in items:
            raise ValueError("one")
        return items

    async def ask() -> None:
        batches = Batches(work, max_size=1)
        found = await asyncio.gather(batches.put(1), batches.put(2), return_exceptions=True)
        assert (str(found[0]), found[1]) == ("one", 2)

    asyncio.run(ask())


def test_who_gives_up_does_not_hold_the_others() -> None:
    async def work(items: list[int]) -> list[int]:
        await asyncio.sleep(0.02)
        return items

    async def ask() -> None:
        batches = Batches(work, max_size=2)
        late, other = asyncio.create_task(batches.put(1)), asyncio.create_task(batches.put(2))
        await asyncio.sleep(0.01)
        late.cancel()
        assert await other == 2
        with pytest.raises(asyncio.CancelledError):
            await late
        assert await batches.put(3) == 3

    asyncio.run(ask())


def test_a_queue_that_nobody_waits_for_any_more_does_not_grow_beyond_its_limit() -> None:
    async def work(items: list[int]) -> list[int]:
        await asyncio.sleep(0.05)
        return items

    async def ask() -> None:
        batches = Batches(work, max_size=1, max_waiting=3)
        asked = [asyncio.ensure_future(batches.put(number)) for number in range(10)]
        await asyncio.sleep(0.01)
        for each in asked:
            each.cancel()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(each, Full) for each in told) == 7
        await asyncio.sleep(0.2)
        assert await batches.put(11) == 11

    asyncio.run(ask())
