import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pinrank.keys import codes, column_hashes, dense, groups, hashes, mixed, packed, rank_within, repeated_hashes


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**64 - 1)), max_size=30))
def test_ranks_within_a_code_follow_the_order(rows: list[tuple[int, int]]) -> None:
    codes, order = np.array([c for c, _ in rows], np.int64), np.array([o for _, o in rows], np.uint64)
    ranks = rank_within(codes, order)
    for code in set(codes.tolist()):
        inside = np.flatnonzero(codes == code)
        assert sorted(ranks[inside].tolist()) == list(range(len(inside)))
        by_rank = inside[np.argsort(ranks[inside])]
        assert order[by_rank].tolist() == sorted(order[inside].tolist())


def test_hashes_are_the_same_everywhere() -> None:
    assert hashes(["red shoes", ""], 7).tolist() == [4355533712631844395, hashes([""], 7)[0]]


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=20))
def test_codes_tell_values_apart(values: list[str | None]) -> None:
    found = codes(pa.chunked_array([pa.array(values, pa.string())])).tolist()
    assert found == [list(dict.fromkeys(values)).index(value) for value in values]


@given(st.lists(st.tuples(*[st.integers(0, 2**40)] * 3), min_size=1, max_size=20))
def test_packed_codes_keep_the_order_of_their_parts(rows: list[tuple[int, int, int]]) -> None:
    columns = [np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)]
    found = packed(*columns)
    assert dense(found).tolist() == [sorted(set(rows)).index(row) for row in rows]


@given(st.lists(st.integers(0, 5), max_size=20))
def test_groups_bring_equal_codes_together(values: list[int]) -> None:
    array = np.array(values, dtype=np.int64)
    order, starts = groups(array)
    assert array[order].tolist() == sorted(values)
    assert array[order][starts].tolist() == sorted(set(values))


def test_mixing_depends_on_the_order_and_on_every_bit() -> None:
    left, right = np.arange(2, dtype=np.uint64), np.arange(2, dtype=np.uint64)[::-1]
    assert len(set(mixed(left, right).tolist())) == 2
    first, second = mixed(left, np.uint64(7)).tolist()
    assert 20 < (first ^ second).bit_count() < 44


def test_hashes_of_a_column_are_those_of_its_values() -> None:
    column = pa.chunked_array([["red", "\u2764"], ["", "red"]])
    assert column_hashes(column).tolist() == hashes(["red", "\u2764", "", "red"], 0).tolist()
    assert repeated_hashes(column).tolist() == column_hashes(column).tolist()
