"""Dawid-Skene, against a step worked by hand, a known truth and what must hold of any grades."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from pinrank.annotators.dawid_skene import (
    DawidSkeneSettings,
    dawid_skene,
    error_rates,
    joint_log_probabilities,
    true_levels,
)

PAPER = DawidSkeneSettings(smoothing=0)
ONE_STEP = DawidSkeneSettings(smoothing=0, max_iterations=1)

# Annotators 0 and 1 say 5 and annotator 2 says 1 of pair 0; all say 1 of pair 1.
PAIRS, PEOPLE, GIVEN = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 2]), np.array([5, 5, 1, 1, 1, 1])

GRADES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 5)), min_size=1, max_size=40)


def numbered(grades: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs and annotators from 0 without a hole."""
    pairs, people, levels = (np.array(column) for column in zip(*grades, strict=True))
    return np.unique(pairs, return_inverse=True)[1], np.unique(people, return_inverse=True)[1], levels


def test_one_step_as_worked_by_hand() -> None:
    # From the shares (pair 0: 1/3 L1, 2/3 L5; pair 1: L1): prior 2/3, 1/3. Annotator 0 of a true 1 says 1 with mass 1
    # and 5 with mass 1/3, so 3/4 and 1/4; of a true 5 always 5. Annotator 2 always says 1.
    # Pair 0: L1 2/3 * 1/4 * 1/4 * 1 = 1/24, L5 1/3: so 1/9 and 8/9.
    found = dawid_skene(PAIRS, PEOPLE, GIVEN, ONE_STEP)
    np.testing.assert_allclose(found.probabilities_PL, [[1 / 9, 0, 0, 0, 8 / 9], [1, 0, 0, 0, 0]], atol=1e-12)
    assert (found.iterations, found.converged) == (1, False)


def test_the_error_matrices_of_that_step() -> None:
    start = np.array([[1 / 3, 0, 0, 0, 2 / 3], [1, 0, 0, 0, 0]])
    errors_ALL, prior_L = error_rates(start, PAIRS, PEOPLE, GIVEN, smoothing=0)
    np.testing.assert_allclose(prior_L, [2 / 3, 0, 0, 0, 1 / 3])
    np.testing.assert_allclose(errors_ALL[0, 0], [3 / 4, 0, 0, 0, 1 / 4])
    np.testing.assert_allclose(errors_ALL[0, 4], [0, 0, 0, 0, 1])
    np.testing.assert_allclose(errors_ALL[2, 4], [1, 0, 0, 0, 0])
    np.testing.assert_allclose(errors_ALL[1, 2], [0, 0, 1, 0, 0])  # nothing is known of what they say of a true 3


def test_added_grades_of_one_row_by_hand() -> None:
    # Annotator 0 of a true 5 has 2/3 of a grade, all 5; one more is added, 0.9 of it right, the rest even.
    start = np.array([[1 / 3, 0, 0, 0, 2 / 3], [1, 0, 0, 0, 0]])
    errors_ALL, _ = error_rates(start, PAIRS, PEOPLE, GIVEN, smoothing=1)
    np.testing.assert_allclose(errors_ALL[0, 4], np.array([0.025, 0.025, 0.025, 0.025, 0.9 + 2 / 3]) / (5 / 3))
    np.testing.assert_allclose(errors_ALL[0, 2], [0.025, 0.025, 0.9, 0.025, 0.025])


def test_single_grades_do_not_talk_each_other_into_a_level() -> None:
    pairs, people = np.arange(40), np.arange(40) % 4
    levels = np.where(pairs < 38, 5, 1)
    found = dawid_skene(pairs, people, levels, DawidSkeneSettings())
    np.testing.assert_array_equal(found.probabilities_PL.argmax(axis=1) + 1, levels)


def test_a_single_grade_is_worth_what_its_annotator_is_elsewhere() -> None:
    # On shared pairs annotator 2 says one level more than the other two; pair 40 has their grade alone.
    truth = np.arange(40) % 4 + 1
    pairs = np.r_[np.tile(np.arange(40), 3), 40]
    people = np.r_[np.repeat(np.arange(3), 40), 2]
    levels = np.r_[truth, truth, truth + 1, 4]
    found = dawid_skene(pairs, people, levels, DawidSkeneSettings())
    np.testing.assert_array_equal(found.probabilities_PL.argmax(axis=1) + 1, [*truth, 3])


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_a_level_that_its_annotator_never_gave_before_is_still_a_grade(smoothing: float) -> None:
    pairs, people = np.array([0, 0, 1, 1, 2, 2, 3]), np.array([0, 1, 0, 1, 0, 1, 0])
    levels = np.array([1, 1, 5, 5, 2, 3, 3])
    found = dawid_skene(pairs, people, levels, DawidSkeneSettings(smoothing=smoothing))
    np.testing.assert_allclose(found.probabilities_PL.sum(axis=1), 1)


