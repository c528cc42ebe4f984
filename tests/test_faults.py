import json

import numpy as np
import pyarrow as pa
import pytest

from pinrank.errors import JudgmentError, TableError
from pinrank.faults import (
    Fault,
    empty_rows,
    fault,
    levels_outside,
    misplaced_splits,
    refuse_too_many,
    repeated_keys,
    split,
    whole_levels,
)


def rows_of(found: list[Fault]) -> list[int]:
    return [row for each in found for row in each.rows.tolist()]


@pytest.mark.parametrize("to", [pa.string(), pa.large_string()])
def test_null_and_blank_text_is_empty(to: pa.DataType) -> None:
    data = pa.table({"query": pa.array(["a", None, "", " \t\u00a0", "0"], to)})
    assert rows_of(empty_rows(data, "query")) == [1, 2, 3]


def test_numbers_are_empty_only_when_null() -> None:
    assert rows_of(empty_rows(pa.table({"n": [0, None, 1]}), "n")) == [1]


def test_column_of_nothing_but_nulls_is_empty_everywhere() -> None:
    assert rows_of(empty_rows(pa.table({"n": pa.nulls(2)}), "n")) == [0, 1]


@pytest.mark.parametrize("chunks", [[[1, 2, 1], [2, 3]], [[1, 2, 1, 2, 3]], [[], [1, 2, 1, 2, 3], []]])
def test_later_rows_of_a_key_repeat_it(chunks: list[list[int]]) -> None:
    data = pa.table({"id": pa.chunked_array(chunks, pa.int64())})
    assert rows_of(repeated_keys(data, ("id",))) == [2, 3]


def test_keys_of_several_columns_repeat_together_and_nulls_do_not_count() -> None:
    data = pa.table({"a": ["x", "x", "x", None, None], "b": [1, 2, 1, 1, 1]})
    assert rows_of(repeated_keys(data, ("a", "b"))) == [2]


@pytest.mark.parametrize("to", [pa.int8(), pa.int64(), pa.uint8(), pa.float32(), pa.float64()])
def test_levels_outside_the_scale_are_found_in_every_number_type(to: pa.DataType) -> None:
    column = pa.chunked_array([pa.array([0, 1, 5, 6, None, 100], to)])
    assert rows_of(levels_outside(column)) == [0, 3, 5]
    assert whole_levels(column).to_pylist() == [0, 1, 5, 0, None, 0]


def test_fractions_and_nan_are_no_levels() -> None:
    column = pa.chunked_array([pa.array([2.5, float("nan"), 3.0, float("inf"), -1.0])])
    assert rows_of(levels_outside(column)) == [0, 1, 3, 4]
    assert whole_levels(column).to_pylist() == [0, 0, 3, 0, 0]


def test_message_names_five_rows_and_counts_the_rest() -> None:
    (found,) = fault("level", "is outside 1..5", "Map it.", np.ones(7, dtype=bool))
    assert str(found) == "column 'level' is outside 1..5 in 7 rows (rows 0, 1, 2, 3, 4 and 2 more). Map it."


def test_no_row_no_fault() -> None:
    assert fault("x", "y", "z", pa.chunked_array([pa.array([False, None])])) == []
    assert fault("x", "y", "z", pa.array([], pa.bool_())) == []


def test_split_keeps_good_rows_and_records_every_reason_once() -> None:
    data = pa.table({"id": ["a", None, "c"], "n": [1, 2, 9]})
    found = [*fault("id", "is null", "", pa.array([False, True, None])), *fault("n", "is odd", "", np.array([0, 1, 1]))]
    kept, record = split(data, found, "file")
    assert kept.to_pylist() == [{"id": "a", "n": 1}]
    assert record.column("row").to_pylist() == [1, 2]
    assert record.column("reason").to_pylist() == ["'id' is null; 'n' is odd", "'n' is odd"]
    assert json.loads(record.column("content").to_pylist()[0]) == {"id": None, "n": 2}


def test_split_without_faults_keeps_everything() -> None:
    data = pa.table({"id": ["a"]})
    kept, record = split(data, [], "file")
    assert kept.equals(data)
    assert (record.num_rows, record.column_names) == (0, ["file", "row", "reason", "content"])


def test_too_many_bad_rows_are_refused_and_a_row_with_two_faults_counts_once() -> None:
    found = [*fault("a", "is bad", "Mend a.", np.array([1, 0])), *fault("b", "is bad", "Mend b.", np.array([1, 0]))]
    refuse_too_many(found, 2, 0.5, "file")
    with pytest.raises(
        JudgmentError, match=r"file: 1 of 2 rows .* share 0.4: column 'a' .* Mend a. column 'b' .* Mend b."
    ):
        refuse_too_many(found, 2, 0.4, "file", JudgmentError)
    assert issubclass(JudgmentError, TableError)


def test_no_rows_at_all_are_never_too_many() -> None:
    refuse_too_many([], 0, 0.0, "file")


def judgments(*rows: tuple[str, str]) -> pa.Table:
    """(query, split) rows."""
    return pa.table({"query": [query for query, _ in rows], "split": [split for _, split in rows]})


def test_a_split_by_another_name_is_a_fault() -> None:
    (found,) = misplaced_splits(judgments(("a", "train"), ("b", "validation"), ("c", "Test")))
    assert (found.column, found.rows.tolist()) == ("split", [1, 2])
    assert "none of train, dev, test" in found.reason


def test_a_query_in_two_splits_keeps_its_strictest_whatever_the_spelling() -> None:
    (found,) = misplaced_splits(judgments(("Red  Shoe", "train"), ("red shoe", "test"), ("RED SHOE", "dev")))
    assert found.rows.tolist() == [0, 2]


def test_splits_that_are_kept_by_query_are_no_fault() -> None:
    assert misplaced_splits(judgments(("a", "train"), ("a", "train"), ("b", "dev"), ("c", "test"))) == []
