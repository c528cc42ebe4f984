"""Retrieval of what belongs together: which groups are asked, and what vectors find."""

import math

import numpy as np
import pytest

from pinrank.evaluation.comparison import BootstrapSettings
from pinrank.evaluation.representations import Grouping, Retrieval, measure, retrieval_of, values

CITIES = {"food": ["pasta", "soup"], "seats": ["sofa", "chair", "stool"], "lone": ["lamp"]}


def task(relevant: list[int], num_candidates: int) -> Retrieval:
    """Seed 0 of some candidates."""
    return Retrieval("t", "pin", tuple(map(str, range(num_candidates))), np.array([0]), (np.array(relevant),))


def at_angles(*degrees: float) -> np.ndarray:
    return np.array([[math.cos(math.radians(each)), math.sin(math.radians(each))] for each in degrees])


def test_a_group_of_one_asks_nothing_and_what_is_in_no_group_is_only_looked_through() -> None:
    found = retrieval_of(Grouping("g", "pin", CITIES, others=["lamp", "rug"]), max_groups=9, max_candidates=99)
    assert found is not None and len(found.seeds_S) == 2 and found.num_relevant == 1 + 2
    assert found.candidates == ("chair", "lamp", "pasta", "rug", "sofa", "soup", "stool")
    for seed, relevant in zip(found.seeds_S, found.relevant, strict=True):
        names = {found.candidates[place] for place in (seed, *relevant)}
        assert names in (set(CITIES["food"]), set(CITIES["seats"])) and seed not in relevant
    assert retrieval_of(Grouping("g", "pin", {"lone": ["lamp", "lamp"]}), 9, 99) is None


def test_what_shares_another_group_with_the_seed_is_relevant_too() -> None:
    found = retrieval_of(Grouping("g", "pin", {"one": ["a", "b"], "two": ["a", "c"], "three": ["b", "c"]}), 3, 9)
    assert found is not None and all(len(relevant) == 2 for relevant in found.relevant)


def test_groups_and_candidates_are_limited_and_the_same_every_time() -> None:
    groups = {f"g{number}": [f"{number}-{item}" for item in range(3)] for number in range(50)}
    few = retrieval_of(Grouping("g", "pin", groups), max_groups=5, max_candidates=40)
    assert few is not None and len(few.seeds_S) == 5 and len(few.candidates) == 40
    again = retrieval_of(Grouping("g", "pin", dict(reversed(groups.items()))), max_groups=5, max_candidates=40)
    assert again is not None and again.candidates == few.candidates and again.seeds_S.tolist() == few.seeds_S.tolist()


def test_recall_and_ndcg_of_a_ranking_that_is_easy_to_check() -> None:
    """Ranked: 1 (relevant), 3, 2 (relevant), 4."""
    found = values(task([1, 2], 5), at_angles(0, 10, 30, 20, 90), k=2)
    assert found["recall@2"].tolist() == [0.5]
    assert found["nDCG@2"][0] == pytest.approx(1 / (1 + 1 / math.log2(3)))
    whole = values(task([1, 2], 5), at_angles(0, 10, 30, 20, 90), k=3)
    assert whole["recall@3"].tolist() == [1.0]
    assert whole["nDCG@3"][0] == pytest.approx((1 + 0.5) / (1 + 1 / math.log2(3)))


def test_more_relevant_candidates_than_places_can_all_be_taken() -> None:
    assert values(task([1, 2, 3], 5), at_angles(0, 1, 2, 3, 90), k=2)["recall@2"].tolist() == [1.0]


def test_vectors_that_say_nothing_find_nothing() -> None:
    found = values(task([1], 6), np.zeros((6, 2)), k=3)
    assert found["recall@3"].tolist() == [0.0] and found["nDCG@3"].tolist() == [0.0]


def test_every_system_is_measured_on_the_same_resamples() -> None:
    groups = {f"g{number}": [f"{number}-a", f"{number}-b"] for number in range(20)}
    found = retrieval_of(Grouping("g", "pin", groups), 20, 99)
    assert found is not None
    good = np.array([[math.cos(int(name[:-2])), math.sin(int(name[:-2]))] for name in found.candidates])
    noise = np.random.default_rng(0).normal(size=good.shape)
    measured = measure(found, {"good": good, "again": good, "noise": noise}, [1], BootstrapSettings(num_resamples=20))
    np.testing.assert_array_equal(measured["good"]["recall@1"].values_R, measured["again"]["recall@1"].values_R)
    assert measured["good"]["recall@1"].value == 1.0 > measured["noise"]["recall@1"].value
