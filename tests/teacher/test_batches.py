"""Length-grouped batches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pinrank.teacher.batches import balanced, length_grouped, num_batches


@given(st.integers(1, 400), st.integers(1, 40), st.integers(1, 3), st.integers(0, 5))
def test_every_row_is_seen_by_some_rank_and_all_ranks_step_equally_often(rows: int, size: int, ranks: int, seed: int):
    lengths = [7 * row % 50 for row in range(rows)]
    batches = [list(length_grouped(lengths, size, seed, rank, ranks)) for rank in range(ranks)]
    assert {len(own) for own in batches} == {num_batches(rows, size, ranks)}
    assert set(np.concatenate([batch for own in batches for batch in own]).tolist()) == set(range(rows))


def test_one_rank_sees_each_row_once():
    rows = np.concatenate(list(length_grouped([5, 1, 4, 2, 3], 2, seed=0)))
    assert sorted(rows.tolist()) == [0, 1, 2, 3, 4]


def test_a_batch_holds_rows_of_like_length():
    lengths = list(range(1000))
    spreads = [max(batch) - min(batch) for batch in length_grouped(lengths, 10, seed=0)]
    assert np.mean(spreads) < 50, "random batches of 10 out of 1000 spread over about 800"


def test_the_seed_alone_decides_the_order():
    first, again, other = ([batch.tolist() for batch in length_grouped(range(100), 8, seed)] for seed in (1, 1, 2))
    assert first == again
    assert first != other


SOURCES = np.array(["big"] * 90 + ["small"] * 10)


def test_without_balance_every_row_comes_once():
    assert balanced(SOURCES, 0.0, seed=1).tolist() == list(range(100))


def test_full_balance_draws_sources_alike_and_repeats_no_row_before_all_came():
    rows = balanced(SOURCES, 1.0, seed=1)
    counts = np.bincount(rows, minlength=100)
    assert counts[:90].sum() == counts[90:].sum() == 50
    assert counts[:90].max() == 1 and counts[90:].tolist() == [5] * 10


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.floats(0, 1), st.integers(0, 3))
def test_a_balanced_epoch_is_as_long_as_any_other(sources: list[str], balance: float, seed: int):
    assert len(balanced(np.array(sources), balance, seed)) == len(sources)
