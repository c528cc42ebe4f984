"""Several grades to one: what each method does with them, and what none of them may depend on."""

import logging

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.annotators.aggregation import Method, aggregate
from pinrank.annotators.consensus import consensus_table, disagreeing, one_judgment_a_pair
from pinrank.annotators.dawid_skene import DawidSkeneSettings
from pinrank.annotators.ratings import ordered, ratings, second_thoughts
from pinrank.evaluation.task import one_row_a_pair
from pinrank.tables import CONSENSUS, JUDGMENTS, faults
from pinrank.teacher.targets import of_annotators
from tests.annotators.rows import graded, grid, judgments

METHODS: tuple[Method, ...] = ("majority", "mean", "dawid_skene")
EM = DawidSkeneSettings(max_iterations=30)
GRADES = st.lists(
    st.tuples(st.sampled_from("pqrst"), st.sampled_from(["x", "y", "z"]), st.integers(1, 5)),
    unique_by=lambda grade: grade[:2],
    min_size=1,
)


def joined(grades: list[tuple[str, str, int]], method: Method) -> list[int]:
    table = ordered(judgments(*grades))
    numbered = ratings(table)
    consensus = consensus_table(table, numbered, aggregate(numbered, method, EM))
    return one_judgment_a_pair(table, consensus, method).column("level").to_pylist()


@pytest.mark.parametrize(
    ("levels", "majority", "mean"),
    [
        ([4], 4, 4),
        ([5, 5, 1], 5, 4),
        ([2, 2, 5, 5, 5], 5, 4),
        ([1, 5], 1, 3),  # both as far from the mean: the lower one
        ([1, 1, 5, 5, 4], 5, 3),  # the mean is 3.2, which is nearer to 5
        ([3, 4], 3, 4),  # the mean is rounded half up
    ],
)
def test_majority_and_mean(levels: list[int], majority: int, mean: int) -> None:
    grades = [("p", f"person {number}", level) for number, level in enumerate(levels)]
    assert (joined(grades, "majority"), joined(grades, "mean")) == ([majority], [mean])


@given(GRADES)
def test_the_mean_is_the_one_by_which_evaluation_joins_annotators(grades: list[tuple[str, str, int]]) -> None:
    table = ordered(judgments(*grades))
    evaluated = one_row_a_pair(table)
    assert joined(grades, "mean") == evaluated.column("level").to_pylist()


@given(GRADES)
def test_the_shares_are_the_targets_that_the_teacher_learns(grades: list[tuple[str, str, int]]) -> None:
    numbered = graded(judgments(*grades))
    targets_NL = of_annotators(numbered.levels_N, numbered.pairs_N)
    for method in ("majority", "mean"):
        np.testing.assert_allclose(aggregate(numbered, method, EM).probabilities_PL[numbered.pairs_N], targets_NL)


@pytest.mark.parametrize("method", METHODS)
@given(grades=GRADES, names=st.permutations(["ada", "max", "zoe"]), random=st.randoms())
def test_neither_the_order_of_rows_nor_the_names_of_annotators_matter(
    method: Method, grades: list[tuple[str, str, int]], names: list[str], random: object
) -> None:
    shuffled = [(pair, names["xyz".index(name)], level) for pair, name, level in grades]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert joined(grades, method) == joined(shuffled, method)


@pytest.mark.parametrize("method", METHODS)
@given(grades=st.lists(st.tuples(st.sampled_from("pqrst")), min_size=1, unique=True))
def test_a_pair_of_one_voice_keeps_it(method: Method, grades: list[tuple[str]]) -> None:
    unanimous = [(pair, name, 1 + "pqrst".index(pair)) for pair, *_ in grades for name in "xyz"[: 1 + ord(pair) % 3]]
    assert joined(unanimous, method) == [1 + "pqrst".index(pair) for pair in sorted({pair for pair, *_ in grades})]