def test_it_ends_where_two_agree_against_the_one_who_always_says_the_same() -> None:
    found = dawid_skene(PAIRS, PEOPLE, GIVEN, PAPER)
    assert found.converged
    np.testing.assert_allclose(found.probabilities_PL, [[0, 0, 0, 0, 1], [1, 0, 0, 0, 0]], atol=1e-4)


def test_careful_annotators_outvote_careless_ones_where_the_majority_would_not() -> None:
    random = np.random.default_rng(0)
    truth_P = random.integers(1, 6, size=400)
    careful = [np.where(random.random(400) < 0.9, truth_P, random.integers(1, 6, size=400)) for _ in range(2)]
    careless = [random.integers(1, 6, size=400) for _ in range(3)]
    pairs, people = np.tile(np.arange(400), 5), np.repeat(np.arange(5), 400)
    levels = np.concatenate([*careful, *careless])
    found = dawid_skene(pairs, people, levels, DawidSkeneSettings())
    counts_PL = np.zeros((400, 5))
    np.add.at(counts_PL, (pairs, levels - 1), 1)
    right = float((found.probabilities_PL.argmax(axis=1) + 1 == truth_P).mean())
    assert found.converged
    assert right > 0.85 > (counts_PL.argmax(axis=1) + 1 == truth_P).mean()
    assert np.einsum("all->a", found.errors_ALL)[:2].min() / 5 > 0.8


@given(GRADES, st.sampled_from([0.0, 0.01, 1.0]))
def test_whatever_the_grades_everything_is_a_probability(grades: list[tuple[int, int, int]], smoothing: float) -> None:
    found = dawid_skene(*numbered(grades), DawidSkeneSettings(smoothing=smoothing, max_iterations=50))
    for each in (found.probabilities_PL, found.errors_ALL, found.prior_L):
        assert each.min() >= 0
        np.testing.assert_allclose(each.sum(axis=-1), 1)


@given(GRADES)
def test_no_step_makes_the_grades_less_likely(grades: list[tuple[int, int, int]]) -> None:
    pairs_N, people_N, levels_N = numbered(grades)
    probabilities_PL = np.zeros((pairs_N.max() + 1, 5))
    np.add.at(probabilities_PL, (pairs_N, levels_N - 1), 1.0)
    probabilities_PL /= probabilities_PL.sum(axis=1, keepdims=True)
    likelihood = -np.inf
    pairs_N, people_N, levels_N = (np.r_[column, column] for column in (pairs_N, people_N, levels_N))
    for _ in range(10):  # every grade twice, so that no pair has one grade
        errors_ALL, prior_L = error_rates(probabilities_PL, pairs_N, people_N, levels_N, smoothing=0)
        joint_PL = joint_log_probabilities(errors_ALL, prior_L, pairs_N, people_N, levels_N)
        before, likelihood = likelihood, float(logsumexp(joint_PL, axis=1).sum())
        assert likelihood >= before - 1e-9
        probabilities_PL = true_levels(errors_ALL, prior_L, pairs_N, people_N, levels_N)


@given(GRADES, st.permutations(range(4)), st.randoms())
def test_neither_the_numbers_of_annotators_nor_the_order_of_rows_matter(
    grades: list[tuple[int, int, int]], numbers: list[int], random: object
) -> None:
    shuffled = [(pair, numbers[person], level) for pair, person, level in grades]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    steps = DawidSkeneSettings(max_iterations=20)
    first, second = (dawid_skene(*numbered(each), steps) for each in (grades, shuffled))
    np.testing.assert_allclose(first.probabilities_PL, second.probabilities_PL, atol=1e-6)


def test_a_level_that_nobody_gave_is_nobodys_true_level() -> None:
    found = dawid_skene(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([1, 5, 5, 5]), DawidSkeneSettings())
    assert found.probabilities_PL[:, 1:4].max() == 0


def test_the_same_grades_give_the_same_bytes() -> None:
    first, second = (dawid_skene(PAIRS, PEOPLE, GIVEN, DawidSkeneSettings()) for _ in range(2))
    assert first.probabilities_PL.tobytes() == second.probabilities_PL.tobytes()


def test_smoothing_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="smoothing"):
        DawidSkeneSettings(smoothing=-1)
