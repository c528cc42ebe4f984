"""Promote or hold."""

from dataclasses import replace

import numpy as np
import pytest

from pinrank.evaluation.comparison import BootstrapSettings, Gain, Section
from pinrank.evaluation.judged import Graded, Judged, from_scores
from pinrank.evaluation.promotion import DECISION, PromotionSettings, Student, decide, verdict

SETTINGS = PromotionSettings(margin=0.01, bootstrap=BootstrapSettings(num_resamples=100))
MEASURED = Section("dev", 600, 60, {}, (), False)


def judged(num_queries: int) -> Judged:
    """Six pins a query, of the levels 1, 2, 3, 4, 5 and 1."""
    levels_N = np.tile([1, 2, 3, 4, 5, 1], num_queries)
    same_N = np.full(len(levels_N), "some")
    return Judged(levels_N, (levels_N - 1) / 4, np.repeat(np.arange(num_queries), 6), same_N, same_N, same_N)


def ranked(people: Judged, noise: float, seed: int) -> Graded:
    """Scores that follow the levels, but for noise."""
    scores_N = people.levels_N + np.random.default_rng(seed).normal(0, noise, len(people))
    return from_scores(scores_N, None)


@pytest.mark.parametrize(
    ("interval", "promote", "said"),
    [
        ((0.002, 0.02), True, "not worse by more than 0.01"),
        ((-0.01, 0.02), True, "not worse by more than 0.01"),
        ((-0.0101, 0.02), False, "may be worse by 0.0101, more than 0.01"),
        ((-0.03, -0.02), False, "may be worse by 0.0300"),
        ((None, None), False, "no interval on 600 dev pairs of 60 queries"),
    ],
)
def test_the_lower_end_of_the_interval_decides(
    interval: tuple[float | None, float | None], promote: bool, said: str
) -> None:
    found, reason = verdict(Gain(0.001, interval, 0.5), MEASURED, SETTINGS)
    assert found is promote
    assert said in reason


def test_a_better_candidate_is_promoted_and_a_worse_one_held() -> None:
    people = judged(60)
    good, bad = Student("s@good", ranked(people, 0.3, 1)), Student("s@bad", ranked(people, 5.0, 2))
    up, down = decide(people, good, bad, SETTINGS), decide(people, bad, good, SETTINGS)
    assert (up.promote, down.promote) == (True, False)
    assert up.reason.startswith("nDCG@20 +0.") and down.reason.startswith("nDCG@20 -0.")
    assert (up.candidate, up.current) == ("s@good", "s@bad")
    assert set(up.section.figures) == {"candidate", "current"}


def test_another_metric_decides_where_it_is_chosen() -> None:
    people = judged(60)
    good, bad = Student("s@good", ranked(people, 0.3, 1)), Student("s@bad", ranked(people, 5.0, 2))
    found = decide(people, good, bad, SETTINGS.model_copy(update={"metric": "spearman"}))
    assert found.reason.startswith("Spearman +")


def test_without_a_current_student_the_candidate_is_promoted() -> None:
    people = judged(20)
    found = decide(people, Student("s@1", ranked(people, 1.0, 1)), None, SETTINGS)
    assert (found.promote, found.reason) == (True, "there is no current student yet")
    assert found.section.contrasts == ()


def test_the_current_student_itself_is_held() -> None:
    people = judged(20)
    student = Student("s@1", ranked(people, 1.0, 1))
    assert decide(people, student, student, SETTINGS).reason == "it is the current student, weight for weight"


def test_too_few_queries_hold_even_a_much_better_candidate() -> None:
    people = judged(9)
    good, bad = Student("s@good", ranked(people, 0.1, 1)), Student("s@bad", ranked(people, 9.0, 2))
    found = decide(people, good, bad, SETTINGS)
    assert not found.promote
    assert "at least 10 queries" in found.reason


def test_many_queries_hold_a_candidate_where_only_one_of_them_has_two_levels() -> None:
    people = judged(400)
    people = replace(people, levels_N=np.where(people.queries_N == 7, people.levels_N, 3))
    good, bad = Student("s@good", ranked(people, 0.1, 1)), Student("s@bad", ranked(people, 9.0, 2))
    found = decide(people, good, bad, SETTINGS)
    assert not found.promote
    assert "at least 10 queries with pins of different levels" in found.reason
    assert found.section.figures["candidate"]["auroc_4"].ci95 != (None, None)


def test_a_decision_survives_json() -> None:
    people = judged(20)
    found = decide(people, Student("s@1", ranked(people, 1.0, 1)), Student("s@2", ranked(people, 1.0, 2)), SETTINGS)
    assert DECISION.validate_json(DECISION.dump_json(found)) == found
