"""Alpha and kappa, against published numbers, another implementation and what must hold of any grades."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from pinrank.annotators.agreement import agreement, alpha, alpha_with_interval, kappas, profiles
from tests.annotators.rows import graded, grid, judgments

_ = None
PUBLISHED = {
    "a": [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    "b": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    "c": [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    "d": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
}
"""The example of Krippendorff (2011) with four observers, twelve units and missing grades."""

GRADES = st.lists(
    st.tuples(st.sampled_from("pqrst"), st.sampled_from(["x", "y", "z"]), st.integers(1, 5)),
    unique_by=lambda grade: grade[:2],
    min_size=1,
)


@pytest.mark.parametrize(("distance", "published"), [("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_published_example(distance: str, published: float) -> None:
    counts_PL = graded(grid(**PUBLISHED)).level_counts
    found = alpha_with_interval(counts_PL, distance, num_resamples=0, seed=0)  # type: ignore[arg-type]
    assert found.value == pytest.approx(published, abs=0.0005)
    assert found.interval is None


def test_perfect_agreement_is_one_and_a_single_level_says_nothing() -> None:
    assert alpha_with_interval(np.array([[2, 0, 0, 0, 0], [0, 0, 0, 0, 3]]), "ordinal", 100, 0).value == 1
    assert alpha_with_interval(np.array([[2, 0, 0, 0, 0], [3, 0, 0, 0, 0]]), "ordinal", 100, 0).value is None
    assert alpha_with_interval(np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]), "interval", 100, 0).value is None
    assert alpha_with_interval(np.zeros((0, 5), np.int64), "interval", 100, 0).value is None


def test_interval_alpha_of_three_pairs_by_hand() -> None:
    # two annotators: (1,1) (1,3) (5,5). Observed: 2 * 4 = 8 over 6 grades. By chance, with n1=3 n3=1 n5=2:
    # 2 * (3*1*4 + 3*2*16 + 1*2*4) = 232, so alpha = 1 - 5 * 8 / 232.
    kinds = np.array([[2, 0, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 0, 2]])
    assert alpha(kinds, np.array([[1, 1, 1]]), "interval") == pytest.approx(1 - 40 / 232)


def test_a_kind_that_stands_twice_counts_as_two_pairs() -> None:
    kinds = np.array([[2, 0, 0, 0, 0], [1, 0, 1, 0, 0]])
    doubled = np.repeat(kinds, [3, 2], axis=0)
    both = [alpha(kinds, np.array([[3, 2]]), "ordinal"), alpha(doubled, np.ones((1, 5), int), "ordinal")]
    assert both[0] == pytest.approx(both[1])


def test_the_interval_holds_the_value_and_shrinks_with_more_pairs() -> None:
    random = np.random.default_rng(0)
    pairs = random.choice(np.array([[2, 0, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 1, 1]]), size=800)
    few, many = (alpha_with_interval(pairs[:size], "ordinal", 500, 0) for size in (50, 800))
    assert few.interval and many.interval and many.value
    assert many.interval[0] < many.value < many.interval[1]
    assert many.interval[1] - many.interval[0] < 0.5 * (few.interval[1] - few.interval[0])


@given(GRADES, st.randoms())
def test_neither_the_order_of_rows_nor_the_names_matter(grades: list[tuple[str, str, int]], random: object) -> None:
    shuffled = list(grades)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    renamed = [(pair, {"x": "zoe", "y": "ada", "z": "max"}[name], level) for pair, name, level in shuffled]
    first, second, third = (
        agreement("all", graded(judgments(*each)), 1, 20, 0) for each in (grades, shuffled, renamed)
    )
    assert first == second
    assert (first.alpha_ordinal, first.alpha_interval) == (third.alpha_ordinal, third.alpha_interval)
    assert sorted(each.num_pairs for each in first.kappas) == sorted(each.num_pairs for each in third.kappas)


@given(GRADES)
def test_every_kappa_is_that_of_the_pairs_that_both_graded(grades: list[tuple[str, str, int]]) -> None:
    given_by = {name: {pair: level for pair, who, level in grades if who == name} for name in "xyz"}
    for each in kappas(graded(judgments(*grades)), min_overlap=1):
        shared = sorted(given_by[each.first].keys() & given_by[each.second].keys())
        assert each.num_pairs == len(shared) > 0
        levels = [[given_by[name][pair] for pair in shared] for name in (each.first, each.second)]
        if len({*levels[0], *levels[1]}) == 1:
            assert each.kappa is None
        else:
            assert each.kappa == pytest.approx(cohen_kappa_score(*levels, weights="quadratic", labels=[1, 2, 3, 4, 5]))


def test_too_small_an_overlap_gives_no_kappa() -> None:
    found = kappas(graded(grid(x=[1, 2, 3, _], y=[1, 2, 5, 5], z=[_, _, 3, 3])), min_overlap=2)
    assert [(each.first, each.second, each.num_pairs) for each in found] == [("x", "y", 3), ("y", "z", 2)]


def test_an_annotator_is_set_beside_the_others() -> None:
    strict, mild = profiles(graded(grid(strict=[1, 2, 3, 4], mild=[2, 2, 5, _])))[::-1]
    assert (strict.name, strict.num_pairs, strict.num_shared, strict.mean_level) == ("strict", 4, 3, 2.5)
    assert strict.above_others == pytest.approx(-1)  # -1, 0, -2
    assert mild.above_others == pytest.approx(1)
    assert strict.same_as_others == mild.same_as_others == pytest.approx(1 / 3)


def test_grades_without_a_name_count_for_alpha_and_for_nobody() -> None:
    grades = pa.concat_tables([grid(x=[1, 3]), judgments(("00", None, 1), ("01", "aggregate", 5))])
    found = agreement("all", graded(grades), 1, 0, 0)
    assert (found.num_shared, found.num_grades, found.kappas) == (2, 4, ())
    assert [each.name for each in found.profiles] == ["x"]
    assert found.alpha_interval.value is not None
