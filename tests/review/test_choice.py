"""Which pairs are furthest apart, and which of them are queued."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.review.choice import ChoiceSettings, choose, disagreement

NAN = float("nan")


def test_the_gap_is_between_the_two_voices_furthest_apart() -> None:
    found = disagreement(
        lowest_P=np.array([1.0, 4.0, NAN, 3.0, 2.0]),
        highest_P=np.array([5.0, 4.0, NAN, 3.0, 3.0]),
        several_P=np.array([True, False, False, False, True]),
        teacher=np.array([3.0, 1.5, 2.0, NAN, 4.5]),
        student=np.array([NAN, 2.0, 4.0, NAN, 1.0]),
    )
    np.testing.assert_allclose(found.gap_P, [4, 2.5, 2, NAN, 3.5])
    assert found.between_P[[0, 1, 2, 4]].tolist() == [
        "annotators",
        "annotators, teacher",
        "student, teacher",
        "student, teacher",
    ]


def test_annotators_of_one_mind_are_voices_without_a_gap() -> None:
    same = np.array([3.0])
    assert disagreement(same, same, np.array([True])).gap_P.tolist() == [0.0]
    assert np.isnan(disagreement(same, same, np.array([False])).gap_P).all()


def queue(gaps: list[float], strata: list[str], queries: list[str], **settings: object) -> list[int]:
    given = {"size": 10, "min_per_stratum": 0, "max_per_query": 9, "min_gap": 1.0} | settings
    order = np.arange(len(gaps), dtype=np.uint64)[::-1].copy()
    columns = (np.asarray(strata, dtype=np.str_), np.asarray(queries, dtype=np.str_), order)
    return choose(np.asarray(gaps, dtype=np.float64), *columns, ChoiceSettings(**given)).tolist()


def test_the_furthest_apart_come_first_and_near_ones_not_at_all() -> None:
    assert queue([1.0, 3.0, 0.5, NAN, 2.0], ["s"] * 5, list("abcde")) == [1, 4, 0]


def test_a_query_gives_its_worst_pairs_alone() -> None:
    assert queue([2.0, 3.0, 4.0, 1.5], ["s"] * 4, ["q", "q", "q", "r"], max_per_query=2) == [2, 1, 3]


def test_a_small_stratum_has_its_share() -> None:
    gaps, strata = [4.0] * 6 + [1.5, 1.2], ["en/shop"] * 6 + ["de/shop"] * 2
    assert 6 in queue(gaps, strata, [f"q{row}" for row in range(8)], size=3, min_per_stratum=1)
    assert queue(gaps, strata, [f"q{row}" for row in range(8)], size=3, min_per_stratum=1)[-1] == 6


def test_the_hash_decides_between_pairs_as_far_apart() -> None:
    assert queue([2.0, 2.0, 2.0], ["s"] * 3, list("abc"), size=2) == [2, 1]


def test_nothing_to_queue_is_an_empty_queue() -> None:
    assert queue([], [], []) == queue([0.1], ["s"], ["q"]) == []


@given(
    st.lists(st.tuples(st.floats(0, 4), st.sampled_from("st"), st.sampled_from("abc")), max_size=30),
    st.integers(1, 10),
    st.randoms(),
)
def test_the_queue_depends_on_no_order_of_the_pairs(
    pairs: list[tuple[float, str, str]], size: int, random: object
) -> None:
    def queued(order: list[int]) -> set[int]:
        gaps, strata, queries = (np.asarray([pairs[row][column] for row in order]) for column in range(3))
        hashes = np.asarray(order, dtype=np.uint64)
        columns = (gaps.astype(np.float64), strata.astype(np.str_), queries.astype(np.str_), hashes)
        found = choose(*columns, ChoiceSettings(size=size, max_per_query=2, min_per_stratum=1))
        assert len(found) <= size
        assert sorted(-columns[0][found]) == list(-columns[0][found])
        return {order[row] for row in found}

    shuffled = list(range(len(pairs)))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert queued(list(range(len(pairs)))) == queued(shuffled)


def test_a_gap_of_more_than_four_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="min_gap"):
        ChoiceSettings(min_gap=5)
