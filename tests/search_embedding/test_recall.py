import numpy as np
import pytest

from pinrank.search_embedding.recall import recall_at


def test_recall_is_the_share_of_engaged_pins_that_come_first():
    scores = np.array([[0.9, 0.8, 0.1, 0.0], [0.1, 0.9, 0.8, 0.7]])
    engaged = np.array([[True, False, True, False], [True, False, False, False]])
    found = recall_at(scores, engaged, (1, 2, 4))
    # query 0: nothing stands above its first pin, one other above its second; query 1: three others
    assert found == {"recall_at_1": 0.25, "recall_at_2": 0.5, "recall_at_4": 1.0}


def test_other_engaged_pins_do_not_stand_in_the_way():
    engaged = np.array([[True, True, True, False]])
    assert recall_at(np.array([[0.9, 0.8, 0.7, 0.1]]), engaged, (1,)) == {"recall_at_1": 1.0}


def test_a_model_that_gives_every_pin_one_score_finds_nothing():
    assert recall_at(np.zeros((1, 5)), np.eye(1, 5, dtype=bool), (4,)) == {"recall_at_4": 0.0}


def test_random_scores_find_about_k_of_the_candidates():
    chance = np.random.default_rng(0)
    engaged = np.zeros((400, 50), dtype=bool)
    engaged[np.arange(400), chance.integers(50, size=400)] = True
    assert recall_at(chance.random((400, 50)), engaged, (10,))["recall_at_10"] == pytest.approx(10 / 50, abs=0.06)
