"""The generated world's logs, chunk by chunk."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.datasets.world import WorldSettings, generate
from pinrank.datasets.world.catalogue import Catalogue, catalogue_of
from pinrank.datasets.world.log import Chunk, chunks, log_of
from pinrank.datasets.world.settings import DAY_US, PER_PAGE

SMALL = WorldSettings(num_pins=300, num_queries=40, num_impressions=3_000, num_days=3, rows_per_chunk=400)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return catalogue_of(SMALL)


@given(impressions=st.integers(0, 5_000), days=st.integers(1, 9), rows=st.integers(PER_PAGE, 600))
def test_chunks_hold_every_page_once_in_order_and_none_is_larger_than_asked(
    impressions: int, days: int, rows: int
) -> None:
    found = chunks(WorldSettings(num_impressions=impressions, num_days=days, rows_per_chunk=rows))
    assert [chunk.number for chunk in found] == list(range(len(found)))
    assert (found[0].first_page, found[-1].stop_page) == (0, impressions // PER_PAGE)
    assert all(left.stop_page == right.first_page for left, right in pairwise(found))
    assert max((chunk.stop_page - chunk.first_page) * PER_PAGE for chunk in found) <= rows
    assert len({chunk.file for chunk in found}) == len(found)


@given(impressions=st.integers(0, 20_000), days=st.integers(1, 9))
def test_chunks_follow_each_other_in_time_within_their_day(impressions: int, days: int) -> None:
    found = chunks(WorldSettings(num_impressions=impressions, num_days=days, rows_per_chunk=1_000))
    for left, right in pairwise(found):
        assert left.to_us <= right.from_us
    for chunk in found:
        assert chunk.day * DAY_US <= chunk.from_us < chunk.to_us <= (chunk.day + 1) * DAY_US


def test_a_chunk_is_the_same_whatever_was_made_before_it(catalogue: Catalogue) -> None:
    found = chunks(SMALL)
    forwards = [log_of(catalogue, chunk) for chunk in found]
    backwards = [log_of(catalogue_of(SMALL), chunk) for chunk in reversed(found)]
    assert forwards == backwards[::-1]
    assert len({str(log.impressions.column("query").to_pylist()) for log in forwards}) == len(found)


def test_a_chunk_does_not_depend_on_how_many_pins_get_pictures(catalogue: Catalogue) -> None:
    other = catalogue_of(SMALL.model_copy(update={"images": 5}))
    chunk = chunks(SMALL)[2]
    assert log_of(other, chunk) == log_of(catalogue, chunk)


def test_rows_lie_in_the_day_and_stretch_of_their_chunk(catalogue: Catalogue) -> None:
    for chunk in chunks(SMALL):
        made = log_of(catalogue, chunk)
        times, actions = (table.column("ts").to_pylist() for table in (made.impressions, made.engagement))
        assert {str(time.date()) for time in times} == {chunk.file.partition("/")[0]}
        assert times == sorted(times) and actions == sorted(actions)


def test_all_chunks_together_are_the_world_in_memory(catalogue: Catalogue) -> None:
    logs = [log_of(catalogue, chunk) for chunk in chunks(SMALL)]
    world = generate(SMALL)
    assert pa.concat_tables([log.impressions for log in logs]) == world.impressions
    ids = world.impressions.column("impression_id").to_pylist()
    assert ids == [f"impression:{row}" for row in range(3_000)]


def test_a_day_without_pages_has_no_chunk_and_a_log_without_pages_has_an_empty_one(catalogue: Catalogue) -> None:
    assert [chunk.day for chunk in chunks(WorldSettings(num_impressions=20, num_days=4))] == [1, 3]
    (empty,) = chunks(WorldSettings(num_impressions=9))
    assert empty == Chunk(0, 0, 0, 0, 0, 0, DAY_US)
    made = log_of(catalogue, empty)
    assert [table.num_rows for table in (made.impressions, made.engagement, made.truth)] == [0, 0, 0]


def test_half_of_all_pages_are_for_the_head(catalogue: Catalogue) -> None:
    shares = np.diff(catalogue.cumulated_Q, prepend=0)
    assert np.all(np.diff(shares) < 0)
    assert shares[:4].sum() == pytest.approx(0.487, abs=0.001)  # of 40 queries, (1 + 1/2 + 1/3 + 1/4) / H(40)
