"""Which pairs could be reviewed."""

import pyarrow as pa

from pinrank.review.candidates import candidates
from tests.review.small_tables import GRADES, judgments, pin_text, soft_labels

PINS = pin_text().column("pin_id")


def pairs_of(*graded: pa.Table, splits: tuple[str, ...] = ("train", "dev"), most: int = 99) -> list[tuple[str, str]]:
    found = candidates(judgments(GRADES), graded, PINS, splits, most, seed=0).pairs
    return sorted(zip(found.column("query").to_pylist(), found.column("pin_id").to_pylist(), strict=True))


def test_judged_pairs_of_the_splits_with_the_levels_of_their_annotators() -> None:
    found = candidates(judgments(GRADES), [], PINS, ("train", "dev"), 99, seed=0)
    assert found.pairs.column("query_id").to_pylist() == ["q1", "q1", "q2"]
    assert found.lowest_P.tolist() == [1, 2, 5]
    assert found.highest_P.tolist() == [5, 2, 5]
    assert found.num_annotators_P.tolist() == [2, 1, 1]
    assert found.strata.tolist() == ["en/shop", "en/shop", "de/shop"]


def test_a_graded_pair_that_is_judged_in_another_spelling_comes_once() -> None:
    assert pairs_of(soft_labels(("red  BOOTS", "a", 5))) == [
        ("Red Boots", "a"),
        ("Red Boots", "b"),
        ("altes haus", "c"),
    ]


def test_an_unjudged_pair_comes_once_though_both_models_graded_it() -> None:
    both = [soft_labels(("boat", "d", 5)), soft_labels(("boat", "d", 1))]
    assert ("boat", "d") in pairs_of(*both)
    assert len(pairs_of(*both)) == 4


def test_no_pair_of_a_query_in_another_split_in_any_spelling() -> None:
    found = candidates(judgments(GRADES), [soft_labels(("CAKE", "d", 5))], PINS, ("train", "dev"), 99, seed=0)
    assert found.pairs.num_rows == 3
    assert found.left_out["unjudged_pairs_of_queries_in_other_splits"] == 1
    assert ("CAKE", "d") in pairs_of(soft_labels(("CAKE", "d", 5)), splits=("train", "dev", "test"))


def test_pairs_that_cannot_be_shown_are_counted() -> None:
    found = candidates(judgments(GRADES), [soft_labels(("boat", "gone", 5))], PINS, ("train",), 99, seed=0)
    assert found.pairs.num_rows == 2
    assert found.left_out["pairs_without_pin_text"] == 1


def test_a_pair_that_was_reviewed_before_does_not_come_again() -> None:
    table = judgments(GRADES)
    ids = ["review-1", *table.column("judgment_id").to_pylist()[1:]]
    table = table.set_column(table.column_names.index("judgment_id"), "judgment_id", [ids])
    found = candidates(table, [], PINS, ("train", "dev"), 99, seed=0)
    assert found.pairs.column("pin_id").to_pylist() == ["b", "c"]
    assert found.lowest_P.tolist() == [2, 5]
    assert found.left_out["pairs_reviewed_before"] == 1


def test_no_judgment_in_the_splits_leaves_the_unjudged_pairs() -> None:
    nothing = judgments(GRADES).slice(0, 0)
    found = candidates(nothing, [soft_labels(("boat", "d", 5))], PINS, ("dev",), 99, seed=0)
    assert found.pairs.column("query").to_pylist() == ["boat"]


def test_the_unjudged_pairs_that_are_looked_at_are_chosen_by_hash() -> None:
    graded = soft_labels(*((f"boat {number}", "d", 5) for number in range(20)))
    few = pairs_of(graded, most=5)
    assert len(few) == 3 + 5
    assert pairs_of(graded.take(list(range(19, -1, -1))), most=5) == few