def test_sources_are_estimated_apart() -> None:
    careful = [(f"{pair:02}", who, 1 + pair % 5) for pair in range(20) for who in ("x", "y")]
    contrary = [(pair, "z", 6 - level) for pair, _, level in careful[::2]]
    both = [judgments(*careful, *contrary, source="a"), judgments(*contrary, source="b")]
    numbered = graded(pa.concat_tables(both))
    found = aggregate(numbered, "dawid_skene", DawidSkeneSettings())
    assert found.annotators == {"a": ("x", "y", "z"), "b": ("z",)}
    assert found.levels_P[numbered.sources_P == "a"].tolist() == [1 + pair % 5 for pair in range(20)]
    assert found.levels_P[numbered.sources_P == "b"].tolist() == [5 - pair % 5 for pair in range(20)]


def test_an_estimate_that_has_not_converged_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        aggregate(graded(grid(x=[1, 5, 3], y=[2, 5, 4])), "dawid_skene", DawidSkeneSettings(max_iterations=1))
    assert "source toy: Dawid-Skene has not converged in 1 iterations" in caplog.text


def test_the_consensus_says_who_gave_which_level() -> None:
    table = ordered(judgments(("p", "y", 2), ("q", "x", 4), ("p", "x", 5), ("p", None, 5)))
    numbered = ratings(table)
    found = consensus_table(table, numbered, aggregate(numbered, "majority", EM))
    assert faults(found, CONSENSUS) == []
    first, second = found.to_pylist()
    assert (first["pin_id"], first["level"], first["levels"], first["gap"]) == ("pin-p", 5, [5, 2, 5], 3)
    assert first["annotator_ids"] == ["x", "y", None]
    np.testing.assert_allclose(first["probabilities"], [0, 1 / 3, 0, 0, 2 / 3], rtol=1e-6)
    assert (second["levels"], second["gap"], second["split"]) == ([4], 0, "train")


def test_joined_judgments_are_a_table_of_judgments_under_ids_of_their_own_rows() -> None:
    table = ordered(judgments(("p", "x", 5), ("p", "y", 2), ("q", "x", 4)))
    numbered = ratings(table)
    consensus = consensus_table(table, numbered, aggregate(numbered, "mean", EM))
    found = one_judgment_a_pair(table, consensus, "mean")
    assert faults(found, JUDGMENTS) == []
    first = found.to_pylist()[0]
    assert (first["annotator_id"], first["level"], first["judgment_id"]) == ("aggregate", 4, "toy-p-x-0")
    assert first["relevance"] == pytest.approx((1 + 0.25) / 2)


def test_dawid_skenes_relevance_is_the_score_of_its_probabilities() -> None:
    table = ordered(grid(x=[1, 5, 3, 4], y=[1, 5, 4, 4], z=[2, 5, 3, 1]))
    numbered = ratings(table)
    found = aggregate(numbered, "dawid_skene", EM)
    made = one_judgment_a_pair(table, consensus_table(table, numbered, found), "dawid_skene")
    np.testing.assert_allclose(
        made.column("relevance").to_numpy(), found.probabilities_PL @ np.arange(5) / 4, atol=1e-6
    )


def test_disagreeing_pairs_come_furthest_first() -> None:
    table = ordered(grid(x=[1, 5, 3, 2], y=[3, 1, 4, 4]))
    numbered = ratings(table)
    found = disagreeing(consensus_table(table, numbered, aggregate(numbered, "mean", EM)), min_gap=2)
    assert found.column("pin_id").to_pylist() == ["pin-01", "pin-00", "pin-03"]


def test_a_second_grade_of_a_pair_by_one_annotator_is_found_but_not_one_without_a_name() -> None:
    twice = judgments(("p", "x", 5), ("p", "y", 2), ("p", "x", 1), ("p", None, 1), ("p", None, 2))
    (found,) = second_thoughts(twice, [])
    assert (found.column, found.rows.tolist()) == ("annotator_id", [2])


def test_a_row_at_fault_does_not_make_the_good_one_a_second_thought() -> None:
    twice = judgments(("p", "x", 7), ("p", "x", 1))
    assert second_thoughts(twice, faults(twice, JUDGMENTS)) == []
