"""What several annotators make together, each trusted as far as their errors allow.

Dawid and Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm (Applied Statistics 28,
1979): a pair has one true level that nobody sees, and an annotator a matrix that says how often they give each level to
a pair of each true one. EM finds both. Nothing is random: it starts from the shares of the levels given.

Two things are not in the paper. A pair with one grade says nothing of its annotator's errors, and EM would talk itself
into whatever level is frequent there: error matrices are estimated from pairs with two grades or more alone, and then
say what a single grade is worth; who shares no pair with anybody is taken at their word. And an annotator with few
grades is assumed to be right more often than not (`smoothing`).

Shape letters: N grades, P pairs, A annotators, L = 5 levels.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pinrank.annotators.ratings import Floats, Integers
from pinrank.levels import NUM_LEVELS

RIGHT = 0.9
"""Share of the grades added to an annotator's that are right; the others are spread evenly."""


class DawidSkeneSettings(BaseModel):
    """When EM ends, and how much is assumed of an annotator with few grades."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smoothing: float = Field(
        1.0, ge=0, description="grades added to each row of an annotator's error matrix, nearly all right; 0: none"
    )
    tolerance: float = Field(1e-6, gt=0, description="end when no pair's probability of a level moves by more")
    max_iterations: int = Field(1000, ge=1, description="end here, and say that it has not converged")


@dataclass(frozen=True)
class Estimate:
    """What EM ended with."""

    probabilities_PL: Floats  # of each pair's true level
    errors_ALL: Floats  # P(given level | true level): rows are true levels and add up to 1
    prior_L: Floats  # of true levels
    iterations: int
    converged: bool


def dawid_skene(
    pairs_N: Integers, annotators_N: Integers, levels_N: Integers, settings: DawidSkeneSettings
) -> Estimate:
    """Estimate the true levels of pairs 0..P-1 and the error matrices of annotators 0..A-1.

    Every pair and every annotator has a grade. An annotator may grade a pair several times, as in the paper; grades of
    people without a name may share a number, and then share a matrix.
    """
    grades = (pairs_N, annotators_N, levels_N)
    shares_PL = probabilities_PL = _shares(pairs_N, levels_N)
    shared_P = np.bincount(pairs_N) > 1
    converged, iteration = False, 0
    while not converged and iteration < settings.max_iterations:
        iteration += 1
        before_PL = probabilities_PL
        errors_ALL, prior_L = error_rates(probabilities_PL, *grades, settings.smoothing)
        guessed_PL = true_levels(errors_ALL, prior_L, *grades)
        probabilities_PL = np.where(shared_P[:, None] & _possible(guessed_PL), guessed_PL, shares_PL)
        converged = bool(np.abs(probabilities_PL - before_PL).max(initial=0.0) <= settings.tolerance)
    errors_ALL, prior_L = error_rates(probabilities_PL, *grades, settings.smoothing)
    guessed_PL = true_levels(errors_ALL, prior_L, *grades)
    probabilities_PL = np.where(shared_P[:, None] | ~_possible(guessed_PL), probabilities_PL, guessed_PL)
    return Estimate(probabilities_PL, errors_ALL, prior_L, iteration, converged)


def error_rates(
    probabilities_PL: Floats, pairs_N: Integers, annotators_N: Integers, levels_N: Integers, smoothing: float
) -> tuple[Floats, Floats]:
    """The M step (formulas 2.3 and 2.4): errors_ALL and prior_L from the probabilities of the true levels.

    Of an annotator who shares no pair with others, or no pair of a true level, nothing is known there: they are right.
    """
    num_annotators = int(annotators_N.max(initial=-1)) + 1
    size = num_annotators * NUM_LEVELS
    shared_N = (np.bincount(pairs_N) > 1)[pairs_N]
    weights_NL = np.where(shared_N[:, None], probabilities_PL[pairs_N], 0.0)
    cells_N = annotators_N * NUM_LEVELS + levels_N - 1
    given = [np.bincount(cells_N, weights_NL[:, true], minlength=size) for true in range(NUM_LEVELS)]
    counts_ALL = np.stack([each.reshape(num_annotators, NUM_LEVELS) for each in given], axis=1)
    met_A = counts_ALL.sum(axis=(1, 2)) > 0
    counts_ALL += smoothing * _assumed() * met_A[:, None, None]
    totals_AL1 = counts_ALL.sum(axis=2, keepdims=True)
    known = totals_AL1 > 0
    errors_ALL = np.where(known, counts_ALL / np.where(known, totals_AL1, 1.0), np.eye(NUM_LEVELS))
    return errors_ALL, probabilities_PL.mean(axis=0)


def true_levels(
    errors_ALL: Floats, prior_L: Floats, pairs_N: Integers, annotators_N: Integers, levels_N: Integers
) -> Floats:
    """The E step (formula 2.5): probabilities_PL of the true levels, from all grades of each pair.

    A row of zeros stands for a pair whose grades cannot be, by these errors.
    """
    joint_PL = joint_log_probabilities(errors_ALL, prior_L, pairs_N, annotators_N, levels_N)
    highest_P1 = joint_PL.max(axis=1, keepdims=True)
    odds_PL = np.exp(joint_PL - np.where(np.isfinite(highest_P1), highest_P1, 0.0))
    totals_P1 = odds_PL.sum(axis=1, keepdims=True)
    return np.asarray(odds_PL / np.where(totals_P1 > 0, totals_P1, 1.0))


def joint_log_probabilities(
    errors_ALL: Floats, prior_L: Floats, pairs_N: Integers, annotators_N: Integers, levels_N: Integers
) -> Floats:
    """log P(true level, grades of the pair), float64[P, L]; -inf where that cannot be."""
    with np.errstate(divide="ignore"):
        log_errors_NL = np.log(errors_ALL[annotators_N, :, levels_N - 1])
        log_prior_L = np.log(prior_L)
    num_pairs = int(pairs_N.max(initial=-1)) + 1
    sums = [np.bincount(pairs_N, log_errors_NL[:, true], minlength=num_pairs) for true in range(NUM_LEVELS)]
    return np.asarray(np.stack(sums, axis=1) + log_prior_L)


def _assumed() -> Floats:
    """The added grades of one annotator, float64[L, L]; each row adds up to 1."""
    wrong = (1 - RIGHT) / (NUM_LEVELS - 1)
    return np.asarray(np.eye(NUM_LEVELS) * (RIGHT - wrong) + wrong)


def _shares(pairs_N: Integers, levels_N: Integers) -> Floats:
    counts_PL = np.zeros((int(pairs_N.max(initial=-1)) + 1, NUM_LEVELS))
    np.add.at(counts_PL, (pairs_N, levels_N - 1), 1.0)
    return np.asarray(counts_PL / counts_PL.sum(axis=1, keepdims=True))


def _possible(probabilities_PL: Floats) -> np.ndarray:
    """bool[P, 1]: whether a pair's probabilities are any."""
    return np.asarray(probabilities_PL.sum(axis=1, keepdims=True) > 0)
